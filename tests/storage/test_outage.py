"""A database that goes away: PostgreSQL restarting, a SQLite file that somebody holds or that is full."""

from __future__ import annotations

import asyncio
import sqlite3

import msgspec
import pytest
from hypothesis import given

from antiphon.config import StorageConfig
from antiphon.errors import Unavailable
from antiphon.storage import open_store, sqlite
from antiphon.storage.model import Finished
from antiphon.storage.rows import is_of, pack
from tests.databases import FreshDatabase, query
from tests.storage.values import anything, finished

pytestmark = pytest.mark.anyio

_KILL = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"


def _name(url: str) -> str:
    return url.split("/")[3].partition("?")[0]


async def test_connections_that_were_cut_are_replaced(fresh_database: FreshDatabase, postgres_server: str) -> None:
    """After the server has dropped all our connections the next reads and commits succeed."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    kept = finished()
    await store.commit(kept)
    await query(postgres_server, _KILL.format(name=_name(url)))
    later = [finished() for _ in range(5)]
    await asyncio.gather(*(store.commit(f) for f in later))
    assert kept.response == await store.response("default", kept.response.id)
    await store.close()


async def test_connections_cut_under_load(fresh_database: FreshDatabase, postgres_server: str) -> None:
    """A commit whose connection was cut under it is carried to its end on another one, exactly once."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    many = [finished() for _ in range(400)]

    async def work(part: list[Finished]) -> None:
        for f in part:
            await store.commit(f)

    async def cut() -> None:
        for _ in range(5):
            await query(postgres_server, _KILL.format(name=_name(url)))
            await store.commit(finished())

    await asyncio.gather(*(work(many[n::8]) for n in range(8)), cut())
    for f in many:
        assert f.response == await store.response("default", f.response.id)
    await store.close()


@given(given_=anything(), other=anything())
def test_a_stored_response_is_known_again(given_: Finished, other: Finished) -> None:
    """After an uncertain commit only the very same response counts as done."""
    packed = pack(given_)
    assert is_of(packed, given_.response)
    for name in given_.response.__struct_fields__:
        changed = msgspec.structs.replace(given_.response, **{name: getattr(other.response, name)})
        assert is_of(packed, changed) == (changed == given_.response)


async def test_a_server_that_is_gone(fresh_database: FreshDatabase, postgres_server: str) -> None:
    """While no connection can be had reads and commits are refused as unavailable; afterwards they work again."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    kept = finished()
    await query(postgres_server, f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS false")
    await query(postgres_server, _KILL.format(name=_name(url)))
    outcomes = await asyncio.gather(*(store.commit(finished()) for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    with pytest.raises(Unavailable):
        await store.response("default", "resp_x")
    await query(postgres_server, f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS true")
    await store.commit(kept)
    assert kept.response == await store.response("default", kept.response.id)
    await store.close()


async def test_a_file_that_somebody_holds(fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process keeps the file locked past the patience, commits are refused as unavailable, then work."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    url = fresh_database("sqlite")
    store = await open_store(StorageConfig(database_url=url))
    holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(*(store.commit(finished()) for _ in range(3)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    holder.execute("ROLLBACK")
    holder.close()
    await store.commit(finished())
    assert await query(url, "SELECT count(*) FROM responses") == [(1,)]
    await store.close()


async def test_a_full_disk(fresh_database: FreshDatabase) -> None:
    """A response that no longer fits is refused whole; the store goes on, and a small one may still fit."""
    url = fresh_database("sqlite")
    store = await open_store(StorageConfig(database_url=url))
    writer = store._database._writer  # type: ignore[attr-defined]
    ((pages,),) = await query(url, "PRAGMA page_count")
    writer.execute(f"PRAGMA max_page_count={pages + 8}")
    big = finished(items=[type(finished().items[0])("msg_big", "in", 0, b"x" * 100_000)])
    with pytest.raises(Unavailable):
        await store.commit(big)
    small = finished()
    await store.commit(small)
    assert await query(url, "SELECT id FROM responses") == [(small.response.id,)]
    await store.close()
