"""Chains: history against a model of it in plain Python, its limits, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.storage import Store
from antiphon.storage.database import Database
from antiphon.storage.model import ChainBroken, ChainTooLong, Finished, Step, StoredItem
from antiphon.storage.store import SqlStore
from tests.databases import Kind, query
from tests.storage.values import PLENTY, finished, fresh_owner, item, response

pytestmark = pytest.mark.anyio


class Model:
    """What a store should answer, from dictionaries."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Finished] = {}
        self.deleted: set[tuple[str, str]] = set()

    def history(self, owner: str, response_id: str) -> list[StoredItem] | str:
        """The items, or the id at which the chain breaks."""
        items: list[StoredItem] = []
        at: str | None = response_id
        cut: int | None = None
        while at is not None:
            here = self.held.get((owner, at))
            if here is None or (owner, at) in self.deleted:
                return at
            ends = {step.n: step.item_to for step in here.steps}
            if cut is not None and cut not in ends:
                return at
            until = len(here.items) if cut is None else ends[cut]
            items[:0] = here.items[:until]
            at, cut = here.response.previous_id, here.response.previous_step
        return items


@st.composite
def turns(draw: st.DrawFn) -> list[tuple[str, Any, Any, Any]]:
    """Things to do: add a turn behind an earlier one (perhaps cut at a step), or delete one."""
    steps: list[tuple[str, Any, Any, Any]] = []
    for n in range(draw(st.integers(1, 9))):
        if n and draw(st.integers(0, 5)) == 0:
            steps.append(("delete", draw(st.booleans()), draw(st.integers(0, n - 1)), None))
            continue
        parent = draw(st.integers(0, n - 1) | st.none()) if n else None
        steps.append(
            ("add", draw(st.integers(0, 4)) > 0, parent, (draw(st.none() | st.integers(0, 2)), draw(st.integers(0, 3))))
        )
    return steps


def _turn(n: int, owner: str, parent: int | None, cut: int | None, size: int) -> Finished:
    """A response of ``size`` items and a step for each item but the last."""
    previous = None if parent is None else f"resp_{parent}"
    head = response(f"resp_{n}", owner, previous_id=previous, previous_step=cut if parent is not None else None)
    items = [item(position, "out" if position else "in", b"%d.%d" % (n, position)) for position in range(size)]
    return finished(head, items, steps=[Step(k, "model", 0, 1, k, k + 1, b"{}") for k in range(size - 1)])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(todo=turns())
async def test_history_is_that_of_the_model(store: Store, todo: list[tuple[str, Any, Any, Any]]) -> None:
    """Chains, forks cut at a step, deletes and two owners with the same ids: the store agrees with plain Python."""
    model, owners = Model(), (fresh_owner(), fresh_owner())
    for n, (what, first, parent, shape) in enumerate(todo):
        owner = owners[0 if first else 1]
        if what == "delete":
            there = (owner, f"resp_{parent}") in model.held.keys() - model.deleted
            assert await store.delete(owner, f"resp_{parent}") == there
            model.deleted |= {(owner, f"resp_{parent}")}
            continue
        turn = _turn(n, owner, parent, *shape)
        await store.commit(turn)
        model.held[owner, turn.response.id] = turn
    for owner in owners:
        for n in range(len(todo)):
            await _agree(store, model, owner, f"resp_{n}")


async def _agree(store: Store, model: Model, owner: str, response_id: str) -> None:
    expected = model.history(owner, response_id)
    try:
        found: list[StoredItem] | str = await store.history(owner, response_id, max_items=1000, max_bytes=PLENTY)
    except ChainBroken as broken:
        found = broken.id
    assert expected == found


def _chain(length: int, owner: str = "default") -> list[Finished]:
    """A chain of one question and one answer a turn."""
    turns = [finished(response(owner=owner))]
    for _ in range(length - 1):
        turns.append(finished(response(owner=owner, previous_id=turns[-1].response.id)))
    return turns


def _all_items(chain: Sequence[Finished]) -> list[StoredItem]:
    return [i for turn in chain for i in turn.items]


