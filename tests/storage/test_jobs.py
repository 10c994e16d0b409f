"""Jobs in the store, on both databases: whoever claims, waits, loses or cancels, each job is one's at a time."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.config import StorageConfig
from antiphon.storage import Stores, open_store
from antiphon.storage.jobs.model import Claimed, NewJob
from tests.databases import query
from tests.storage.values import fresh_owner

pytestmark = pytest.mark.anyio

MINUTE = 60_000


def fresh_kind() -> str:
    """A kind that only one example claims."""
    return os.urandom(8).hex()


def job(name: str, kind: str = "work", payload: bytes = b"{}") -> NewJob:
    """Work."""
    return NewJob(name, kind, payload)


async def claim(store: Stores, kind: str = "work", *, limit: int = 1, lease: int = MINUTE) -> list[Claimed]:
    """Under a token of its own."""
    return await store.jobs.claim(os.urandom(8).hex(), lease, [kind], limit)


async def all_ready(store: Stores, kind: str, lease: int = MINUTE) -> list[Claimed]:
    """Every job of this kind that is ready."""
    found: list[Claimed] = []
    while got := await claim(store, kind, limit=8, lease=lease):
        found += got
    return found


async def test_a_job_comes_out_as_it_went_in(store: Stores) -> None:
    """Its payload, its owner, its first attempt; and only to those who do its kind."""
    payload = msgspec.json.encode({"text": 'é"\\\n', "nul": "\0"})
    await store.jobs.add("a", [job("one", "k", payload)])
    assert await claim(store, "other") == []
    (got,) = await claim(store, "k")
    assert (got.owner, got.id, got.kind, got.payload, got.attempt) == ("a", "one", "k", payload, 1)
    assert not got.cancelled
    assert await claim(store, "k") == []
    assert await store.jobs.finish(got)
    assert not await store.jobs.finish(got)
    assert await store.jobs.wait() is None


async def test_one_id_is_one_job_of_its_owner(store: Stores) -> None:
    """Added twice it is owed once; another owner's of that name is another."""
    await store.jobs.add("a", [job("one", payload=b"1")])
    await store.jobs.add("a", [job("one", payload=b"2"), job("two")])
    await store.jobs.add("b", [job("one", payload=b"3")])
    got = await all_ready(store, "work")
    assert {(one.owner, one.id, one.payload) for one in got} == {
        ("a", "one", b"1"),
        ("a", "two", b"{}"),
        ("b", "one", b"3"),
    }
    assert not await store.jobs.cancel("b", "two")
    thief = msgspec.structs.replace(next(one for one in got if one.id == "two"), owner="b")
    assert not await store.jobs.finish(thief)


async def test_owners_take_turns(store: Stores) -> None:
    """Many jobs of one do not hold up the one of another."""
    await store.jobs.add("a", [job(f"{n:03}") for n in range(50)])
    await store.jobs.add("b", [job("last")])
    got = await claim(store, limit=2)
    assert {one.owner for one in got} == {"a", "b"}


async def test_many_at_once(store: Stores, url: str) -> None:
    """A batch of 2000 is one statement."""
    await store.jobs.add("a", [job(f"{n:04}") for n in range(2000)])
    assert (await query(url, "SELECT count(*) FROM jobs"))[0][0] == 2000


async def test_a_lease_that_ended_is_claimed_again(store: Stores) -> None:
    """And who had it before can neither renew it nor write with it."""
    await store.jobs.add("a", [job("one")])
    (first,) = await claim(store, lease=1)
    while not (again := await claim(store)):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    (second,) = again
    assert (second.id, second.attempt) == ("one", 2)
    assert await store.jobs.renew([first], MINUTE) == []
    for late in (store.jobs.finish, store.jobs.give_back):
        assert not await late(first)
    assert not await store.jobs.put_off(first, 0)
    assert [one.token for one in await store.jobs.renew([second], MINUTE)] == [second.token]
    assert await store.jobs.finish(second)


async def test_a_lease_is_renewed(store: Stores) -> None:
    """For as long as is asked, by the database's clock."""
    await store.jobs.add("a", [job("one"), job("two")])
    held = await all_ready(store, "work", lease=50)
    assert len(await store.jobs.renew(held, MINUTE)) == 2
    wait = await store.jobs.wait()
    assert wait is not None
    assert MINUTE / 2 < wait <= MINUTE


async def test_put_off_and_given_back(store: Stores) -> None:
    """A failed attempt waits and counts; one that was given back does neither."""
    await store.jobs.add("a", [job("one")])
    (got,) = await claim(store)
    assert await store.jobs.give_back(got)
    (got,) = await claim(store)
    assert got.attempt == 1
    assert await store.jobs.put_off(got, MINUTE)
    assert await claim(store) == []
    wait = await store.jobs.wait()
    assert wait is not None
    assert MINUTE / 2 < wait <= MINUTE


async def test_cancelled(store: Stores) -> None:
    """Who holds it is told at the next renewal; where nobody does it is ready at once, whatever it waited for."""
    await store.jobs.add("a", [job("one"), job("two")])
    held = {one.id: one for one in await all_ready(store, "work")}
    assert await store.jobs.put_off(held["two"], MINUTE)
    assert await store.jobs.cancel("a", "one")
    assert await store.jobs.cancel("a", "two")
    assert not await store.jobs.cancel("b", "one")
    (renewed,) = await store.jobs.renew([held["one"]], MINUTE)
    assert renewed.cancelled
    (again,) = await claim(store)
    assert (again.id, again.cancelled) == ("two", True)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    owed=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=12, unique=True),
    workers=st.integers(1, 4),
    limit=st.integers(1, 4),
)
async def test_no_job_is_anothers_too(store: Stores, owed: list[tuple[int, int]], workers: int, limit: int) -> None:
    """However many claim at once: each job comes to one of them, and none is left behind."""
    owners, kind = [fresh_owner() for _ in range(3)], fresh_kind()
    for owner, name in owed:
        await store.jobs.add(owners[owner], [job(str(name), kind)])

    async def work() -> list[tuple[str, str]]:
        mine: list[tuple[str, str]] = []
        while got := await claim(store, kind, limit=limit):
            mine += [(one.owner, one.id) for one in got]
        return mine

    taken = Counter(one for mine in await asyncio.gather(*(work() for _ in range(workers))) for one in mine)
    # A worker that saw nothing may have looked while another held the row, so what is left is asked for once more.
    taken.update((one.owner, one.id) for one in await all_ready(store, kind))
    assert taken == Counter((owners[owner], str(name)) for owner, name in owed)


async def test_two_processes_claim_from_one_database(store: Stores, url: str) -> None:
    """Two stores on one database never get the same job."""
    other = await open_store(StorageConfig(database_url=url))
    try:
        await store.jobs.add("a", [job(f"{n:03}") for n in range(60)])
        left, right = await asyncio.gather(all_ready(store, "work"), all_ready(other, "work"))
        names = [one.id for one in (*left, *right)]
        assert len(names) == len(set(names)) == 60
    finally:
        await other.close()
    assert (await query(url, "SELECT count(*) FROM jobs WHERE token IS NULL"))[0][0] == 0
