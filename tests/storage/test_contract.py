"""What every store must do, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.errors import Conflict, InvalidRequest, Unavailable
from antiphon.storage import Store
from antiphon.storage.model import ChainBroken, CursorNotFound, Finished, Segment, Step, StoredItem
from tests.databases import query
from tests.storage.values import PLENTY, anything, finished, fresh_owner, item, response

pytestmark = pytest.mark.anyio

one_store = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@one_store
@given(given_=anything())
async def test_what_goes_in_comes_out(store: Store, given_: Finished) -> None:
    """Every field of a response, its items, steps and segments reads back as it was committed."""
    owner = fresh_owner()
    head = msgspec.structs.replace(given_.response, owner=owner)
    await store.commit(msgspec.structs.replace(given_, response=head))
    assert head == await store.response(owner, head.id)
    assert [i for i in given_.items if i.direction == "out"] == await store.output(owner, head.id)
    page = await store.input_items(owner, head.id, after=None, limit=100, order="asc")
    assert [i for i in given_.items if i.direction == "in"] == page.items
    assert list(given_.steps) == await store.steps(owner, head.id)
    assert list(given_.segments) == await store.segments(owner, head.id)


@one_store
@given(size=st.integers(0, 7), limit=st.integers(1, 4), order=st.sampled_from(["asc", "desc"]))
async def test_pages_add_up_to_the_input(store: Store, size: int, limit: int, order: str) -> None:
    """Following the cursor gives every input item once, in order, whatever the page size."""
    owner = fresh_owner()
    inputs = [item(n) for n in range(size)]
    given_ = finished(response(owner=owner), [*inputs, item(size, "out")])
    await store.commit(given_)
    seen: list[StoredItem] = []
    after, more = None, True
    while more:
        page = await store.input_items(owner, given_.response.id, after=after, limit=limit, order=order)  # type: ignore[arg-type]
        assert len(page.items) <= limit
        seen += page.items
        after, more = seen[-1].id if seen else None, page.has_more
    assert seen == (inputs if order == "asc" else inputs[::-1])


async def test_paging_ends_where_an_id_stands_twice(store: Store) -> None:
    """A client that sends one id twice cannot make a cursor stand still."""
    given_ = finished(items=[item(0, item_id="twice"), item(1, item_id="twice"), item(2)])
    await store.commit(given_)
    page = await store.input_items("default", given_.response.id, after="twice", limit=1, order="asc")
    assert [i.position for i in page.items] == [2]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_cursor_that_is_nowhere(store: Store, order: str) -> None:
    """A cursor that names no input item is refused; the last item as cursor gives an empty page."""
    given_ = finished()
    await store.commit(given_)
    question, answer = given_.items
    for unknown in ("msg_unknown", answer.id):
        with pytest.raises(CursorNotFound):
            await store.input_items("default", given_.response.id, after=unknown, limit=5, order=order)  # type: ignore[arg-type]
    page = await store.input_items("default", given_.response.id, after=question.id, limit=5, order=order)  # type: ignore[arg-type]
    assert not page.items
    assert not page.has_more


async def test_delete_leaves_a_tombstone_and_nothing_else(store: Store, url: str) -> None:
    """After a delete the row stays, marked and empty; items, steps and journal are gone; a second delete says no."""
    given_, other = finished(), finished()
    await store.commit(given_)
    await store.commit(other)
    response_id = given_.response.id
    assert await store.delete("default", response_id)
    assert not await store.delete("default", response_id)
    buried = await store.response("default", response_id)
    assert buried == response(response_id, deleted=True, request=b"", result=b"")
    assert not await store.output("default", response_id)
    assert not await store.segments("default", response_id)
    assert not await store.steps("default", response_id)
    with pytest.raises(ChainBroken):
        await store.history("default", response_id, max_items=PLENTY, max_bytes=PLENTY)
    for table in ("items", "steps", "journal"):
        assert {(other.response.id,)} == set(await query(url, f"SELECT DISTINCT response_id FROM {table}"))


async def test_delete_of_what_is_not_there(store: Store) -> None:
    """Deleting an unknown id says that there was nothing."""
    assert not await store.delete("default", "resp_unknown")


async def test_unknown_ids_are_empty(store: Store) -> None:
    """Reading an unknown id gives nothing, and a history of it is broken by its name."""
    assert await store.response("default", "resp_unknown") is None
    assert await store.output("default", "resp_unknown") == []
    with pytest.raises(ChainBroken) as broken:
        await store.history("default", "resp_unknown", max_items=PLENTY, max_bytes=PLENTY)
    assert broken.value.id == "resp_unknown"


async def test_every_method_keeps_two_owners_apart(store: Store) -> None:
    """The same id twice, under two owners: neither sees, changes or deletes what is the other's."""
    mine, yours = (
        finished(
            response("resp_same", owner, result=owner.encode()),
            [item(0, data=owner.encode(), item_id=f"in-{owner}"), item(1, "out", owner.encode(), "out-same")],
            steps=[Step(0, "model", 0, 1, 1, 2, owner.encode())],
            segments=[Segment(0, 1, 0, owner.encode())],
        )
        for owner in ("mine", "yours")
    )
    await store.commit(mine)
    assert await store.response("yours", "resp_same") is None
    assert await store.output("yours", "resp_same") == []
    assert await store.segments("yours", "resp_same") == []
    assert await store.steps("yours", "resp_same") == []
    assert await store.item("yours", "out-same") is None
    assert not await store.delete("yours", "resp_same")
    assert not (await store.input_items("yours", "resp_same", after=None, limit=5, order="asc")).items
    with pytest.raises(ChainBroken):
        await store.history("yours", "resp_same", max_items=9, max_bytes=999)
    await store.commit(yours)
    with pytest.raises(CursorNotFound):
        await store.input_items("yours", "resp_same", after="in-mine", limit=5, order="asc")
    follower = finished(response(owner="yours", previous_id="resp_only_mine"))
    await store.commit(finished(response("resp_only_mine", "mine")))
    await store.commit(follower)
    with pytest.raises(ChainBroken):
        await store.history("yours", follower.response.id, max_items=9, max_bytes=999)
    assert await store.delete("mine", "resp_same")
    assert yours.response == await store.response("yours", "resp_same")
    assert list(yours.items) == await store.history("yours", "resp_same", max_items=9, max_bytes=999)
    assert [yours.items[1]] == await store.output("yours", "resp_same")
    assert yours.items[1] == await store.item("yours", "out-same")
    assert list(yours.steps) == await store.steps("yours", "resp_same")
    assert list(yours.segments) == await store.segments("yours", "resp_same")


