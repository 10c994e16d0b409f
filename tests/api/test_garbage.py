"""A request leaves nothing behind: what it was made of goes when it ends, not when the garbage collector comes.

Where a request lies in a circle of references, a busy server drags thousands of finished ones along: hundreds of
megabytes, and a fifth of its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from antiphon.http.exchange import Exchange
from antiphon.http.protocol import Connection
from antiphon.responses.journal import Journal
from antiphon.responses.run import Run
from antiphon.upstream.network import NetworkReply
from antiphon.upstream.stream import ChatStream
from tests.server import Server
from tests.upstreams import PATIENCE, Break, FakeBackend, Step, delta

#: What belongs to one request. The last one of a connection may still be held by that.
_OF_ONE_REQUEST = (ChatStream, Connection, Exchange, Journal, NetworkReply, Run)

Body = dict[str, Any]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The collector stands still; what is garbage before the test is not held against it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _alive() -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in _OF_ONE_REQUEST)


Ask = Callable[[Server, FakeBackend], object]


def _post(path: str, **body: Any) -> Ask:
    return lambda server, _: server.http.post(path, json={"model": "m", **body}).raise_for_status().read()


def _again(server: Server, _: FakeBackend) -> None:
    made = server.http.post("/v1/responses", json={"model": "m", "input": "Hi"}).json()
    server.read_events("GET", f"/v1/responses/{made['id']}?stream=true")


def _hang_up(server: Server, _: FakeBackend) -> None:
    with server.http.stream("POST", "/v1/responses", json={"model": "m", "input": "Hi", "stream": True}):
        pass


def _broken(*steps: Step, path: str = "/v1/responses", **body: Any) -> Ask:
    """The back end begins so, and that is no answer."""

    def send(server: Server, backend: FakeBackend) -> None:
        backend.answer(*steps)
        with contextlib.suppress(httpx2.RemoteProtocolError):
            server.http.post(path, json={"model": "m", **body}).read()

    return send


def _refused(server: Server, backend: FakeBackend) -> None:
    backend.refuse(429, {"message": "Later."})
    assert server.http.post("/v1/responses", json={"model": "m", "input": "Hi"}).status_code == 429


_TALK: Body = {"messages": [{"role": "user", "content": "Hi"}]}
_HI: Body = {"input": "Hi", "stream": True}
_NAMELESS = [delta(tool_calls=[{"index": 0, "id": "a", "function": {"arguments": "{}"}}]), delta("tool_calls")]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(_post("/v1/responses", **_HI), id="stream"),
        pytest.param(_post("/v1/responses", **_HI, store=False), id="unstored"),
        pytest.param(_post("/v1/responses", input="Hi"), id="json"),
        pytest.param(_again, id="again"),
        pytest.param(_hang_up, id="hang-up"),
        pytest.param(_post("/v1/chat/completions", **_TALK, stream=True), id="chat"),
        pytest.param(_refused, id="refused"),
        pytest.param(_broken(delta(content="Hi"), {"error": {"message": "No more."}}, **_HI), id="error"),
        pytest.param(_broken(delta(content="Hi"), b"data: {\n\n", **_HI), id="no-json"),
        pytest.param(_broken(delta(content="Hi"), Break(), **_HI), id="cut"),
        pytest.param(_broken(delta(content="Hi"), Break(), input="Hi"), id="cut-json"),
        pytest.param(_broken(*_NAMELESS, **_HI), id="nameless-call"),
        pytest.param(
            _broken(delta(content="Hi"), Break(), path="/v1/chat/completions", **_TALK, stream=True), id="cut-chat"
        ),
    ],
)
@pytest.mark.usefixtures("no_collector")
def test_requests_leave_nothing_behind(server: Server, backend: FakeBackend, ask: Ask) -> None:
    """However many have been answered, only the last is still there, if any."""
    before = _alive()
    for _ in range(12):
        ask(server, backend)
    until = time.monotonic() + PATIENCE
    while max((left := _alive() - before).values(), default=0) > 2 and time.monotonic() < until:
        server.http.get("/health")  # lets the server's loop turn
    assert max(left.values(), default=0) <= 2, left


@pytest.mark.usefixtures("no_collector")
def test_a_request_under_another_server_leaves_nothing_behind() -> None:
    """Nor does the task that watched its client."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    async def ask() -> None:
        exchange = Exchange({"type": "http", "headers": []}, receive, send, 0)
        with exchange:
            await asyncio.sleep(0)
        await exchange.unwatched()

    before = _alive()
    asyncio.run(ask())
    assert not _alive() - before