class Counting:
    """A database that counts the statements that read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    async def fetch(self, name: str, **values: Any) -> Sequence[Any]:
        """One more."""
        self.reads += 1
        return await self._database.fetch(name, **values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def test_a_thousand_turns_in_one_query(store: Store) -> None:
    """The history of 1,000 turns is one statement."""
    assert isinstance(store, SqlStore)
    chain = _chain(1000)
    await asyncio.gather(*(store.commit(turn) for turn in chain))
    counting = Counting(store._database)
    found = await SqlStore(counting).history("default", chain[-1].response.id, max_items=2000, max_bytes=PLENTY)
    assert _all_items(chain) == found
    assert counting.reads == 1


async def _size(url: str, kind: Kind) -> int:
    if kind == "sqlite":
        ((pages, free),) = await query(
            url, "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count"
        )
        return int((pages - free) * 4096)
    ((size,),) = await query(
        url, "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    return int(size)


async def test_storage_is_linear_in_new_items(store: Store, url: str, kind: Kind) -> None:
    """The second 500 turns of a chain take no more room than the first, and the rows are just the new items."""
    chain = _chain(1000)
    empty = await _size(url, kind)
    await asyncio.gather(*(store.commit(turn) for turn in chain[:500]))
    half = await _size(url, kind)
    await asyncio.gather(*(store.commit(turn) for turn in chain[500:]))
    assert await _size(url, kind) - half < 1.2 * (half - empty)
    assert await query(url, "SELECT count(*) FROM items") == [(2000,)]


async def test_limits_are_exact(store: Store) -> None:
    """A history of just the allowed items and bytes is given; one less of either is refused, naming which."""
    chain = _chain(5)
    await asyncio.gather(*(store.commit(turn) for turn in chain))
    last, held = chain[-1].response.id, _all_items(chain)
    size = sum(len(i.data) for i in held)
    assert held == await store.history("default", last, max_items=10, max_bytes=size)
    with pytest.raises(ChainTooLong) as many:
        await store.history("default", last, max_items=9, max_bytes=size)
    assert (many.value.what, many.value.limit) == ("items", 9)
    with pytest.raises(ChainTooLong) as big:
        await store.history("default", last, max_items=10, max_bytes=size - 1)
    assert (big.value.what, big.value.limit) == ("bytes", size - 1)


async def test_limits_count_long_strings(store: Store) -> None:
    """An image kept elsewhere still counts with its full length."""
    turn = finished(items=[item(0, data=b'"%s"' % (b"x" * 100_000))])
    await store.commit(turn)
    with pytest.raises(ChainTooLong):
        await store.history("default", turn.response.id, max_items=5, max_bytes=100_001)
    assert list(turn.items) == await store.history("default", turn.response.id, max_items=5, max_bytes=100_002)


async def test_a_chain_over_its_limit_is_not_read(store: Store) -> None:
    """What comes from the database for a chain that is too long is no item, and no more responses than the limit."""
    assert isinstance(store, SqlStore)
    chain = _chain(200)
    await asyncio.gather(*(store.commit(turn) for turn in chain))
    limits = {"max_items": 20, "max_bytes": PLENTY, "max_depth": 21}
    rows = await store._database.fetch("history", owner="default", response_id=chain[-1].response.id, **limits)
    assert len(rows) <= 12
    assert all(row[10] is None for row in rows)


async def test_a_cut_limits_what_counts(store: Store) -> None:
    """A fork at a step counts only what it takes of its parent."""
    parent = _turn(0, "default", None, None, 4)
    fork = finished(response(previous_id="resp_0", previous_step=0), [item(0)])
    await store.commit(parent)
    await store.commit(fork)
    expected = [parent.items[0], *fork.items]
    size = sum(len(i.data) for i in expected)
    assert expected == await store.history("default", fork.response.id, max_items=2, max_bytes=size)


async def test_a_chain_of_nothing_ends(store: Store) -> None:
    """Responses without items, even one that is its own parent, cannot keep the database busy for ever."""
    await store.commit(finished(response("resp_loop", previous_id="resp_loop"), []))
    with pytest.raises(ChainTooLong):
        await store.history("default", "resp_loop", max_items=50, max_bytes=PLENTY)


async def test_items_come_by_position(store: Store) -> None:
    """Items handed over in any order are read back by position."""
    turn = finished(items=[item(n) for n in range(5)])
    await store.commit(msgspec.structs.replace(turn, items=turn.items[::-1]))
    assert list(turn.items) == await store.history("default", turn.response.id, max_items=5, max_bytes=PLENTY)
