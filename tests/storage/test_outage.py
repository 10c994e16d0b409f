"""A database that goes away: PostgreSQL restarting, a SQLite file that somebody holds or that is full."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from antiphon.config import StorageConfig
from antiphon.errors import Unavailable
from antiphon.storage import open_store, sqlite
from tests.databases import FreshDatabase, query
from tests.storage.values import finished

pytestmark = pytest.mark.anyio

_KILL = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"


def _name(url: str) -> str:
    return url.split("/")[3].partition("?")[0]


async def test_connections_that_were_cut_are_replaced(fresh_database: FreshDatabase, postgres_server: str) -> None:
    """After the server has dropped all our connections the next reads and commits succeed."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    given = finished()
    await store.commit(given)
    await query(postgres_server, _KILL.format(name=_name(url)))
    later = [finished() for _ in range(5)]
    await asyncio.gather(*(store.commit(f) for f in later))
    assert given.response == await store.response("default", given.response.id)
    await store.close()


async def test_connections_cut_under_load(fresh_database: FreshDatabase, postgres_server: str) -> None:
    """Cut again and again while it writes: what a commit acknowledged is there, and a refused one says unavailable."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    given = [finished() for _ in range(400)]

    async def work(part: list) -> list[BaseException | None]:  # type: ignore[type-arg]
        return [(await asyncio.gather(store.commit(f), return_exceptions=True))[0] for f in part]

    async def cut() -> None:
        for _ in range(15):
            await query(postgres_server, _KILL.format(name=_name(url)))

    parts = await asyncio.gather(*(work(given[n::8]) for n in range(8)), cut())
    outcomes = {f.response.id: o for n in range(8) for f, o in zip(given[n::8], parts[n] or [], strict=True)}
    assert {type(o) for o in outcomes.values()} <= {type(None), Unavailable}
    for f in given:
        if outcomes[f.response.id] is None:
            assert f.response == await store.response("default", f.response.id)
    await store.close()


async def test_a_server_that_is_gone(fresh_database: FreshDatabase, postgres_server: str) -> None:
    """While no connection can be had reads and commits are refused as unavailable; afterwards they work again."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    given = finished()
    await query(postgres_server, f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS false")
    await query(postgres_server, _KILL.format(name=_name(url)))
    outcomes = await asyncio.gather(*(store.commit(finished()) for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    with pytest.raises(Unavailable):
        await store.response("default", "resp_x")
    await query(postgres_server, f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS true")
    await store.commit(given)
    assert given.response == await store.response("default", given.response.id)
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
