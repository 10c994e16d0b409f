"""A client that hangs up stops the model, at once; what was produced stays, where it was to be stored."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from tests.behaviour.hosts import Hosts, open_files
from tests.behaviour.wire import Caller, hang_up
from tests.responses import grammar
from tests.server import Server, Servers
from tests.upstreams import PATIENCE, FakeBackend, Gate, call_piece, delta, text, usage

SOON = {"status_wait_seconds": 0.05}


def stored_ids(server: Server) -> list[str]:
    """Ids of every response in the server's file."""
    with sqlite3.connect(f"{server.config.storage.data_dir}/antiphon.db") as connection:
        rows = connection.execute("SELECT id FROM responses ORDER BY created_at, id").fetchall()
    connection.close()
    return [row[0] for row in rows]


def script(backend: FakeBackend, moment: str) -> Gate:
    """An answer that waits at this moment."""
    gate = Gate()
    if moment in ("before the status line", "after created"):
        backend.answer(*text("never"), before=gate)
    elif moment == "before the first token":
        backend.answer(gate, *text("never"))
    else:
        backend.answer(delta(content="half "), delta(content="an "), gate, *text("answer"))
    return gate


def produced(response: dict[str, Any]) -> list[tuple[str, str]]:
    """Status and text of each item."""
    return [(item["status"], "".join(part["text"] for part in item["content"])) for item in response["output"]]


@pytest.mark.parametrize(
    ("moment", "waits", "output"),
    [
        ("after created", SOON, []),
        ("before the first token", {}, []),
        ("in the stream", {}, [("incomplete", "half an ")]),
    ],
)
def test_a_stored_stream(
    servers: Servers, backend: FakeBackend, moment: str, waits: dict[str, Any], output: Sequence[tuple[str, str]]
) -> None:
    """The back end is let go within 100 ms; the response is stored as cancelled and can be replayed to a good end."""
    server = servers(responses=waits)
    gate = script(backend, moment)
    caller = Caller(server.root).create(stream=True)
    response_id = caller.until("response.created")["response"]["id"]
    if output:
        caller.until("response.output_text.delta")
    gate.reached()
    hang_up(caller, backend.call())
    response = server.ended(response_id)
    assert response["status"] == "cancelled"
    assert produced(response) == output
    events = server.read_events("GET", f"/v1/responses/{response_id}?stream=true")
    grammar.check(events)
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"] == response
    assert stored_ids(server).count(response_id) == 1


@pytest.mark.parametrize("moment", ["before the first token", "in the stream"])
def test_a_stored_answer_that_is_not_streamed(hosts: Hosts, backend: FakeBackend, moment: str) -> None:
    """The same, although its client never heard an id."""
    server = hosts()
    gate = script(backend, moment)
    caller = Caller(server.root).create(stream=False)
    gate.reached()
    if moment == "in the stream":
        server.has_told("response.output_text.delta")
    hang_up(caller, backend.call())
    server.idle()
    (response_id,) = stored_ids(server)
    response = server.ended(response_id)
    assert response["status"] == "cancelled"
    assert produced(response) == ([("incomplete", "half an ")] if moment == "in the stream" else [])


@pytest.mark.parametrize("streamed", [True, False])
def test_before_the_status_line(hosts: Hosts, backend: FakeBackend, streamed: bool) -> None:
    """Nothing has begun and no id was told, so nothing is stored; the back end is let go all the same."""
    server = hosts()
    gate = script(backend, "before the status line")
    caller = Caller(server.root).create(stream=streamed)
    gate.reached()
    hang_up(caller, backend.call())
    server.idle()
    assert stored_ids(server) == []


