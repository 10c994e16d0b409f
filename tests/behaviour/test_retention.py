"""The event log of a response is kept for a while; the response itself stays."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.config import StorageConfig
from antiphon.storage import open_store
from tests.behaviour.hosts import Hosts
from tests.databases import KINDS, FreshDatabase, Kind
from tests.upstreams import PATIENCE


@pytest.mark.parametrize("kind", KINDS)
def test_an_expired_log(fresh_database: FreshDatabase, hosts: Hosts, kind: Kind) -> None:
    """``?stream=true`` is a 400 that says so; GET, its items and its chain go on."""
    url = fresh_database(kind)
    server = hosts(storage={"database_url": url})
    old = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()
    assert asyncio.run(expire(url, old["created_at"])) == 0
    assert len(server.read_events("GET", f"/v1/responses/{old['id']}?stream=true")) > 5
    assert asyncio.run(expire(url, old["created_at"] + 1)) == 1
    reply = server.http.get(f"/v1/responses/{old['id']}?stream=true")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "events_expired")
    assert reply.json()["error"]["param"] == "stream"
    assert server.http.get(f"/v1/responses/{old['id']}").json() == old
    assert len(server.http.get(f"/v1/responses/{old['id']}/input_items").json()["data"]) == 1
    chained = {"model": "m", "input": "and?", "previous_response_id": old["id"]}
    assert server.http.post("/v1/responses", json=chained).json()["status"] == "completed"


def test_the_housekeeper(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server drops what is old by itself, now and then, as long as the configuration says it keeps it."""
    monkeypatch.setattr("antiphon.app.application._EXPIRY_SECONDS", 0.01)
    server = hosts(storage={"journal_retention_seconds": 0})
    old = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()
    for _ in range(int(PATIENCE * 10)):
        reply = server.http.get(f"/v1/responses/{old['id']}?stream=true")
        if reply.status_code == 400:
            break
        server.inside(asyncio.sleep(0.1))
    assert reply.json()["error"]["code"] == "events_expired"
    assert server.http.get(f"/v1/responses/{old['id']}").json() == old


async def expire(url: str, before: int) -> int:
    """Drops the logs of responses made before this second, as the server's housekeeper does; how many."""
    store = await open_store(StorageConfig(database_url=url))
    try:
        return await store.expire_journals(before)
    finally:
        await store.close()
