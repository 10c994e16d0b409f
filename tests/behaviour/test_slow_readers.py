"""A reader that does not read: it never slows a stored run, and may come again; an unstored run waits for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.behaviour.hosts import Host, Hosts
from tests.behaviour.wire import Caller, event_of
from tests.responses import grammar
from tests.upstreams import PATIENCE, FakeBackend, Gate, call_piece, delta, text, usage

PIECE = "x" * 64 * 1024
#: Pieces: more than the buffers of one socket hold (8 MiB), and than those of all sockets on the way do (20 MiB).
SOME = 128
MANY = 320
ROOM = 1 << 30
SMALL = 4096
KINDS = [None, "h11"]


Callers = Callable[[str], Caller]


@pytest.fixture
def callers(hosts: Hosts) -> Iterator[Callers]:
    """Makes clients with a small receive buffer; they hang up before the servers are stopped."""
    with contextlib.ExitStack() as stack:
        yield lambda root: stack.enter_context(Caller(root, buffer=SMALL))


class Mark(Gate):
    """A place in an answer that counts how often the back end has passed it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def passed(self) -> None:
        self.count += 1


def rest(caller: Caller) -> list[dict[str, Any]]:
    """What a dropped reader still finds in its buffers: whole events, and no end."""
    found: list[dict[str, Any]] = []
    try:
        found += [event_of(frame) for frame in caller.frames() if frame.startswith(b"event")]
    except (ConnectionError, ValueError, AssertionError):
        pass  # cut in the middle, as it must be
    return found


def resumed(server: Host, response_id: str, last: int) -> list[dict[str, Any]]:
    return server.read_events("GET", f"/v1/responses/{response_id}?stream=true&starting_after={last}")


@pytest.mark.parametrize("http", KINDS)
def test_too_far_behind(hosts: Hosts, callers: Callers, backend: FakeBackend, http: str | None) -> None:
    """The reader is dropped, the run is neither slowed nor cancelled, and the rest is there, byte for byte."""
    server = hosts(http=http, responses={"reader_lag_bytes": 1024 * 1024, "reader_stall_seconds": 1.0})
    gate = Gate()
    backend.answer(*[delta(content=PIECE)] * SOME, gate, *text("end"))
    caller = callers(server.root).create(stream=True)
    response_id = caller.until("response.created")["response"]["id"]
    gate.reached()
    server.has_lost_its_client(abandoned=http is not None)
    assert server.http.get(f"/v1/responses/{response_id}").json()["status"] == "in_progress"
    assert not backend.call().gone.is_set()
    gate.open()
    assert server.ended(response_id)["status"] == "completed"
    whole = resumed(server, response_id, -1)
    grammar.check(whole)
    assert len(whole) > SOME
    last = max([1, *(event["sequence_number"] for event in rest(caller))])
    assert last < len(whole) - 1, "it was not dropped"
    assert resumed(server, response_id, last) == whole[last + 1 :]


@pytest.mark.parametrize("http", KINDS)
def test_no_progress(hosts: Hosts, callers: Callers, backend: FakeBackend, http: str | None) -> None:
    """A reader that takes nothing for too long is dropped, however little it is behind."""
    responses = {"reader_lag_bytes": 1 << 30, "reader_stall_seconds": 0.3}
    server = hosts(http=http, responses=responses, server={"keepalive_seconds": 0.1})
    gate = Gate()
    backend.answer(*[delta(content=PIECE)] * SOME, gate, *text("end"))
    caller = callers(server.root).create(stream=True)
    response_id = caller.until("response.created")["response"]["id"]
    server.has_lost_its_client(abandoned=http is not None)
    gate.open()
    assert server.ended(response_id)["status"] == "completed"


@pytest.mark.parametrize("http", KINDS)
def test_an_unstored_run_waits(hosts: Hosts, callers: Callers, backend: FakeBackend, http: str | None) -> None:
    """The back end is made to wait, memory stays bounded, and all of it arrives once the reader reads."""
    server = hosts(http=http, responses={"max_response_bytes": ROOM})
    mark = Mark()
    backend.answer(*[step for _ in range(MANY) for step in (delta(content=PIECE), mark)], *text("end"))
    caller = callers(server.root).create(stream=True, store=False)
    caller.until("response.created")
    server.holds()
    before = settled(mark)
    assert before < MANY - 50
    told = [event["delta"] for event in caller.events() if event["type"] == "response.output_text.delta"]
    assert sum(map(len, told)) == MANY * len(PIECE) + 3