async def test_expiry_takes_only_old_journals(store: Store, url: str) -> None:
    """Journals of older responses go, of every owner, counted by response; everything else stays readable."""
    two = [Segment(0, 4, 0, b"a"), Segment(5, 9, 0, b"b")]
    old = [finished(response(owner=o, created_at=n), segments=two) for n in (1, 2) for o in ("x", "y", "z")]
    new = finished(response(created_at=3))
    await asyncio.gather(*(store.commit(f) for f in (*old, new)))
    assert await store.expire_journals(3) == 6
    assert await store.expire_journals(3) == 0
    for f in old:
        assert not await store.segments(f.response.owner, f.response.id)
        assert list(f.items) == await store.history(f.response.owner, f.response.id, max_items=9, max_bytes=999)
    assert list(new.segments) == await store.segments("default", new.response.id)


async def test_expiry_works_through_more_than_one_batch(store: Store) -> None:
    """A thousand old journals go in one call."""
    await asyncio.gather(*(store.commit(finished(response(created_at=1))) for _ in range(1000)))
    assert await store.expire_journals(2) == 1000


async def test_an_item_by_its_id(store: Store) -> None:
    """The newest response that holds an id answers for it; a deleted one does not."""
    first, second = (finished(response(created_at=n), [item(0, data=b"%d" % n, item_id="msg_x")]) for n in (1, 2))
    await store.commit(second)
    await store.commit(first)
    assert await store.item("default", "msg_x") == second.items[0]
    await store.delete("default", second.response.id)
    assert await store.item("default", "msg_x") == first.items[0]
    assert await store.item("default", "msg_unknown") is None


