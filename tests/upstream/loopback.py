"""A back end made of raw sockets, which misbehaves exactly as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from antiphon.config import UpstreamConfig
from antiphon.upstream.chat import Upstream
from antiphon.upstream.door import ExchangeFailed, Reply, Request, Transport, header, read_all
from antiphon.upstream.stream import ChatStream
from antiphon.wire.chat import ChatChunk, ChatRequest


class Peer:
    """One connection of a client to the back end, request by request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""
        self.body = b""

    async def request(self) -> bool:
        """Reads the next request; false when the client has gone."""
        try:
            self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        length = next(
            (
                int(line.partition(":")[2])
                for line in self.head.split("\r\n")
                if line.lower().startswith("content-length")
            ),
            0,
        )
        self.body = await self.reader.readexactly(length)
        return True

    async def write(self, data: bytes) -> None:
        """Sends, and lets the loop hand it on."""
        self.writer.write(data)
        await self.writer.drain()

    async def begin(self, kind: str = "text/event-stream", status: str = "200 OK", more: str = "") -> None:
        """The head of a chunked reply."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
        await self.write(head.encode())

    async def chunk(self, data: bytes) -> None:
        """One chunk of the body."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        """The end of the body."""
        await self.write(b"0\r\n\r\n")

    async def answer(self, body: bytes, status: str = "200 OK", more: str = "") -> None:
        """A whole JSON reply."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        await self.write(head.encode() + body)

    async def gone(self) -> None:
        """Returns when the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass


Handler = Callable[[Peer], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serves each connection with the handler; gives the base URL. What a handler raises, the block raises."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(Peer(reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as failure:  # noqa: BLE001 - raised again by the block that serves
            failures.append(failure)
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        pending = list(tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    if failures:
        raise failures[0]


def upstream(url: str, door: Transport, **config: object) -> Upstream:
    """A back end named ``local`` at a URL."""
    return Upstream("local", UpstreamConfig(url=url, **config), door)  # type: ignore[arg-type]


def ask(text: str, **more: object) -> ChatRequest:
    """A streamed chat request in the canonical form."""
    return {
        "model": more.pop("model", "demo"),
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **more,
    }


async def collect(stream: ChatStream) -> list[ChatChunk]:
    """All chunks of a stream; closes it."""
    try:
        return [chunk async for chunks in stream for chunk in chunks]
    finally:
        await stream.aclose()


def text_of(chunks: list[ChatChunk]) -> str:
    """The text that the chunks say."""
    deltas = (choice.delta for chunk in chunks for choice in chunk.choices or [])
    return "".join(d.content for d in deltas if d is not None and isinstance(d.content, str))


@contextlib.asynccontextmanager
async def bridged(transport: Transport, base: str) -> AsyncIterator[str]:
    """Serves what a transport answers below ``base`` over a real socket; gives the base URL for a client library."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            method, path, _ = peer.head.split(" ", 2)
            reply = await transport.send(Request(method, base + path.removeprefix("/v1"), (), peer.body))
            kind = header(reply.headers, "content-type") or "application/json"
            more = "".join(f"{k}: {v}\r\n" for k, v in reply.headers if k.startswith("retry"))
            await peer.begin(kind, f"{reply.status} Status", more)
            try:
                async for data in reply.reads:
                    await peer.chunk(data)
            except ExchangeFailed:
                return  # the connection closes in the middle, as it would
            await peer.end()

    async with serving(handler) as url:
        yield url


def post(url: str, body: bytes = b"{}", **more: object) -> Request:
    """A JSON request below a base URL."""
    return Request("POST", url + "/x", (("Content-Type", "application/json"),), body, **more)  # type: ignore[arg-type]


async def body_of(reply: Reply) -> bytes:
    """The whole body of a reply."""
    return await read_all(reply, 1 << 20)
