"""How a passed-through answer ends when it cannot end well: breaks, silence, hang-ups, clients that do not read."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import httpx2
import openai
import pytest

from antiphon.errors import UpstreamError
from antiphon.http.exchange import ClientGone, Exchange
from antiphon.http.passthrough import Passthrough
from antiphon.upstream.door import Door
from antiphon.upstream.routing import Router
from tests.http.backends import CHAT, CHUNK, COMPLETION, Backend, Handler, back, backend, event, module_server, server
from tests.server import Server
from tests.upstream.conftest import door
from tests.upstream.loopback import Peer, serving, upstream
from tests.upstreams import PATIENCE

__all__ = ["back", "backend", "door", "module_server", "server"]


# -- breaks


def breaking(*parts: bytes, kind: str = "text/event-stream", length: int | None = None) -> Handler:
    """A back end that drops the connection after these reads."""

    async def handler(peer: Peer) -> None:
        if length is None:
            await peer.begin(kind)
        else:
            await peer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode())
        for part in parts:
            await (peer.chunk(part) if length is None else peer.write(part))

    return handler


def test_a_stream_that_breaks_between_events(server: Server, backend: Backend) -> None:
    """The SDK gets what came, and then raises with the reason."""
    backend.handler = breaking(event(CHUNK % b"some"))
    chunks = iter(server.client.chat.completions.create(**CHAT, stream=True))
    assert next(chunks).choices[0].delta.content == "some"
    with pytest.raises(openai.APIError, match="before the answer was complete") as caught:
        next(chunks)
    assert caught.value.code == "upstream_disconnected"


def test_a_stream_that_breaks_before_its_first_event(server: Server, backend: Backend) -> None:
    """It has begun with a 200, so the reason comes as its only event."""
    backend.handler = breaking()
    with pytest.raises(openai.APIError, match="before the answer was complete"):
        list(server.client.chat.completions.create(**CHAT, stream=True))


@pytest.mark.parametrize(
    ("parts", "tells"),
    [
        ([event(CHUNK % b"a")], True),
        ([b"data: {}\r\n\r", b"\n"], True),
        ([event(CHUNK % b"a"), b'data: {"choi'], False),
        ([b"data: {}\n"], False),
    ],
)
def test_a_broken_stream_has_no_clean_end(server: Server, backend: Backend, parts: list[bytes], tells: bool) -> None:
    """Bytes that came are kept; the body never ends as a whole one does; an error event only where one can stand."""
    backend.handler = breaking(*parts)
    got = bytearray()
    with server.http.stream("POST", "/v1/chat/completions", json=CHAT) as reply:
        body = reply.iter_raw()
        with pytest.raises(httpx2.RemoteProtocolError):
            got.extend(b"".join(got.extend(data) or b"" for data in body))
    sent = b"".join(parts)
    assert got.startswith(sent)
    assert (b'data: {"error":' in got[len(sent) :]) is tells
    if not tells:
        assert got == sent


def test_a_body_that_breaks(server: Server, backend: Backend) -> None:
    """A JSON body cut short is no answer to anybody, whether or not its length was told."""
    for length in (None, len(COMPLETION)):
        backend.handler = breaking(COMPLETION[:40], kind="application/json", length=length)
        with pytest.raises(openai.APIConnectionError):
            server.client.chat.completions.create(**CHAT)


def test_a_body_that_breaks_at_once(server: Server, backend: Backend) -> None:
    """While nothing was sent, the failure still is an HTTP error."""
    backend.handler = breaking(kind="application/json")
    with pytest.raises(openai.InternalServerError) as caught:
        server.client.chat.completions.create(**CHAT)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_disconnected")


def test_a_silent_back_end(server: Server, backend: Backend) -> None:
    """Silence before the status line is a 504; in the middle of a stream it is an error event."""

    async def silent(peer: Peer) -> None:
        await asyncio.Event().wait()

    async def falling_silent(peer: Peer) -> None:
        await peer.begin()
        await peer.chunk(event(CHUNK % b"a"))
        await asyncio.Event().wait()

    backend.handler = silent
    with pytest.raises(openai.InternalServerError) as caught:
        server.client.chat.completions.create(**CHAT)
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
    backend.handler = falling_silent
    with pytest.raises(openai.APIError, match="silent"):
        list(server.client.chat.completions.create(**CHAT, stream=True))


# -- hang-up and back-pressure


def dial(server: Server, body: dict[str, Any]) -> socket.socket:
    """A plain connection with a request on it."""
    host, port = server.root.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), PATIENCE)
    data = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    sock.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return sock


def test_a_hang_up_reaches_the_back_end(server: Server, backend: Backend) -> None:
    """Within 100 ms its connection is cut: in a stream, in a body, and while it is still thinking."""
    started = threading.Event()

    def begun(kind: str | None) -> Handler:
        async def handler(peer: Peer) -> None:
            if kind is not None:
                await peer.begin(kind)
                await peer.chunk(event(CHUNK % b"a"))
            started.set()
            await asyncio.Event().wait()

        return handler

    for kind in ("text/event-stream", "application/json", None):
        started.clear()
        backend.gone.clear()
        backend.handler = begun(kind)
        sock = dial(server, CHAT)
        assert started.wait(PATIENCE)
        if kind is not None:
            assert b"200 OK" in sock.recv(65536)
        sock.close()
        at = time.monotonic()
        assert backend.gone.wait(PATIENCE)
        assert time.monotonic() - at < 0.1


def test_a_client_that_does_not_read_stops_the_back_end(server: Server, backend: Backend) -> None:
    """The back end can write only what the sockets hold; when the client reads again, it goes on."""
    paused, written = threading.Event(), [0]
    size = 256 * 1024

    async def handler(peer: Peer) -> None:
        await peer.begin()
        while not paused.is_set() and written[0] < 512 * 1024 * 1024:
            piece = asyncio.ensure_future(peer.chunk(b"x" * size))
            written[0] += size
            if not (await asyncio.wait([piece], timeout=0.3))[0]:
                paused.set()
            await piece
        await peer.end()

    backend.handler = handler
    with dial(server, CHAT) as sock:
        assert paused.wait(PATIENCE)
        assert written[0] < 64 * 1024 * 1024
        got, tail = 0, b""
        while not tail.endswith(b"0\r\n\r\n"):
            data = sock.recv(1 << 20)
            got, tail = got + len(data), (tail + data)[-5:]
    assert got > written[0]


# -- other servers than ours: plain ASGI, without the connection


class Client:
    """The other side of an ASGI application."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.begun = asyncio.Event()
        self.leave = asyncio.Event()
        self._reads = reads
        self._asked = False

    async def receive(self) -> MutableMapping[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": json.dumps(CHAT).encode(), "more_body": False}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.begun.set()
            if not self._reads:
                await asyncio.Event().wait()

    def exchange(self) -> Exchange:
        scope = {"type": "http", "method": "POST", "headers": [], "query_string": b"", "path_params": {}}
        return Exchange(scope, self.receive, self.send, max_body_bytes=1 << 20)


def passthrough(url: str, door: Door, **more: Any) -> Passthrough:
    return Passthrough(Router({"local": upstream(url, door)}, "local", None), **more)


async def endless(peer: Peer) -> None:
    await peer.request()
    await peer.begin()
    await peer.chunk(event(CHUNK % b"a"))
    await peer.gone()


@pytest.fixture
def over(door: Door) -> Callable[..., Any]:
    """Runs a check against a pass-through over one handler of a back end."""

    async def run(handler: Handler, client: Client, act: Callable[[], Any] = lambda: None, **more: Any) -> None:
        async with serving(handler) as url:
            task = asyncio.ensure_future(passthrough(url, door, **more).chat(client.exchange()))
            await asyncio.wait([task, asyncio.ensure_future(client.begun.wait())], return_when="FIRST_COMPLETED")
            act()
            async with asyncio.timeout(PATIENCE):
                await task

    return run


@pytest.mark.anyio
async def test_a_hang_up_elsewhere(over: Callable[..., Any]) -> None:
    """Under any ASGI server a disconnect ends the exchange, and the back end's connection with it."""
    client = Client()
    await over(endless, client, client.leave.set)
    assert client.sent[-1]["more_body"] is True


@pytest.mark.anyio
async def test_a_stalled_client_is_let_go(over: Callable[..., Any]) -> None:
    """A client that takes nothing is not waited for without end, and the back end is cut."""
    with pytest.raises(ClientGone):
        await over(endless, Client(reads=False), stall_seconds=0.05)


@pytest.mark.anyio
async def test_a_break_elsewhere(over: Callable[..., Any]) -> None:
    """Under any ASGI server a broken answer is an error of the application, so that the connection breaks too."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(event(CHUNK % b"a"))

    client = Client()
    with pytest.raises(UpstreamError, match="before the answer was complete"):
        await over(handler, client)
    assert client.sent[-1]["body"].startswith(b'data: {"error":')
    assert client.sent[-1]["more_body"] is True
