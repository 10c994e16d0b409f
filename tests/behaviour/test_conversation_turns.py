"""Turns of one conversation that meet, break off, or are made by servers that know nothing of each other."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Any

import httpx2
import pytest

from tests.behaviour.hosts import Host, Hosts
from tests.behaviour.processes import Processes
from tests.behaviour.wire import Caller, hang_up
from tests.databases import KINDS, FreshDatabase, Kind
from tests.upstreams import FakeBackend, Gate, delta, text

NO_WAIT = {"wait_seconds": 0.0}
SHORT = {"wait_seconds": 0.2}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which database."""
    kind: Kind = request.param
    return kind


def new(server: Host) -> str:
    """A conversation."""
    return str(server.http.post("/v1/conversations").raise_for_status().json()["id"])


def texts(server: Host, talk: str) -> list[str]:
    """What was said in it, from the start."""
    page = server.http.get(f"/v1/conversations/{talk}/items?order=asc&limit=100").raise_for_status().json()
    return ["".join(part["text"] for part in item["content"]) for item in page["data"]]


def ask(server: Host, talk: str, said: str, **more: Any) -> Any:
    """A turn that is not streamed."""
    return server.http.post("/v1/responses", json={"model": "m", "input": said, "conversation": talk, **more})


def locked(reply: Any, param: str = "conversation") -> None:
    """The reply says that another turn is under way, and when to come again."""
    assert reply.status_code == 409, reply.text
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("conversation_locked", param)
    assert int(reply.headers["retry-after"]) > 0


def servers_of(hosts: Hosts, fresh_database: FreshDatabase, kind: Kind, **settings: Any) -> tuple[Host, Host]:
    """Two servers on one database."""
    url = fresh_database(kind)
    first, second = (hosts(storage={"database_url": url}, **settings) for _ in range(2))
    return first, second


@pytest.mark.parametrize("other", ["the same server", "another server"])
def test_the_second_waits(
    hosts: Hosts, backend: FakeBackend, fresh_database: FreshDatabase, kind: Kind, other: str
) -> None:
    """It begins when the first has ended, and the model is told what the first said, asked and answered."""
    first, second = servers_of(hosts, fresh_database, kind)
    if other == "the same server":
        second = first
    talk, gate = new(first), Gate()
    backend.answer(delta(content="one "), gate, *text("two"))
    replies = []
    with Caller(first.root).create(input="1", stream=True, conversation=talk) as caller:
        caller.until("response.output_text.delta")
        gate.reached()
        waiting = threading.Thread(target=lambda: replies.append(ask(second, talk, "2")))
        waiting.start()
        time.sleep(0.3)  # long enough to begin, if it did not wait
        assert len(backend.calls) == 1
        assert texts(first, talk) == [], "a turn is appended when it ends"
        gate.open()
        list(caller.events())
    waiting.join(10)
    assert replies[0].json()["status"] == "completed"
    assert [message["content"] for message in backend.last["messages"]] == ["1", "one two", "2"]
    assert texts(second, talk) == ["1", "one two", "2", "ok"]


@pytest.mark.parametrize("other", ["the same server", "another server"])
def test_who_waits_too_long_is_refused(
    hosts: Hosts, backend: FakeBackend, fresh_database: FreshDatabase, kind: Kind, other: str
) -> None:
    """A 409 that says when to try again, for turns and for items; then everything goes on, in order."""
    first, second = servers_of(hosts, fresh_database, kind, conversations=SHORT)
    if other == "the same server":
        second = first
    talk, gate = new(first), Gate()
    backend.answer(delta(content="one "), gate, *text("two"))
    added = {"items": [{"role": "user", "content": "put in"}]}
    with Caller(first.root).create(input="1", stream=True, conversation=talk) as caller:
        caller.until("response.output_text.delta")
        locked(ask(second, talk, "2"))
        locked(ask(second, talk, "2", stream=True))
        locked(second.http.post(f"/v1/conversations/{talk}/items", json=added), "conversation_id")
        assert ask(second, new(second), "elsewhere").status_code == 200, "other conversations do not wait"
        assert second.http.get(f"/v1/conversations/{talk}/items").json()["data"] == []
        gate.open()
        list(caller.events())
    second.http.post(f"/v1/conversations/{talk}/items", json=added).raise_for_status()
    assert ask(second, talk, "2").json()["status"] == "completed"
    assert texts(first, talk) == ["1", "one two", "put in", "2", "ok"]


