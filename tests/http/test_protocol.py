"""uvicorn's protocol as we bend it: replies that go to the transport itself, and the pauses between."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest.mock import ANY

import pytest
import uvicorn

from antiphon.http.exchange import Exchange
from antiphon.http.middleware import Frame
from antiphon.http.peer import Receive, Scope, Send
from antiphon.http.protocol import EXTENSION, header_lines, settings

pytestmark = pytest.mark.anyio

App = Callable[[Scope, Receive, Send], Awaitable[None]]
IDLE = 0.3
HOST = b"\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def served(app: App, **more: Any) -> AsyncIterator[int]:
    """The port of a server of ours before this application."""
    server = uvicorn.Server(settings(app, lifespan="off", port=0, timeout_keep_alive=IDLE, **more))
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.001)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The body again, after as many seconds as the path says."""
    exchange = Exchange(scope, receive, send, max_body_bytes=100)
    body = await exchange.body()
    await asyncio.sleep(float(scope["path"][1:] or 0))
    await exchange.json(body)


async def one(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One reply: head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return head, await reader.readexactly(int(length.partition(b":")[2]))


def _between(app: App) -> App:
    """Somebody on the way of what is sent, who must see all of it."""

    async def framed(scope: Scope, receive: Receive, send: Send) -> None:
        async def seen(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-seen", b"yes")]
            await send(message)

        await app(scope, receive, seen)

    return framed


@pytest.mark.parametrize("short", [True, False])
async def test_the_same_reply_either_way(short: bool) -> None:
    """Where somebody stands between, uvicorn sends it; else it goes to the transport; it is the same reply."""
    app: App = Frame(echo, {})
    async with (
        served(app if short else _between(app)) as port,
        connected(port) as (reader, writer),
    ):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        head, body = await one(reader)
    names = {line.partition(b":")[0] for line in head.split(b"\r\n")[1:] if line}
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert names == {b"content-type", b"content-length", b"x-request-id"} | (set() if short else {b"x-seen"})
    assert body == b"{}"


async def test_headers_of_the_server_are_sent() -> None:
    """What uvicorn was told to add is added."""
    async with (
        served(Frame(echo, {}), headers=[("x-of", "server")]) as port,
        connected(port) as (reader, writer),
    ):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        head, _ = await one(reader)
    assert b"\r\nx-of: server\r\n" in head


@pytest.mark.parametrize("parts", [[b"{}"], [b"{", b"}"]])
async def test_the_body_comes_whole_or_in_parts(parts: list[bytes]) -> None:
    """It is the same body, and a second request on the connection has its own."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.02)
            assert (await one(reader))[1] == b"{}"


async def test_a_body_over_the_limit() -> None:
    """Refused by what is declared, and by what comes where nothing is."""
    async with served(Frame(echo, {})) as port:
        chunked = b"Transfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n"
        for described in (b"Content-Length: 101\r\n\r\n" + b"x" * 101, chunked):
            async with connected(port) as (reader, writer):
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + described)
                assert (await one(reader))[0].startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"])
async def test_the_last_reply_of_a_connection(line: bytes) -> None:
    """It says so, and the connection closes once it is sent."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        writer.write(line)
        head, body = await one(reader)
        assert b"\r\nconnection: close\r\n" in head
        assert body == b""
        assert await reader.read() == b""


async def test_requests_in_a_row_are_answered_in_order() -> None:
    """Those that came before the reply to the first wait for it."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        for n in range(3):
            writer.write(b"POST /0.0%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % (3 - n, n))
        assert [(await one(reader))[1] for _ in range(3)] == [b"0", b"1", b"2"]


async def test_an_idle_connection_is_closed() -> None:
    """After its time without a request, counted from the end of the last reply; no request is cut by that timer."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        for path in (b"/", b"/%.2f" % (2 * IDLE), b"/"):
            writer.write(b"GET " + path + b" HTTP/1.1" + HOST)
            await one(reader)
            since = time.monotonic()
            await asyncio.sleep(IDLE / 2)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        assert time.monotonic() - since >= IDLE * 0.9


async def test_half_a_request_is_not_idle() -> None:
    """A request that is still coming is waited for."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1" + HOST)
        await one(reader)
        writer.write(b"GET / HT")
        await asyncio.sleep(IDLE * 2)
        writer.write(b"TP/1.1" + HOST)
        assert (await one(reader))[0].startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_asks_whether_to_go_on() -> None:
    """It is told so once its body is wanted, and not where the body is here already."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await one(reader))[1] == b"{}"
        writer.write(head + b"[]")
        assert await one(reader) == (ANY, b"[]")


async def test_nothing_is_upgraded(caplog: pytest.LogCaptureFixture) -> None:
    """A request for it is answered like any other."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket" + HOST)
        assert (await one(reader))[0].startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET / HTTP/1.1" + HOST)
        assert (await one(reader))[0].startswith(b"HTTP/1.1 200 ")
    assert not caplog.records


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/a%20b/%C3%BC?x=%20&y#z", "/a b/\u00fc", b"/a%20b/%C3%BC", b"x=%20&y"),
        (b"http://example.org/v1/x?", "/v1/x", b"/v1/x", b""),
        (b"//x", "//x", b"//x", b""),
    ],
)
async def test_what_the_scope_says(target: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    """Of each request its own, though a connection keeps what it knows of the last one."""
    scopes: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo({**scope, "path": "/"}, receive, send)

    async with served(app) as port, connected(port) as (reader, writer):
        for method, line in ((b"GET", target), (b"POST", b"/other"), (b"PUT", target)):
            writer.write(method + b" " + line + b" HTTP/1.1\r\nX-A: 1\r\nx-a: 2" + HOST)
            await one(reader)
    first, other, again = scopes
    assert [one["method"] for one in scopes] == ["GET", "POST", "PUT"]
    assert (other["path"], other["raw_path"], other["query_string"]) == ("/other", b"/other", b"")
    for scope in (first, again):
        assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)
    assert first["headers"] == [(b"x-a", b"1"), (b"x-a", b"2"), (b"host", b"x")]
    assert first["headers"] is not again["headers"]
    assert (first["http_version"], first["scheme"], first["root_path"]) == ("1.1", "http", "")
    assert first["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert first["client"][0] == "127.0.0.1"
    assert first["server"] == ("127.0.0.1", port)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xc3\xbc HTTP/1.1" + HOST,
        b"CONNECT x:1 HTTP/1.1" + HOST,
        b"CONNECT a://b/c HTTP/1.1" + HOST,
    ],
)
async def test_what_is_no_request(sent: bytes) -> None:
    """It is refused, and the connection closes."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        writer.write(sent)
        head, body = await one(reader)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert body == b"Invalid HTTP request received."
        assert await reader.read() == b""


async def test_more_requests_than_are_allowed() -> None:
    """Those over the limit of the server are refused by it."""
    async with served(Frame(echo, {}), limit_concurrency=2) as port, connected(port) as (reader, writer):
        writer.write(b"GET /0.2 HTTP/1.1" + HOST)
        await asyncio.sleep(0.05)
        async with connected(port) as (other, asking):
            asking.write(b"GET / HTTP/1.1" + HOST)
            assert (await one(other))[0].startswith(b"HTTP/1.1 503 ")
        assert (await one(reader))[0].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("fails", [False, True])
async def test_an_application_that_does_not_reply(begun: bool, fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Its client is told, where it still can be, and else loses the connection; the log knows why."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        if fails:
            raise ValueError("a defect")

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1" + HOST)
        reply = await reader.read()
    assert reply.startswith(b"HTTP/1.1 200 " if begun else b"HTTP/1.1 500 ")
    assert reply.endswith(b"\r\n\r\n" if begun else b"Internal Server Error")
    assert ("a defect" if fails else "ASGI callable returned without") in caplog.text


async def test_what_is_received() -> None:
    """The body as it comes, its end once, and then that the client has gone: to all who wait for it."""
    heard: list[Any] = []
    over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([await receive(), await receive()])
        heard.extend(await asyncio.gather(receive(), receive()))
        over.set()

    async with served(app) as port, connected(port) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{}")
        await asyncio.sleep(0.05)
        writer.write(b"[]")
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(20):
            await over.wait()
    gone = {"type": "http.disconnect"}
    part = {"type": "http.request", "body": b"{}", "more_body": True}
    assert heard == [part, {**part, "body": b"[]", "more_body": False}, gone, gone]


async def test_a_server_that_stops_waits_for_its_requests() -> None:
    """The one that is being answered is answered to its end, and nothing of it is left to wait for."""
    async with contextlib.AsyncExitStack() as connection:
        async with served(Frame(echo, {})) as port:
            reader, writer = await connection.enter_async_context(connected(port))
            writer.write(b"POST /0.2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            await asyncio.sleep(0.05)
        head, body = await one(reader)
    assert b"\r\nconnection: close\r\n" in head
    assert body == b"{}"


def test_a_header_cannot_break_out_of_its_line() -> None:
    """No control character passes."""
    assert header_lines([(b"a", b"b"), (b"c", b"")]) == b"a: b\r\nc: \r\n"
    for value in (b"x\r\ny: z", b"\n", b"\0", b"\x7f"):
        with pytest.raises(ValueError, match="control"):
            header_lines([(b"a", value)])


async def test_a_stream_that_has_ended_is_one_write() -> None:
    """Head, events and end leave together; and the request is let go."""
    writes: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope["extensions"][EXTENSION]
        assert connection.takes(send)
        connection.begin(200, b"content-type: text/event-stream\r\n")
        assert not connection.takes(send), "it has begun"
        assert connection.chunked
        writes.append(connection.transport.get_write_buffer_size())
        assert connection.finish(b"data: x\n\n")
        assert not connection.finish(b""), "it is over"

    async with served(app) as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1" + HOST)
            assert await reader.readuntil(b"0\r\n\r\n") == (
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                b"9\r\ndata: x\n\n\r\n0\r\n\r\n"
            )
    assert writes == [0, 0]


async def test_chunks_of_a_reply_begun_here() -> None:
    """Each leaves at once, the first with the head; none is taken before the beginning or after the end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope["extensions"][EXTENSION]
        assert not connection.put(b"too early")
        connection.begin(201, b"")
        for part in (b"one", b"two"):
            assert connection.put(part)
            assert connection.corked is None
        assert not connection.put(b""), "that would be the end"
        assert connection.finish(b"")
        assert not connection.put(b"too late")

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1" + HOST)
        assert await reader.readuntil(b"0\r\n\r\n") == (
            b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        )


async def test_two_that_wait_are_both_told() -> None:
    """One that waits for more takes nothing from another that does."""
    heard: list[Any] = []
    over = asyncio.Event()

    async def listen(receive: Receive) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            heard.append(message["body"])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.gather(listen(receive), listen(receive))
        over.set()

    async with served(app) as port, connected(port) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        for part in (b"{}", b"[]"):
            await asyncio.sleep(0.05)
            writer.write(part)
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(5):
            await over.wait()
    assert heard == [b"{}", b"[]"]


async def test_a_client_that_goes_before_the_reply_to_its_first_request(caplog: pytest.LogCaptureFixture) -> None:
    """The request that is being answered hears of it, though another waits behind it, which never begins."""
    heard: list[Any] = []
    over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([await receive(), await receive()])
        await send({"type": "http.response.start", "status": 200})
        over.set()

    async with served(app) as port, connected(port) as (_, writer):
        writer.write((b"GET / HTTP/1.1" + HOST) * 2)
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(5):
            await over.wait()
    assert [message["type"] for message in heard] == ["http.request", "http.disconnect"]
    assert not caplog.records


async def test_a_body_that_nobody_asked_for_is_no_request() -> None:
    """What comes of it after the reply is read and dropped; the connection is idle from its last byte on, and the next
    request is not cut."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(float(scope["path"][1:] or 0))
        await Exchange(scope, receive, send, 0).json({})

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        await one(reader)
        for _ in range(3):
            await asyncio.sleep(IDLE / 2)
            writer.write(b"x")
        writer.write(b"xGET /%.2f HTTP/1.1" % (2 * IDLE) + HOST)
        await one(reader)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        await one(reader)
        writer.write(b"xx")
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_a_request_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in no circle that the collector had to come for."""
    left: list[weakref.ref[Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        left.append(weakref.ref(receive.__self__))  # type: ignore[attr-defined]
        await send({"type": "http.response.start", "status": 200})
        raise ValueError("a defect")

    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)  # a caught record would hold it
    gc.disable()
    try:
        async with served(app) as port:
            for _ in range(2):
                async with connected(port) as (reader, writer):
                    writer.write(b"GET / HTTP/1.1" + HOST)
                    await reader.read()
        assert [ref() for ref in left] == [None, None]
    finally:
        gc.enable()


async def test_what_follows_a_body_is_no_header() -> None:
    """The fields of a trailer came past everybody who looks at headers on the way."""
    scopes: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    async with served(app) as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked" + HOST)
            writer.write(b"2\r\n{}\r\n0\r\nAuthorization: forged\r\n\r\n")
            assert (await one(reader))[1] == b"{}"
    for scope in scopes:
        assert scope["headers"] == [(b"transfer-encoding", b"chunked"), (b"host", b"x")]


async def test_requests_without_end() -> None:
    """Who asks faster than it is answered is not read on, so that what waits does not grow; all of it is answered."""
    most = 0
    number = 40_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal most
        most = max(most, len(receive.__self__.pipeline))  # type: ignore[attr-defined]
        with Exchange(scope, receive, send, 0) as exchange:
            await exchange.json({})

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write((b"GET / HTTP/1.1" + HOST) * number)
        for _ in range(number):
            await one(reader)
    assert most < number / 2


@pytest.mark.parametrize("apart", [True, False])
async def test_a_body_comes_with_a_request_to_upgrade(apart: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Clients in Java ask every plain server whether it knows HTTP/2; they are answered as if they had not."""
    ask = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n" + ask + b"Host: x\r\n\r\n")
            await asyncio.sleep(0.05 * apart)
            writer.write(b"{}POST / HTTP/1.1\r\nContent-Length: 2\r\n")
            await asyncio.sleep(0.05 * apart)
            writer.write(b"Host: x\r\n\r\n[]")
            assert [(await one(reader))[1] for _ in range(2)] == [b"{}", b"[]"]
    assert not caplog.records


async def test_nothing_is_said_in_the_middle_of_a_reply() -> None:
    """What is no request breaks the connection; a refusal would be taken for a part of the reply."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope["extensions"][EXTENSION]
        connection.begin(200, b"")
        connection.put(b"one")
        await asyncio.sleep(0.1)
        assert not connection.finish(b"two")

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1" + HOST)
        assert (await reader.readuntil(b"one\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"nonsense\r\n\r\n")
        assert await reader.read() == b""


@pytest.mark.parametrize("what", [b"GET /", b"GET / HTTP/1.1\r\nX: "])
async def test_a_head_without_end(what: bytes) -> None:
    """It is refused before it fills the memory."""
    async with served(Frame(echo, {})) as port, connected(port) as (reader, writer):
        writer.write(what)
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                writer.write(b"x" * 65536)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        assert writer.transport.is_closing() or reader.at_eof()


async def test_a_body_that_ends_late_without_a_byte() -> None:
    """The last chunk, which says nothing, leaves the connection idle too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Exchange(scope, receive, send, 0).json({})

    async with served(app) as port, connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await one(reader)
        writer.write(b"0\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
