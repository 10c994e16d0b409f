"""SIGTERM: what runs may end, what cannot end in time is stored as cancelled, and the process goes with 0."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.behaviour.processes import Process, Processes
from tests.behaviour.wire import Caller, Json
from tests.responses import grammar
from tests.upstreams import PATIENCE, FakeBackend, Gate, delta, text


@pytest.fixture
def start(processes: Processes, backend: FakeBackend) -> Process:
    """A server that gives what runs one second."""
    return processes("--upstream", backend.url, ANTIPHON_SERVER__SHUTDOWN_SECONDS="1").answering()


def again(processes: Processes, response_id: str) -> Json:
    """The response as the next process on the same data finds it."""
    process = processes().answering()
    with Caller(process.root).send("GET", f"/v1/responses/{response_id}") as caller:
        response = caller.json()
    with Caller(process.root).send("GET", f"/v1/responses/{response_id}?stream=true") as caller:
        events = list(caller.events())
    grammar.check(events)
    assert events[-1]["response"] == response
    return response


def quiet(process: Process) -> None:
    """It said nothing that looks like trouble."""
    assert "Traceback" not in process.said
    assert "ERROR" not in process.said, process.said


def begun(process: Process, backend: FakeBackend, gate: Gate) -> Caller:
    """A stream in the middle of its answer, and one token told."""
    backend.answer(delta(content="half "), gate, *text("an answer"))
    caller = Caller(process.root).create(stream=True)
    caller.until("response.output_text.delta")
    return caller


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle(start: Process, number: signal.Signals) -> None:
    """Nothing to wait for: at once, whatever connections are open."""
    with Caller(start.root).send("GET", "/health") as caller:
        assert caller.json() == {"status": "ok"}
        began = time.monotonic()
        start.signal(number)
        assert start.ended() == 0
        assert time.monotonic() - began < 1.0
    quiet(start)


def test_what_can_end_ends(start: Process, processes: Processes, backend: FakeBackend) -> None:
    """A stream that finishes in the time it has is completed, told and stored; nobody new is let in."""
    gate = Gate()
    with begun(start, backend, gate) as caller:
        start.signal()
        refused(start)
        gate.open()
        last = list(caller.events())[-1]
        assert last["type"] == "response.completed"
    assert start.ended() == 0
    quiet(start)
    assert again(processes, last["response"]["id"]) == last["response"]


def test_what_cannot_end_is_cancelled(start: Process, processes: Processes, backend: FakeBackend) -> None:
    """Its time over, it is closed, told and stored as cancelled, and the back end is let go."""
    with begun(start, backend, Gate()) as caller:
        start.signal()
        last = list(caller.events())[-1]
        assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
        assert last["response"]["output"][0]["content"][0]["text"] == "half "
    assert backend.call().gone.wait(PATIENCE)
    assert start.ended() == 0
    quiet(start)
    assert again(processes, last["response"]["id"]) == last["response"]


def test_who_waits_for_the_whole_answer(start: Process, processes: Processes, backend: FakeBackend) -> None:
    """The same for a client that does not stream: it gets what there is."""
    gate = Gate()
    backend.answer(delta(content="half "), gate)
    with Caller(start.root).create() as caller:
        gate.reached()
        start.signal()
        response = caller.json()
        assert response["status"] == "cancelled"
    assert start.ended() == 0
    quiet(start)
    assert again(processes, response["id"]) == response


@pytest.mark.parametrize("streamed", [True, False])
def test_before_anything_was_told(start: Process, backend: FakeBackend, tmp_path: Path, streamed: bool) -> None:
    """A client that has nothing yet is told to come again, and nothing is stored."""
    gate = Gate()
    backend.answer(*text("never"), before=gate)
    with Caller(start.root).create(stream=streamed, store=True) as caller:
        gate.reached()
        start.signal()
        refused(start)
        start.signal()
        assert caller.json()["error"]["code"] == "unavailable"
        assert (caller.status, caller.headers["retry-after"]) == (503, "1")
    assert start.ended() == 0
    quiet(start)
    connection = sqlite3.connect(tmp_path / "data" / "antiphon.db")
    assert connection.execute("SELECT count(*) FROM responses").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal(
    processes: Processes, backend: FakeBackend, first: signal.Signals, second: signal.Signals
) -> None:
    """It takes the rest of the time away, and still loses nothing."""
    start = processes("--upstream", backend.url, ANTIPHON_SERVER__SHUTDOWN_SECONDS="60").answering()
    with begun(start, backend, Gate()) as caller:
        start.signal(first)
        refused(start)
        began = time.monotonic()
        start.signal(second)
        last = list(caller.events())[-1]
        assert last["response"]["status"] == "cancelled"
        assert start.ended() == 0
        assert time.monotonic() - began < 3.0
    quiet(start)
    assert again(processes, last["response"]["id"]) == last["response"]


def test_a_stream_passed_through(start: Process, backend: FakeBackend) -> None:
    """A chat stream that does not end cannot be closed well; it does not keep the process."""
    backend.answer(delta(content="half "), Gate())
    with Caller(start.root).send(
        "POST", "/v1/chat/completions", {"model": "m", "messages": [], "stream": True}
    ) as caller:
        caller.head()
        start.signal()
        began = time.monotonic()
        assert start.ended() == 0
        assert time.monotonic() - began < 5.0
    assert "Traceback" not in start.said, start.said


def test_a_reader_that_does_not_read(start: Process, processes: Processes, backend: FakeBackend) -> None:
    """It does not keep the process either."""
    backend.answer(*[delta(content="x" * 65536)] * 128, Gate())
    with Caller(start.root, buffer=4096).create(stream=True) as caller:
        response_id = caller.until("response.created")["response"]["id"]
        start.signal()
        began = time.monotonic()
        assert start.ended() == 0
        assert time.monotonic() - began < 5.0
    assert again(processes, response_id)["status"] == "cancelled"


def refused(process: Process) -> None:
    """Waits until nobody new is let in."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            with Caller(process.root) as caller:  # before it sends: that may be refused, too
                caller.send("GET", "/health").head()
        except (ConnectionError, IndexError):
            return
    raise AssertionError("it still listens")