def test_many_at_once(hosts: Hosts, fresh_database: FreshDatabase, kind: Kind) -> None:
    """Twenty turns thrown at two servers: each is whole, with its answer behind it, and none is lost."""
    pair = servers_of(hosts, fresh_database, kind)
    talk = new(pair[0])
    replies: list[Any] = []

    def go(n: int) -> None:
        replies.append(ask(pair[n % 2], talk, f"q{n}", stream=n % 3 == 0))

    threads = [threading.Thread(target=go, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [reply.status_code for reply in replies] == [200] * 20
    said = texts(pair[0], talk)
    assert said[1::2] == ["ok"] * 20
    assert sorted(said[0::2]) == sorted(f"q{n}" for n in range(20))


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_hang_up_in_the_middle(hosts: Hosts, backend: FakeBackend, streamed: bool, store: bool) -> None:
    """Nothing of the turn is appended, the next one need not wait, and the response is kept as cancelled."""
    server = hosts(conversations=NO_WAIT)
    talk = new(server)
    ask(server, talk, "1").raise_for_status()
    gate = Gate()
    backend.answer(delta(content="half "), gate, *text("more"))
    caller = Caller(server.root).create(stream=streamed, conversation=talk, input="2", store=store)
    gate.reached()
    server.has_told("response.output_text.delta")
    hang_up(caller, backend.call(1))
    server.idle()
    assert texts(server, talk) == ["1", "ok"]
    assert ask(server, talk, "3").json()["status"] == "completed"
    assert texts(server, talk) == ["1", "ok", "3", "ok"]
    with sqlite3.connect(server.data_dir / "antiphon.db") as connection:
        rows = connection.execute("SELECT status FROM responses WHERE conversation_id = ? ORDER BY id", [talk])
        assert [row[0] for row in rows] == ["completed", *(["cancelled"] if store else []), "completed"]
    connection.close()


def test_a_hang_up_while_waiting(hosts: Hosts, backend: FakeBackend) -> None:
    """A client that goes while its turn waits leaves nothing: no call of the model, no item, nobody kept out."""
    server = hosts()
    talk, gate = new(server), Gate()
    backend.answer(delta(content="one"), gate)
    with Caller(server.root).create(input="1", stream=True, conversation=talk) as caller:
        caller.until("response.output_text.delta")
        gone = Caller(server.root).create(input="2", stream=True, conversation=talk)
        time.sleep(0.1)
        gone.reset()
        gate.open()
        list(caller.events())
    server.idle()
    assert len(backend.calls) == 1
    assert ask(server, talk, "3").json()["status"] == "completed"
    assert texts(server, talk) == ["1", "one", "3", "ok"]


def test_a_refusal_lets_go(hosts: Hosts, backend: FakeBackend) -> None:
    """Whatever ends a turn before it has begun, the conversation is free: nobody waits for nothing."""
    server = hosts(conversations=NO_WAIT)
    talk = new(server)
    for body in (
        {"input": [{"type": "item_reference", "id": "msg_none"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-x"}]}]},
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "nothing"}}}},
    ):
        reply = server.http.post("/v1/responses", json={"model": "m", "input": "x", "conversation": talk, **body})
        assert reply.status_code in (200, 400, 404), reply.text
    backend.refuse(500, {"message": "no"})
    assert ask(server, talk, "x").status_code == 500
    server.idle()
    assert ask(server, talk, "2").status_code == 200


def test_the_store_refuses_a_turn(hosts: Hosts, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that cannot be stored is not in its conversation, and the next one is."""
    from antiphon.storage import sqlite

    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    server = hosts()
    talk = new(server)
    ask(server, talk, "1").raise_for_status()
    connection = sqlite3.connect(server.data_dir / "antiphon.db", isolation_level=None)
    gate = Gate()
    backend.answer(delta(content="lost"), gate)
    try:
        with Caller(server.root).create(input="2", stream=True, conversation=talk) as caller:
            caller.until("response.output_text.delta")
            connection.execute("BEGIN IMMEDIATE")
            gate.open()
            assert list(caller.events())[-1]["type"] == "response.failed"
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    assert texts(server, talk) == ["1", "ok"]
    assert ask(server, talk, "3").json()["status"] == "completed"
    assert texts(server, talk) == ["1", "ok", "3", "ok"]


def test_a_server_that_was_killed(processes: Processes, backend: FakeBackend) -> None:
    """kill -9 in the middle of a turn: the conversation is as before it, and the next turn waits and then goes on."""
    upstream = {"ANTIPHON_UPSTREAMS__LOCAL__URL": backend.url}
    first = processes(**upstream).answering()
    with httpx2.Client(base_url=f"{first.root}/v1", trust_env=False, timeout=30) as http:
        talk = http.post("/conversations").raise_for_status().json()["id"]
        http.post("/responses", json={"model": "m", "input": "1", "conversation": talk}).raise_for_status()
    backend.answer(delta(content="half"), Gate())
    caller = Caller(first.root).create(input="2", stream=True, conversation=talk)
    caller.until("response.output_text.delta")
    first.kill()
    caller.close()
    second = processes(**upstream).answering()
    with httpx2.Client(base_url=f"{second.root}/v1", trust_env=False, timeout=30) as http:
        told = http.post("/responses", json={"model": "m", "input": "3", "conversation": talk}).raise_for_status()
        assert told.json()["status"] == "completed"
        listed = http.get(f"/conversations/{talk}/items?order=asc").json()["data"]
    assert [item["content"][0]["text"] for item in listed] == ["1", "ok", "3", "ok"]
