"""A call of the search, with stores of the test's own: its item, its events, and what the model reads."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.errors import APIError, InternalError, InvalidRequest, NotFound, UpstreamError
from antiphon.knowledge.search import Found
from antiphon.responses.turn.cite import Citations
from antiphon.tools import prompts
from antiphon.tools.base import Around, Call, Outcome, Tool
from antiphon.tools.file_search import FileSearchKit
from antiphon.tools.prompts import Style
from tests.tools.web_search.world import Outside, Ran, around, each

pytestmark = pytest.mark.anyio

ADDED, DONE = "output_item.added", "output_item.done"
WHOLE = [ADDED, *(f"file_search_call.{step}" for step in ("in_progress", "searching", "completed")), DONE]
STYLES: tuple[Style, ...] = get_args(Style)
_PIECES = [*"<|> \n\r\t\0\x1b\u202eäé漢😀.[]", "<|", "|>", "file-0a1b", "<|file-1|>"]
HOSTILE = st.lists(st.sampled_from(_PIECES), max_size=20).map("".join)
MARKER = re.compile(r"<\|([^|]*)\|>")

FILE_IDS = st.integers(0, 5).map(lambda n: f"file-{n:048x}")
FOUND = st.builds(
    Found,
    file_id=FILE_IDS,
    filename=HOSTILE,
    score=st.floats(0, 1),
    attributes=st.dictionaries(HOSTILE, HOSTILE | st.floats(-9, 9) | st.booleans(), max_size=2),
    texts=HOSTILE.map(lambda text: (text,)),
)

#: What a store does with a search.
Act = Callable[..., Any]


class Shelf:
    """Stores of which each has what it finds, or does something else."""

    def __init__(self, **stores: Sequence[Found] | Act) -> None:
        self.stores = stores
        self.asked: list[tuple[str, str, tuple[str, ...], dict[str, Any]]] = []

    async def get(self, owner: str, store_id: str) -> dict[str, Any]:
        if store_id not in self.stores:
            raise NotFound(f"No vector store found with id '{store_id}'.", param="vector_store_id")
        return {"id": store_id, "status": "expired" if store_id == "old" else "completed"}

    async def search(self, owner: str, store_id: str, queries: Sequence[str], **more: Any) -> list[Found]:
        self.asked.append((owner, store_id, tuple(queries), more))
        there = self.stores[store_id]
        return list(await there() if callable(there) else there)


def passage(name: str, score: float, text: str = "", **attributes: Any) -> Found:
    return Found(f"file-{name}", f"{name}.txt", score, attributes, (text or f"About {name}.",))


def raises(failure: Exception) -> Act:
    async def act() -> list[Found]:
        raise failure

    return act


async def tool(shelf: Shelf, style: Style = "antiphon", **entry: Any) -> Tool:
    given = {"type": "file_search", "vector_store_ids": list(shelf.stores), **entry}
    (found,) = await each(FileSearchKit(shelf, style).toolset(given, "tools[0]").open((), around(Outside())))
    one: Tool = found
    return one


async def searched(shelf: Shelf, arguments: Any = None, style: Style = "antiphon", **more: Any) -> Ran:
    entry = more.pop("entry", {})
    made = await tool(shelf, style, **entry)
    return await told(made, arguments or {"queries": ["q"]}, **more)


async def told(made: Tool, arguments: Any, **more: Any) -> Ran:
    """A run whose words may come in parts."""
    outside = more.pop("outside", None) or Outside()
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    said = await each(made.run(Call("call_1", made.definition["name"], text), around(outside, **more)))
    *events, outcome = said
    assert isinstance(outcome, Outcome)
    parts = outcome.content
    content = parts if isinstance(parts, str) else "".join(part["text"] for part in parts)
    return Ran(events, Outcome(content, outcome.failed, outcome.sources, outcome.found), outside)


async def test_step_by_step() -> None:
    """Added, in progress, searching, completed, done: one item with one id at index 0; results where asked for."""
    shelf = Shelf(one=[passage("a", 0.5, year=2031)])
    for include in (frozenset[str](), frozenset({"file_search_call.results"})):
        ran = await searched(shelf, {"queries": [" x ", "y", "x"]}, include=include)
        assert ran.steps == WHOLE
        assert {event.payload["output_index"] for event in ran.events} == {0}  # type: ignore[union-attr]
        assert {event.payload["item_id"] for event in ran.events[1:4]} == {"file_search_call-0"}  # type: ignore[union-attr]
        added: Any = ran.events[0].payload["item"]  # type: ignore[union-attr]
        assert (added.status, added.queries, added.results) == ("in_progress", ["x", "y"], None)
        assert (ran.item.status, ran.item.queries) == ("completed", ["x", "y"])
        row = {"file_id": "file-a", "filename": "a.txt", "score": 0.5, "attributes": {"year": 2031}, "text": "About a."}
        assert ran.item.results == ([row] if include else None)
    assert shelf.asked[0][:3] == ("default", "one", ("x", "y"))


@settings(max_examples=50)
@given(st.lists(st.lists(FOUND, max_size=6), min_size=1, max_size=4), st.integers(1, 8))
def test_one_ranking(stores: list[list[Found]], limit: int) -> None:
    """Of all stores together the best, each passage once, best first, no more than was asked for."""
    shelf = Shelf(**{f"s{n}": found for n, found in enumerate(stores)})
    include = frozenset({"file_search_call.results"})
    ran = asyncio.run(searched(shelf, entry={"max_num_results": limit}, include=include))
    results = ran.item.results
    best: dict[tuple[str, str], float] = {}
    for one in itertools.chain(*stores):
        key = (one.file_id, one.texts[0])
        best[key] = max(one.score, best.get(key, 0.0))
    assert [result["score"] for result in results] == sorted(best.values(), reverse=True)[:limit]
    assert all(best[result["file_id"], result["text"]] == result["score"] for result in results)


async def test_stores_are_asked_together() -> None:
    """Searches that can only end together end."""
    here = asyncio.Barrier(3)

    async def act() -> list[Found]:
        await here.wait()
        return []

    shelf = Shelf(a=act, b=act, c=act)
    assert (await searched(shelf)).item.status == "completed"
    assert [asked[1] for asked in shelf.asked] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (NotFound("No vector store found with id 'b'."), "No vector store found with id 'b'."),
        (UpstreamError("The embedder is away."), "The embedder is away."),
        (ValueError("sk-hidden"), "the vector store 'b' broke (ValueError)"),
    ],
)
async def test_one_store_that_fails(failure: Exception, says: str) -> None:
    """All has failed: the item says so and the model is told why, however much the others found."""
    ran = await searched(
        Shelf(a=[passage("a", 1)], b=raises(failure), c=[]), include=frozenset({"file_search_call.results"})
    )
    assert ran.steps == [*WHOLE[:3], DONE]
    assert (ran.item.status, ran.item.results, ran.outcome.failed, ran.outcome.sources) == ("failed", None, True, ())
    assert ran.content == f"The file search failed: {says}. Say so if it matters to the answer.".replace("..", ".")
    assert "sk-hidden" not in ran.outside.recorded


async def test_a_store_that_does_not_answer() -> None:
    """It is given up in time."""

    async def never() -> list[Found]:
        await asyncio.Event().wait()
        raise AssertionError

    ran = await searched(Shelf(a=never), timeout=0.05)
    assert (ran.item.status, "0.05 s" in ran.content) == ("failed", True)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "x",
        "[]",
        "3",
        "{}",
        '{"queries": []}',
        '{"queries": [" "]}',
        '{"queries": 3}',
        '{"query": null}',
        '{"q": "x"}',
    ],
)
@pytest.mark.parametrize("style", STYLES)
async def test_odd_arguments(arguments: str, style: Style) -> None:
    """What asks nothing is a failed item, with the form that is wanted; no store is asked."""
    shelf = Shelf(a=[])
    ran = await searched(shelf, arguments or " ", style)
    assert ran.steps == [*WHOLE[:2], DONE]
    assert (ran.item.status, ran.item.queries, ran.outcome.failed, shelf.asked) == ("failed", [], True, [])
    assert ran.content == (
        'The arguments of file_search must be a JSON object such as {"queries": ["..."]}.'
        if style == "antiphon"
        else f'The arguments of {prompts.file_search(style)["name"]} must be a JSON object such as {{"query": "..."}}.'
    )


@pytest.mark.parametrize("arguments", ['{"query": "x"}', '{"queries": "x"}', '{"queries": ["x"]}', '{"query": ["x"]}'])
async def test_a_query_may_stand_alone(arguments: str) -> None:
    """Models mix the two forms up."""
    assert (await searched(Shelf(a=[]), arguments)).item.queries == ["x"]


async def test_there_are_limits() -> None:
    """A model that asks for everything asks for a part of it."""
    ran = await searched(Shelf(a=[]), {"queries": [f"{n} " + "x" * 10_000 for n in range(100)]})
    assert len(ran.item.queries) == 8
    assert max(map(len, ran.item.queries)) == 4096


# -- the way out


async def test_what_goes_out_is_all_that_decides() -> None:
    """Another query, store, number, filter or ranking is another call."""
    seen = []
    filters = {"type": "eq", "key": "a", "value": 1}
    for entry in (
        {},
        {"vector_store_ids": ["b"]},
        {"max_num_results": 3},
        {"filters": filters},
        {"ranking_options": {"score_threshold": 0.5}},
    ):
        ran = await searched(Shelf(a=[], b=[]), entry=entry)
        seen.append(ran.outside.calls)
        assert ran.outside.calls[0][:2] == ("file_search", "search")
    assert len({json.dumps(one) for one in seen}) == 5


@pytest.mark.parametrize("style", STYLES)
async def test_a_recording_stands_for_the_stores(style: Style) -> None:
    """What came back once gives the same events and words, though the stores are gone."""
    for shelf in (Shelf(a=[passage("a", 0.3), passage("b", 0.7, x=1)]), Shelf(a=[]), Shelf(a=raises(NotFound("No.")))):
        live = await searched(shelf, style=style)
        (recorded,) = live.outside.results

        async def replay(*_: Any, recorded: Any = recorded) -> Any:
            return recorded

        kit = FileSearchKit(Shelf(), style, replays=True)
        entry = {"type": "file_search", "vector_store_ids": ["a"]}
        (made,) = await each(kit.toolset(entry, "tools[0]").open((), around(Outside())))
        again = await told(made, {"queries": ["q"]}, outside=replay)
        assert (again.events, again.outcome) == (live.events, live.outcome)


@pytest.mark.parametrize("answer", [None, 3, "x", [], {}, {"results": 3}])
async def test_a_recording_of_another_form_is_a_failure(answer: Any) -> None:
    """It is not read as if nothing had been found."""

    async def replay(*_: Any) -> Any:
        return answer

    ran = await searched(Shelf(a=[]), outside=replay)
    assert (ran.item.status, ran.outcome.failed) == ("failed", True)


@pytest.mark.parametrize("failure", [TimeoutError("late"), ValueError("sk-hidden")])
async def test_a_failure_of_the_way_out(failure: Exception) -> None:
    """It closes the item, and its text is not repeated; what is meant for the client ends the run."""

    async def breaks(*_: Any) -> Any:
        raise failure

    ran = await searched(Shelf(a=[]), outside=breaks)
    assert (ran.item.status, "sk-hidden" in ran.content) == ("failed", False)

    async def refuses(*_: Any) -> Any:
        raise InternalError("no recording")

    with pytest.raises(APIError):
        await searched(Shelf(a=[]), outside=refuses)


async def test_stores_are_looked_for_first() -> None:
    """One that is not there, or has expired, is refused by its place, under its owner; a replay needs none."""
    shelf = Shelf(a=[], old=[])
    for store, error in (("none", NotFound), ("old", InvalidRequest)):
        entry = {"type": "file_search", "vector_store_ids": ["a", store]}
        toolset = FileSearchKit(shelf, "antiphon").toolset(entry, "tools[3]")
        with pytest.raises(error) as caught:
            await each(toolset.open((), Around(new_id=str, outside=Outside())))
        assert caught.value.param == "tools[3].vector_store_ids[1]"
        assert f"'{store}'" in caught.value.message


# -- words


@given(st.sampled_from(STYLES), st.lists(FOUND, max_size=5))
def test_the_model_is_told_every_passage(style: Style, found: list[Found]) -> None:
    """Each has its marker; in our own words nothing else looks like one."""
    ran = asyncio.run(searched(Shelf(a=found), style=style))
    keys = [source.key for source in ran.outcome.sources]
    assert keys[0] == "file-"
    assert set(keys[1:]) == {one.file_id for one in found}
    markers = MARKER.findall(ran.content)
    assert set(keys[1:]) <= set(markers)
    if style == "antiphon":
        assert set(markers) == set(keys[1:])
        assert ran.content.count("<|") == len(markers) == ran.content.count("|>")


@given(st.lists(st.tuples(FILE_IDS, st.text("ab .", max_size=20)), max_size=6), st.data())
def test_citations(said: list[tuple[str, str]], data: st.DataObject) -> None:
    """However the text is cut, each marker of a file that was found is a citation in its place, every other one is
    gone, and none is left."""
    known = [file_id for file_id, _ in said[::2]]
    results = [{"file_id": one, "filename": "n", "score": 1.0, "attributes": {}, "text": "t"} for one in known]
    sources = prompts.found_files("antiphon", ["q"], results, 10**6).sources
    citations = Citations({source.key: source.annotation for source in sources})
    text = "".join(f"{words} <|{file_id}|>" for file_id, words in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces: list[Any] = []
    for start, end in itertools.pairwise([0, *cuts, len(text)]):
        pieces += citations.feed(text[start:end])
    pieces += citations.flush()
    shown = "".join(piece for piece in pieces if isinstance(piece, str))
    assert shown == "".join(words for _, words in said)
    wanted, at = [], 0
    for file_id, words in said:
        at += len(words)
        if file_id in known:
            wanted.append({"type": "file_citation", "file_id": file_id, "filename": "n", "index": at})
    assert [piece for piece in pieces if isinstance(piece, dict)] == wanted


def test_what_the_model_reads_has_a_limit() -> None:
    """The best passages stay, and how to cite them."""
    results = [
        {"file_id": f"file-{n}", "filename": "n", "score": 1.0, "attributes": {}, "text": "漢字 " * 400}
        for n in range(9)
    ]
    for style in STYLES:
        outcome = prompts.found_files(style, ["q"], results, 6_000)
        said = (
            outcome.content if isinstance(outcome.content, str) else "".join(part["text"] for part in outcome.content)
        )
        assert len(said.encode()) <= 6_000
        assert "<|file-0|>" in said
        assert [source.key for source in outcome.sources][:2] == ["file-", "file-0"]


def test_words_of_llama_stack() -> None:
    """To the letter, of each time."""
    result = {"file_id": "file-1", "filename": "n", "score": 0.5, "attributes": {"region": "us"}, "text": "Words."}
    bare = {**result, "attributes": {}}
    told: dict[str, Any] = {style: prompts.found_files(style, ["q"], [result, bare], 10**6).content for style in STYLES}
    texts = [part["text"] for part in told["llama-stack"]]
    assert texts == [
        "file_search tool found 2 chunks:\nBEGIN of file_search tool results.\n",
        "[1] document_id: file-1, score: 0.5, attributes: {'region': 'us'} cite as <|file-1|>\nWords.\n",
        "[2] document_id: file-1, score: 0.5 cite as <|file-1|>\nWords.\n",
        "END of file_search tool results.\n",
        (
            'The above results were retrieved to help answer the user\'s query: "q". Use them as supporting '
            "information only in answering this query. Cite sources immediately at the end of sentences before "
            "punctuation, using `<|file-id|>` format like 'This is a fact <|file-Cn3MSNn72ENTiiq11Qda4A|>.'. Do not "
            "add extra punctuation. Use only the file IDs provided, do not invent new ones.\n"
        ),
    ]
    renamed = [text.replace("file_search", "knowledge_search") for text in texts]
    for style in ("llama-stack-2026-early", "llama-stack-2025"):
        assert [part["text"] for part in told[style]] == renamed
    assert told["llama-stack-2025-early"][1]["text"].splitlines()[0].endswith("(cite as <|file-1|>)")
    empty: Any = prompts.found_files("llama-stack", ["q"], [], 10**6).content
    assert [len(empty), empty[-1]["text"][-8:]] == [3, "query. \n"]


@pytest.mark.parametrize("style", STYLES)
async def test_the_definition(style: Style) -> None:
    """A function with a name, a description, and one parameter that is wanted."""
    made = await tool(Shelf(a=[]), style)
    assert (made.kind, made.label, made.repeatable, made.deferred) == ("file_search", None, True, False)
    (wanted,) = made.definition["parameters"]["required"]
    assert wanted == ("queries" if style == "antiphon" else "query")
    assert made.definition["parameters"]["properties"][wanted]["description"]