async def test_many_commits_at_once(store: Store) -> None:
    """Three hundred concurrent commits are all there, each whole."""
    many = [finished() for _ in range(300)]
    await asyncio.gather(*(store.commit(f) for f in many))
    for f in many:
        assert list(f.items) == await store.history("default", f.response.id, max_items=9, max_bytes=999)


async def test_one_bad_job_fails_alone(store: Store) -> None:
    """Among concurrent commits and deletes only the one that cannot be written is refused."""
    taken, doomed = finished(), finished()
    await asyncio.gather(store.commit(taken), store.commit(doomed))
    again = finished(response(taken.response.id, result=b"other"))
    huge = finished(response(created_at=2**70))
    late = finished(segments=[Segment(0, 1, 0, b"a"), Segment(0, 1, 0, b"same place")])
    good = [finished() for _ in range(20)]
    jobs = [*good[:10], again, huge, late, *good[10:]]
    waiting = [store.commit(f) for f in jobs]
    *outcomes, deleted = await asyncio.gather(
        *waiting, store.delete("default", doomed.response.id), return_exceptions=True
    )
    assert deleted is True
    assert isinstance(outcomes[10], Conflict)
    assert isinstance(outcomes[11], InvalidRequest)
    assert isinstance(outcomes[12], Conflict)
    assert [*outcomes[:10], *outcomes[13:]] == [None] * 20
    for f in good:
        assert f.response == await store.response("default", f.response.id)
    assert taken.response == await store.response("default", taken.response.id)
    for f in (huge, late):
        assert await store.response("default", f.response.id) is None


async def test_two_that_collide_in_one_group(store: Store) -> None:
    """Of two concurrent commits under one id exactly one is stored, whole, and the other is told."""
    left, right = (finished(response("resp_one", result=name)) for name in (b"left", b"right"))
    outcomes = await asyncio.gather(store.commit(left), store.commit(right), return_exceptions=True)
    assert sorted(type(o).__name__ for o in outcomes) == ["Conflict", "NoneType"]
    winner = left if outcomes[0] is None else right
    assert winner.response == await store.response("default", "resp_one")
    assert list(winner.items) == await store.history("default", "resp_one", max_items=9, max_bytes=999)


async def test_a_refused_commit_leaves_nothing(store: Store, url: str) -> None:
    """When the last part of a response cannot be written, no part of it is visible."""
    bad = finished(segments=[Segment(0, 1, 0, b"a"), Segment(0, 1, 0, b"same place")])
    with pytest.raises(Conflict):
        await store.commit(bad)
    for table in ("responses", "items", "steps", "journal"):
        assert await query(url, f"SELECT count(*) FROM {table}") == [(0,)]


async def test_a_step_that_ends_past_the_items_is_refused(store: Store) -> None:
    """A step naming items that are not there is the caller's error, not a broken history later."""
    with pytest.raises(ValueError, match="ends at item 7 of 2"):
        await store.commit(finished(steps=[Step(0, "model", 0, 1, 1, 7, b"{}")]))


async def test_close_finishes_what_was_accepted(store: Store, url: str) -> None:
    """Commits under way when the store closes are durable; later ones are refused as unavailable."""
    many = [asyncio.ensure_future(store.commit(finished())) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*many)
    assert await query(url, "SELECT count(*) FROM responses") == [(50,)]
    with pytest.raises(Unavailable):
        await store.commit(finished())


async def test_who_stops_waiting_harms_nobody(store: Store) -> None:
    """Cancelled commits do not disturb the others of their group."""
    many = [finished() for _ in range(20)]
    tasks = [asyncio.ensure_future(store.commit(f)) for f in many]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for f in many[1::2]:
        assert f.response == await store.response("default", f.response.id)
