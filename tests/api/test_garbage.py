"""A request leaves nothing behind: what it was made of goes when it ends, not when the garbage collector comes.

Where a request lies in a circle of references, a busy server drags thousands of finished ones along: hundreds of
megabytes, and a fifth of its time.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from antiphon.http.exchange import Exchange
from antiphon.http.protocol import Connection
from antiphon.responses.journal import Journal
from antiphon.responses.run import Run
from antiphon.upstream.network import NetworkReply
from antiphon.upstream.stream import ChatStream
from tests.server import Server
from tests.upstreams import PATIENCE

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


def _post(path: str, **body: Any) -> Callable[[Server], None]:
    def send(server: Server) -> None:
        server.http.post(path, json={"model": "m", **body}).raise_for_status().read()

    return send


def _again(server: Server) -> None:
    made = server.http.post("/v1/responses", json={"model": "m", "input": "Hi"}).json()
    server.read_events("GET", f"/v1/responses/{made['id']}?stream=true")


def _hang_up(server: Server) -> None:
    with server.http.stream("POST", "/v1/responses", json={"model": "m", "input": "Hi", "stream": True}):
        pass


_TALK: Body = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(_post("/v1/responses", input="Hi", stream=True), id="stream"),
        pytest.param(_post("/v1/responses", input="Hi", stream=True, store=False), id="unstored"),
        pytest.param(_post("/v1/responses", input="Hi"), id="json"),
        pytest.param(_again, id="again"),
        pytest.param(_hang_up, id="hang-up"),
        pytest.param(_post("/v1/chat/completions", **_TALK, stream=True), id="chat"),
    ],
)
@pytest.mark.usefixtures("no_collector")
def test_requests_leave_nothing_behind(server: Server, ask: Callable[[Server], None]) -> None:
    """However many have been answered, only the last is still there, if any."""
    before = _alive()
    for _ in range(12):
        ask(server)
    until = time.monotonic() + PATIENCE
    while max((left := _alive() - before).values(), default=0) > 2 and time.monotonic() < until:
        server.http.get("/health")  # lets the server's loop turn
    assert max(left.values(), default=0) <= 2, left
