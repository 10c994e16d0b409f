"""Long strings: out of an item and back to the byte, once per owner, gone with their last user."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.storage import Store
from antiphon.storage.blobs import LIMIT, join, split
from antiphon.storage.model import Finished
from tests.databases import query
from tests.storage.values import PLENTY, finished, item, response

LONG = LIMIT + 1

_pieces = st.lists(
    st.binary(max_size=5)
    | st.sampled_from(
        [b'"', b"\\", b'\\"', b"{", b"\n", "ä".encode(), b"a" * LIMIT, b"b" * LONG, b'"' + b"c" * LONG + b'"']
    ),
    max_size=8,
).map(b"".join)


@given(data=_pieces)
def test_join_undoes_split(data: bytes) -> None:
    """Whatever bytes go in, the same come out, with nothing long left in what stays when it was cut."""
    left, cuts = split(data)
    assert data == join(left, [(cut.at, cut.data) for cut in cuts])
    assert all(len(cut.data) > LIMIT for cut in cuts)


@given(values=st.lists(st.text(max_size=5) | st.integers(0, 3).map(lambda n: '\\"é' * (LIMIT // 2 + n)), max_size=4))
def test_every_long_string_of_json_is_cut(values: list[str]) -> None:
    """In JSON each string literal over the limit is cut, whole, and no other."""
    import msgspec

    data = msgspec.json.encode({"parts": values, "n": 1})
    _, cuts = split(data)
    literals = [msgspec.json.encode(value)[1:-1] for value in values]
    assert [literal for literal in literals if len(literal) > LIMIT] == [cut.data for cut in cuts]


def test_short_items_are_not_looked_at() -> None:
    """An item of up to 32 KiB is passed through as the same object."""
    data = b'"' + b"x" * (LIMIT - 2) + b'"'
    left, cuts = split(data)
    assert left is data
    assert not cuts


def _image(letter: bytes, *more: bytes) -> bytes:
    return b'{"type":"message","content":[' + b",".join(b'"%s"' % (x * LONG) for x in (letter, *more)) + b"]}"


def _turn(owner: str, *images: bytes) -> Finished:
    return finished(response(owner=owner), [item(n, data=data) for n, data in enumerate(images)])


async def _kept(url: str) -> list[tuple[str, int]]:
    rows = await query(url, "SELECT owner, count(*) FROM blobs GROUP BY owner ORDER BY owner")
    assert await query(url, "SELECT count(*) FROM (SELECT DISTINCT owner, sha256 FROM item_blobs) AS used") == [
        (sum(n for _, n in rows),)
    ]
    return [(owner, int(n)) for owner, n in rows]


@pytest.mark.anyio
async def test_long_strings_are_kept_once_per_owner(store: Store, url: str) -> None:
    """The same image in several items and responses is one row of its owner, and reads back identical everywhere."""
    turns = [_turn("a", _image(b"x", b"y"), _image(b"x", b"x")), _turn("a", _image(b"y")), _turn("b", _image(b"x"))]
    await asyncio.gather(*(store.commit(turn) for turn in turns))
    assert await _kept(url) == [("a", 2), ("b", 1)]
    for turn in turns:
        owner, response_id = turn.response.owner, turn.response.id
        assert list(turn.items) == await store.history(owner, response_id, max_items=9, max_bytes=PLENTY)
        page = await store.input_items(owner, response_id, after=None, limit=9, order="desc")
        assert list(turn.items)[::-1] == page.items
        assert turn.items[0] == await store.item(owner, turn.items[0].id)
    ((longest,),) = await query(url, "SELECT max(length(data)) FROM items")
    assert longest < 100


@pytest.mark.anyio
async def test_a_long_string_goes_with_its_last_user(store: Store, url: str) -> None:
    """Deleting a response removes the strings that no other response of this owner holds, and only those."""
    first, second = _turn("a", _image(b"x", b"y")), _turn("a", _image(b"y", b"z"))
    other = _turn("b", _image(b"x"))
    for turn in (first, second, other):
        await store.commit(turn)
    assert await store.delete("a", first.response.id)
    assert await _kept(url) == [("a", 2), ("b", 1)]
    assert list(second.items) == await store.history("a", second.response.id, max_items=9, max_bytes=PLENTY)
    assert await store.delete("a", second.response.id)
    assert await _kept(url) == [("b", 1)]


@pytest.mark.anyio
async def test_a_delete_beside_a_commit_of_the_same_string(store: Store, url: str) -> None:
    """Whoever is first, a committed response finds its image, and no image is kept for nobody."""
    for _ in range(25):
        old, new = _turn("a", _image(b"x")), _turn("a", _image(b"x"))
        await store.commit(old)
        await asyncio.gather(store.delete("a", old.response.id), store.commit(new))
        assert list(new.items) == await store.history("a", new.response.id, max_items=9, max_bytes=PLENTY)
        assert await _kept(url) == [("a", 1)]
        await store.delete("a", new.response.id)
        assert await _kept(url) == []