@pytest.mark.parametrize("http", KINDS)
def test_an_unstored_run_does_not_wait_forever(
    hosts: Hosts, callers: Callers, backend: FakeBackend, http: str | None
) -> None:
    """Its reader is dropped when it takes nothing for too long; then there is nobody left, and the run ends."""
    server = hosts(
        http=http,
        responses={"reader_stall_seconds": 0.3, "max_response_bytes": ROOM},
        server={"keepalive_seconds": 0.1},
    )
    backend.answer(*[delta(content=PIECE)] * MANY, Gate())
    callers(server.root).create(stream=True, store=False).until("response.created")
    assert backend.call().gone.wait(PATIENCE)
    server.idle()


@pytest.mark.parametrize("http", KINDS)
def test_who_comes_late_is_not_behind(hosts: Hosts, backend: FakeBackend, http: str | None) -> None:
    """A reader that resumes may have more to catch up on than a live one may be behind."""
    server = hosts(http=http, responses={"reader_lag_bytes": 256 * 1024})
    gate = Gate()
    backend.answer(*[delta(content=PIECE)] * 64, gate, *text("end"))
    with Caller(server.root).create(stream=True) as first:
        response_id = first.until("response.created")["response"]["id"]
        gate.reached()
        with Caller(server.root).send("GET", f"/v1/responses/{response_id}?stream=true&starting_after=1") as second:
            for _ in range(20):
                second.until("response.output_text.delta")
            gate.open()
            late = list(second.events())
        assert late[-1]["type"] == "response.completed"
        assert late[-1] == list(first.events())[-1]


@pytest.mark.parametrize("http", KINDS)
def test_the_last_of_the_catching_up_is_no_lag(
    hosts: Hosts, callers: Callers, backend: FakeBackend, http: str | None
) -> None:
    """The end of an item says its text three times over; who catches up with that meanwhile is not behind."""
    server = hosts(http=http, responses={"reader_lag_bytes": 256 * 1024})
    gate = Gate()
    call = [call_piece(0, "call_1", "f", "{"), gate, call_piece(0, None, None, "}"), delta("tool_calls"), usage()]
    backend.answer(*[delta(content=PIECE)] * 64, *call)
    with Caller(server.root).create(stream=True) as first:
        response_id = first.until("response.created")["response"]["id"]
        server.has_told("response.function_call_arguments.delta")
        second = callers(server.root).send("GET", f"/v1/responses/{response_id}?stream=true")
        second.until("response.function_call_arguments.delta")
        gate.open()
        assert list(second.events())[-1]["type"] == "response.completed"


@pytest.mark.parametrize("http", KINDS)
def test_a_comment_into_silence(hosts: Hosts, backend: FakeBackend, http: str | None) -> None:
    """After so much silence, and only then."""
    server = hosts(http=http, server={"keepalive_seconds": 0.2})
    gate = Gate()
    backend.answer(*[delta(content="word ")] * 50, gate, *text("end"))
    with Caller(server.root).create(stream=True) as caller:
        frames = caller.frames()
        talk = [next(frames) for _ in range(4 + 50)]
        assert not any(frame.startswith(b":") for frame in talk)
        since = time.monotonic()
        for _ in range(2):
            assert next(frames).startswith(b":")
            assert time.monotonic() - since > 0.15
            since = time.monotonic()
        gate.open()
        assert not any(frame.startswith(b":") for frame in frames)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_response_that_grows_too_large(hosts: Hosts, backend: FakeBackend, streamed: bool) -> None:
    """It fails, is stored as it is, names the setting, and the back end is let go; its log ends well."""
    server = hosts(responses={"max_response_bytes": 200_000})
    backend.answer(*[delta(content="y" * 1000)] * 400, Gate())
    with Caller(server.root).create(stream=streamed) as caller:
        told = list(caller.events())[-1]["response"] if streamed else caller.json()
    assert backend.call().gone.wait(PATIENCE)
    assert told["status"] == "failed"
    assert "max_response_bytes" in told["error"]["message"]
    assert server.ended(told["id"]) == told
    events = resumed(server, told["id"], -1)
    grammar.check(events)
    assert events[-1]["type"] == "response.failed"


def settled(mark: Mark) -> int:
    """How far the back end has come, once it comes no further."""
    seen = -1
    while mark.count != seen:
        seen = mark.count
        time.sleep(0.2)  # that something does not happen can only be waited for
    return seen
