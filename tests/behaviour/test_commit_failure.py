"""When the store refuses, nobody is told that it is stored: the stream ends as failed, and the server goes on."""

from __future__ import annotations

import asyncio
import re
import sqlite3

import asyncpg
import pytest

from antiphon.storage import sqlite
from tests.behaviour.hosts import Host, Hosts
from tests.behaviour.wire import Caller
from tests.databases import FreshDatabase
from tests.responses import grammar
from tests.upstreams import FakeBackend, text


def refused(server: Host) -> str:
    """A stream whose commit fails: what the client gets; its id."""
    with Caller(server.root).create(stream=True) as caller:
        events = list(caller.events())
    grammar.check(events)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    response = events[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"]["code"] == "server_error"
    assert "store" in response["error"]["message"]
    assert response["output"] == [event["item"] for event in events if event["type"] == "response.output_item.done"]
    response_id: str = response["id"]
    return response_id


def gone(server: Host, response_id: str) -> None:
    """It is nowhere: not to be read, followed, continued or deleted."""
    for path in ("", "?stream=true", "/input_items"):
        assert server.http.get(f"/v1/responses/{response_id}{path}").status_code == 404
    assert server.http.delete(f"/v1/responses/{response_id}").status_code == 404
    chained = {"model": "m", "input": "and?", "previous_response_id": response_id}
    reply = server.http.post("/v1/responses", json=chained)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "previous_response_not_found")


def works(server: Host) -> str:
    """A response that is stored; its id."""
    reply = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).raise_for_status().json()
    assert reply["status"] == "completed"
    assert server.http.get(f"/v1/responses/{reply['id']}").json() == reply
    return str(reply["id"])


def test_the_file_is_locked(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that does not let go of the file: each response fails, and the next after it is stored."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    server = hosts()
    works(server)
    connection = sqlite3.connect(server.data_dir / "antiphon.db", isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        lost = refused(server)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    works(server)
    gone(server, lost)


def test_the_disk_is_full(hosts: Hosts, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response for which there is no room fails; smaller ones are stored before and after it."""
    settings = (*sqlite._SETTINGS, "PRAGMA max_page_count=200")
    monkeypatch.setattr(sqlite, "_SETTINGS", settings)
    server = hosts()
    before = works(server)
    backend.answer(*text("".join(map(str, range(300_000)))))
    lost = refused(server)
    gone(server, lost)
    works(server)
    assert server.http.get(f"/v1/responses/{before}").status_code == 200


def test_an_answer_that_is_not_streamed(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it failed, and has no id that could be found."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    server = hosts()
    connection = sqlite3.connect(server.data_dir / "antiphon.db", isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        told = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()
    finally:
        connection.close()
    assert told["status"] == "failed"
    gone(server, told["id"])


def test_postgresql_goes_away(fresh_database: FreshDatabase, hosts: Hosts) -> None:
    """A database that is taken away in mid-flight, and comes back."""
    url = fresh_database("postgresql")
    server = hosts(storage={"database_url": url})
    works(server)
    (name,) = re.findall(r"/(test_[0-9a-f]+)\?", url)
    admin = url.replace(f"/{name}?", "/postgres?")
    asyncio.run(execute(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", ending(name)))
    lost = refused(server)
    asyncio.run(execute(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    works(server)
    gone(server, lost)


def ending(name: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
