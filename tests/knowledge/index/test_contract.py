"""What every index does, on each database."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.errors import Conflict, InvalidRequest
from antiphon.knowledge.filters import parse
from antiphon.knowledge.index.base import Chunk, Index, Query, Ranking
from tests.knowledge.index.vectors import SIZE, chunks, nearest, packed, unit, vector

pytestmark = pytest.mark.anyio

OWNER, STORE = "default", "vs_one"


def by_words(text: str, limit: int = 10) -> Query:
    """A question without a vector."""
    return Query(text, None, limit)


async def found(index: Index, query: Query, owner: str = OWNER, store: str = STORE) -> list[str]:
    """The texts of the hits."""
    return [hit.text for hit in await index.search(owner, store, query)]


async def test_a_store_that_was_never_written(index: Index) -> None:
    """Nothing is found, nothing is there, and removing is no error."""
    assert await index.search(OWNER, STORE, Query("anything", vector(1), 5)) == []
    assert await index.contents(OWNER, STORE, "file-1") == []
    await index.remove(OWNER, STORE, "file-1")
    await index.remove(OWNER, STORE, None)
    await index.attributes(OWNER, STORE, "file-1", {"a": 1})
    assert await index.search(OWNER, STORE, by_words("anything")) == []


async def test_what_is_put_is_found_and_read_back(index: Index) -> None:
    """By words, by vector and by both; the texts stay in order."""
    its = chunks("The harbour froze in January", "Ships waited for the thaw", "A lighthouse keeper wrote letters")
    await index.put(OWNER, STORE, "file-1", {}, its)
    assert await index.contents(OWNER, STORE, "file-1") == [chunk.text for chunk in its]
    assert (await found(index, by_words("letter")))[0] == its[2].text
    hit = (await index.search(OWNER, STORE, Query("", its[1].vector, 1)))[0]
    assert (hit.file_id, hit.n, hit.text) == ("file-1", 1, its[1].text)
    assert hit.score == pytest.approx(1.0, abs=1e-5)
    both = await index.search(OWNER, STORE, Query("ships thaw", its[1].vector, 3))
    assert both[0].n == 1
    assert [one.score for one in both] == sorted((one.score for one in both), reverse=True)


async def test_a_file_put_again_takes_its_place(index: Index) -> None:
    """Nothing of what was there before is found any more, by words or by vector."""
    old = chunks("ancient harbour", "old ships", "rotten rope", seed="old")
    await index.put(OWNER, STORE, "file-1", {}, old)
    await index.put(OWNER, STORE, "file-2", {}, chunks("something else entirely"))
    assert await found(index, by_words("rope")) == ["rotten rope"]
    await index.put(OWNER, STORE, "file-1", {}, chunks("new airport", seed="new"))
    assert await found(index, by_words("harbour ships rope")) == []
    assert await found(index, by_words("airport")) == ["new airport"]
    hits = await index.search(OWNER, STORE, Query("", old[0].vector, 10))
    assert "ancient harbour" not in [hit.text for hit in hits]
    assert await index.contents(OWNER, STORE, "file-1") == ["new airport"]


async def test_files_and_stores_go(index: Index) -> None:
    """A removed file is gone; so is a removed store, which can be filled anew."""
    await index.put(OWNER, STORE, "file-1", {}, chunks("red apple"))
    await index.put(OWNER, STORE, "file-2", {}, chunks("green apple"))
    await index.remove(OWNER, STORE, "file-1")
    assert await found(index, by_words("apple")) == ["green apple"]
    assert await index.contents(OWNER, STORE, "file-1") == []
    await index.remove(OWNER, STORE, None)
    assert await found(index, by_words("apple")) == []
    assert await index.contents(OWNER, STORE, "file-2") == []
    # Of other dimensions, because nothing of the old one is left.
    await index.put(OWNER, STORE, "file-3", {}, [Chunk(0, "blue apple", 2, vector("x", 8))])
    assert await found(index, by_words("apple")) == ["blue apple"]


async def test_owners_and_stores_do_not_see_each_other(index: Index) -> None:
    """The same store id of two owners is two stores, and removing one leaves the other."""
    places = [("ann", "vs_1"), ("bob", "vs_1"), ("ann", "vs_2")]
    for owner, store in places:
        await index.put(owner, store, "file-1", {"who": owner}, chunks(f"apple of {owner} in {store}"))
    for owner, store in places:
        text = f"apple of {owner} in {store}"
        assert await found(index, by_words("apple"), owner, store) == [text]
        assert await found(index, Query("", chunks(text)[0].vector, 5), owner, store) == [text]
        assert await index.contents(owner, store, "file-1") == [text]
    await index.attributes("ann", "vs_1", "file-1", {"who": "eve"})
    await index.remove("ann", "vs_1", None)
    assert await found(index, by_words("apple"), "bob", "vs_1") == ["apple of bob in vs_1"]
    await index.remove("ann", "vs_2", "file-1")
    only_bob = parse({"type": "eq", "key": "who", "value": "bob"}, "filters")
    assert await found(index, Query("apple", None, 5, only_bob), "bob", "vs_1") == ["apple of bob in vs_1"]


async def test_every_vector_is_compared(index: Index) -> None:
    """The nearest are those of a plain comparison with all, plain and filtered, and with many chunks."""
    files = [
        (f"file-{n:03}", {"n": n, "even": n % 2 == 0}, chunks(*(f"text {n} {m}" for m in range(n % 7 + 1)), seed=n))
        for n in range(80)
    ]
    for file_id, attributes, its in files:
        await index.put(OWNER, STORE, file_id, attributes, its)
    few = parse(
        {
            "type": "and",
            "filters": [{"type": "gte", "key": "n", "value": 70}, {"type": "eq", "key": "even", "value": True}],
        },
        "filters",
    )
    for seed in range(5):
        for filters in (None, few):
            wanted = vector(("question", seed))
            hits = await index.search(OWNER, STORE, Query("", wanted, 12, filters))
            assert [(hit.file_id, hit.n) for hit in hits] == nearest(files, wanted, filters, 12)


async def test_a_filter_loses_no_words(index: Index) -> None:
    """A rare file is found by a common word, however many others have that word."""
    for n in range(30):
        await index.put(OWNER, STORE, f"file-{n}", {"n": n}, chunks(*["common words everywhere"] * 20, seed=n))
    only = parse({"type": "eq", "key": "n", "value": 17}, "filters")
    hits = await index.search(OWNER, STORE, Query("common", None, 50, only))
    assert {hit.file_id for hit in hits} == {"file-17"}
    assert len(hits) == 20


async def test_attributes_change_without_the_chunks(index: Index) -> None:
    """A filter sees the new ones at once."""
    await index.put(OWNER, STORE, "file-1", {"year": 2019}, chunks("annual report"))
    new = parse({"type": "gt", "key": "year", "value": 2020}, "filters")
    assert await found(index, Query("report", None, 5, new)) == []
    await index.attributes(OWNER, STORE, "file-1", {"year": 2021})
    assert await found(index, Query("report", None, 5, new)) == ["annual report"]
    assert await found(index, Query("", chunks("annual report")[0].vector, 5, new)) == ["annual report"]


async def test_another_process_is_seen(index: Index, second: Index) -> None:
    """What another has put, changed and removed is so for this one at its next search."""
    assert await found(second, by_words("apple")) == []
    await index.put(OWNER, STORE, "file-1", {"a": 1}, chunks("red apple"))
    assert await found(second, by_words("apple")) == ["red apple"]
    await second.put(OWNER, STORE, "file-2", {"a": 2}, chunks("green apple"))
    assert sorted(await found(index, by_words("apple"))) == ["green apple", "red apple"]
    await index.attributes(OWNER, STORE, "file-2", {"a": 3})
    three = parse({"type": "eq", "key": "a", "value": 3}, "filters")
    assert await found(second, Query("apple", None, 5, three)) == ["green apple"]
    await second.remove(OWNER, STORE, "file-2")
    await second.put(OWNER, STORE, "file-3", {}, chunks("blue apple"))
    assert sorted(await found(index, by_words("apple"))) == ["blue apple", "red apple"]
    await second.remove(OWNER, STORE, None)
    assert await found(index, by_words("apple")) == []
    await second.put(OWNER, STORE, "file-4", {}, chunks("last apple"))
    assert await found(index, by_words("apple")) == ["last apple"]


async def test_other_dimensions_are_refused(index: Index) -> None:
    """In a file, in a store and in a question; what is there stays."""
    await index.put(OWNER, STORE, "file-1", {}, chunks("kept"))
    with pytest.raises(Conflict, match=f"have {SIZE} dimensions; 8"):
        await index.put(OWNER, STORE, "file-1", {}, [Chunk(0, "other", 1, vector("x", 8))])
    with pytest.raises(InvalidRequest, match="different lengths"):
        await index.put(OWNER, STORE, "file-1", {}, [*chunks("a"), Chunk(1, "b", 1, vector("x", 8))])
    with pytest.raises(InvalidRequest, match=r"question's vector has 8 dimensions.*have 16"):
        await index.search(OWNER, STORE, Query("", vector("x", 8), 3))
    assert await index.contents(OWNER, STORE, "file-1") == ["kept"]


async def test_an_empty_file(index: Index) -> None:
    """A file without chunks is no error, in an empty store and in place of one with chunks."""
    await index.put(OWNER, STORE, "file-0", {}, [])
    assert await found(index, by_words("apple")) == []
    await index.put(OWNER, STORE, "file-1", {}, chunks("apple"))
    await index.put(OWNER, STORE, "file-2", {}, [])
    assert await found(index, by_words("apple")) == ["apple"]
    await index.put(OWNER, STORE, "file-1", {}, [])
    assert await found(index, by_words("apple")) == []


async def test_a_threshold_and_a_limit(index: Index) -> None:
    """No hit is below the threshold, none above 1, and there are never more than the limit."""
    its = [Chunk(n, f"apple {n}", 2, packed(unit(("near", n)))) for n in range(30)]
    await index.put(OWNER, STORE, "file-1", {}, its)
    for fusion in ("convex", "rrf"):
        ranking = Ranking(fusion=fusion, score_threshold=0.3)  # type: ignore[arg-type]
        hits = await index.search(OWNER, STORE, Query("apple 7", its[7].vector, 4, None, ranking))
        assert 0 < len(hits) <= 4
        assert all(0.3 <= hit.score <= 1 for hit in hits)
        assert hits[0].n == 7


async def test_weights_decide(index: Index) -> None:
    """All weight on one side is a search of that side only."""
    its = [Chunk(0, "zebra crossing", 2, vector("far")), Chunk(1, "nothing alike", 2, vector("near"))]
    await index.put(OWNER, STORE, "file-1", {}, its)
    wanted = vector("near")
    words = Ranking(embedding_weight=0, text_weight=1)
    near = Ranking(embedding_weight=1, text_weight=0)
    assert (await found(index, Query("zebra", wanted, 1, None, words))) == ["zebra crossing"]
    assert (await found(index, Query("zebra", wanted, 1, None, near))) == ["nothing alike"]


async def test_texts_that_are_hard_to_keep(index: Index) -> None:
    """Quotes, commands of the query languages, NUL, half characters, no words at all: kept, found, no error."""
    texts = ["it's a \"quote\" & | ! (:*) \\ 'k' --", "a\0b", "\ud83d half", "!!! ???", "漢字のテスト", "Ünïcödé naïve"]
    await index.put(OWNER, STORE, "file-1", {"quo'te": "it's"}, chunks(*texts))
    kept = await index.contents(OWNER, STORE, "file-1")
    assert kept[0] == texts[0]
    assert kept[1:3] == ["a\ufffdb", "\ufffd half"]
    for question, text in [
        ("quote", texts[0]),
        ("'); DROP TABLE chunks; quote", texts[0]),
        ("漢字", texts[4]),
        ("unicode", texts[5]),
    ]:
        assert (await found(index, by_words(question)))[:1] == [text]
    for odd in ("", "   ", "!!!", "NEAR(", '"', "*", "' | '", "the of and"):
        await index.search(OWNER, STORE, by_words(odd))
    quoted = parse({"type": "eq", "key": "quo'te", "value": "it's"}, "filters")
    assert await found(index, Query("quote", None, 5, quoted)) == [texts[0]]


async def test_writers_and_readers_together(index: Index, second: Index) -> None:
    """While files are put in again and again, a search sees each of them whole, in one of its versions."""
    size, files, rounds = 6, 4, 6

    def version(file: int, round_: int) -> list[Chunk]:
        return [Chunk(n, f"apple {file} {round_} {n}", 4, vector("same")) for n in range(size)]

    for file in range(files):
        await index.put(OWNER, STORE, f"file-{file}", {}, version(file, 0))

    async def write(file: int) -> None:
        for round_ in range(1, rounds):
            await (index if round_ % 2 else second).put(OWNER, STORE, f"file-{file}", {}, version(file, round_))

    async def read(one: Index) -> None:
        while not writing.done():
            hits = await one.search(OWNER, STORE, Query("apple", vector("same"), 50))
            seen: dict[str, list[str]] = {}
            for hit in hits:
                seen.setdefault(hit.file_id, []).append(hit.text)
            assert sorted(seen) == [f"file-{file}" for file in range(files)]
            for texts in seen.values():
                assert len(texts) == size
                assert len({text.split()[2] for text in texts}) == 1

    writing = asyncio.gather(*(write(file) for file in range(files)))
    await asyncio.gather(read(index), read(second), read(index), writing)
    for one in (index, second):
        texts = await found(one, by_words("apple", 50))
        assert {text.split()[2] for text in texts} == {str(rounds - 1)}