@pytest.mark.parametrize("streamed", [True, False])
def test_while_the_request_is_being_prepared(hosts: Hosts, backend: FakeBackend, streamed: bool) -> None:
    """A client that goes before the model is asked leaves no run that waits forever, and no call to the model."""
    server = hosts()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/notes.txt"
        content = [{"type": "input_file", "file_url": url}]
        caller = Caller(server.root).create(stream=streamed, input=[{"role": "user", "content": content}])
        fetching, _ = elsewhere.accept()
        with fetching:
            fetching.recv(4096)
            caller.reset()
            server.has_lost_its_client()
            fetching.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nnotes")
    server.idle()
    assert backend.calls == []
    assert stored_ids(server) == []


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("moment", ["before the status line", "before the first token", "in the stream"])
def test_unstored(hosts: Hosts, backend: FakeBackend, moment: str, streamed: bool) -> None:
    """Without ``store`` nothing remains, whatever ``on_disconnect`` says."""
    server = hosts(responses={"on_disconnect": "continue"})
    gate = script(backend, moment)
    caller = Caller(server.root).create(stream=streamed, store=False)
    if streamed and moment != "before the status line":
        response_id = caller.until("response.created")["response"]["id"]
        assert server.http.get(f"/v1/responses/{response_id}").status_code == 404
    gate.reached()
    hang_up(caller, backend.call())
    server.idle()
    assert stored_ids(server) == []


@pytest.mark.parametrize("streamed", [True, False])
def test_on_disconnect_continue(hosts: Hosts, backend: FakeBackend, streamed: bool) -> None:
    """A stored run that is to go on finishes without its client."""
    server = hosts(responses={"on_disconnect": "continue"})
    gate = script(backend, "in the stream")
    with Caller(server.root).create(stream=streamed) as caller:
        if streamed:
            caller.until("response.output_text.delta")
        gate.reached()
    gate.open()
    server.idle()
    assert not backend.call().gone.is_set()
    (response_id,) = stored_ids(server)
    response = server.ended(response_id)
    assert response["status"] == "completed"
    assert produced(response) == [("completed", "half an answer")]


def test_in_a_call(server: Server, backend: FakeBackend) -> None:
    """A cut tool call is closed as incomplete with the arguments it has, and the log keeps the grammar."""
    gate = Gate()
    backend.answer(delta(content="so: "), call_piece(0, "call_1", "look", ""), call_piece(0, None, None, '{"a"'), gate)
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    caller = Caller(server.root).create(stream=True, tools=[tool])
    response_id = caller.until("response.created")["response"]["id"]
    caller.until("response.function_call_arguments.delta")
    hang_up(caller, backend.call())
    response = server.ended(response_id)
    assert response["status"] == "cancelled"
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["output"][1]["arguments"] == '{"a"'
    grammar.check(server.read_events("GET", f"/v1/responses/{response_id}?stream=true"))


def test_usage_that_had_come(server: Server, backend: FakeBackend) -> None:
    """What the back end had counted before the end is in the cancelled response."""
    gate = Gate()
    backend.answer(delta(content="half"), usage(11, 5), gate)
    caller = Caller(server.root).create(stream=True)
    response_id = caller.until("response.created")["response"]["id"]
    caller.until("response.output_text.delta")
    gate.reached()
    hang_up(caller, backend.call())
    assert server.ended(response_id)["usage"]["total_tokens"] == 16


def test_a_follower_that_hangs_up(server: Server, backend: FakeBackend) -> None:
    """Only the client that asked for the run can end it; who reads along may come and go."""
    gate = script(backend, "in the stream")
    with Caller(server.root).create(stream=True) as caller:
        events = caller.events()
        response_id = next(events)["response"]["id"]
        with Caller(server.root).send("GET", f"/v1/responses/{response_id}?stream=true") as follower:
            follower.until("response.output_text.delta")
        gate.open()
        assert [event["type"] for event in events][-1] == "response.completed"


@pytest.mark.parametrize("streamed", [True, False])
def test_two_hundred_hang_ups(hosts: Hosts, backend: FakeBackend, streamed: bool) -> None:
    """No run, no task and no descriptor is left over."""
    server = hosts()

    def once() -> None:
        gate = script(backend, "before the first token")
        caller = Caller(server.root).create(stream=streamed)
        gate.reached()
        if streamed:
            caller.until("response.created")
        caller.reset()
        assert backend.calls[-1].gone.wait(5)

    for _ in range(5):
        once()
    server.idle()
    before, tasks = open_files(), server.tasks()
    for _ in range(100):
        once()
    server.idle()
    assert open_files() - before <= 2
    assert server.tasks() == tasks
