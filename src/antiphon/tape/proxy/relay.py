"""One request on its way to the upstream, and its reply on its way back, read by read.

A read is written before the next is asked for: nothing piles up here, and a client that takes its time makes the
upstream take it too. A client that hangs up cuts the upstream at once. A reply that breaks off is broken off, in the
way it happened as far as the server lets us, and never ends as if it were whole.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Iterable

import msgspec

from antiphon.tape.last import LastEvent
from antiphon.tape.model import End
from antiphon.tape.outbound import Outgoing, was_reset
from antiphon.tape.proxy.places import client_headers
from antiphon.tape.scope import Receive, Scope, Send
from antiphon.tape.transport import Transport

_encode = msgspec.json.Encoder().encode

#: Where our own server shows its connection; under another there is none, and a cut reply just ends.
_EXTENSION = "antiphon.connection"
#: How long a broken connection may take to hand over what was written to it. Seconds.
_FLUSH_SECONDS = 5.0
_POLL_SECONDS = 0.002
_GATEWAY = {"timeout": 504, "refused": 400}


class Broken(Exception):
    """A reply that ends as the recorded one did, or as a fault wants it to: ``end`` says how, ``message`` in words."""

    kind = "broken"

    def __init__(self, end: End, message: str) -> None:
        super().__init__(message)
        self.end = end
        self.message = message


class Way(msgspec.Struct, frozen=True):
    """How requests leave: ``transport`` raises ``failures``, which have a ``kind`` and a ``message``."""

    transport: Transport
    failures: tuple[type[Exception], ...]


def ending(failure: Exception) -> tuple[End, str]:
    """How a body ended, from what a transport raised: the peer's reset is told from every other break."""
    if isinstance(failure, Broken):
        return failure.end, failure.message
    return "reset" if was_reset(failure) else "error", getattr(failure, "message", type(failure).__name__)


class Answer(Exception):
    """Ends a request with a whole reply of ours: a miss, or a mistake in the request."""

    def __init__(self, status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = tuple(headers) or (("content-type", "application/json"),)

    @classmethod
    def error(cls, status: int, code: str, message: str) -> Answer:
        """An error as OpenAI's clients read it."""
        kind = "invalid_request_error" if status < 500 else "api_error"
        error = {"message": message, "type": kind, "code": code, "param": None}
        return cls(status, _encode({"error": error}))

    async def send(self, send: Send) -> None:
        """As the reply."""
        headers = [*self.headers, ("content-length", str(len(self.body)))]
        await send({"type": "http.response.start", "status": self.status, "headers": raw(headers)})
        await send({"type": "http.response.body", "body": self.body})


async def relay(scope: Scope, receive: Receive, send: Send, way: Way, request: Outgoing, name: str) -> None:
    """Until the reply is over, or the client is gone. The body of the request, to the upstream ``name``, is read."""
    work = asyncio.ensure_future(_relay(scope, send, way, request, name))
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.wait({work, gone})
    if not work.cancelled():
        work.result()


async def _relay(scope: Scope, send: Send, way: Way, request: Outgoing, name: str) -> None:
    try:
        reply = await way.transport.send(request)
    except way.failures as failure:
        kind, message = getattr(failure, "kind", "broken"), getattr(failure, "message", "")
        error = Answer.error(_GATEWAY.get(kind, 502), f"upstream_{kind}", f"The upstream '{name}' failed: {message}")
        await error.send(send)
        return
    breaks: tuple[type[Exception], ...] = (Broken, *way.failures)
    end = LastEvent()
    try:
        headers = raw(client_headers(reply.headers))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        async for data in reply.reads:
            end.feed(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except breaks as failure:
        await _cut(scope, failure)
    finally:
        await reply.aclose(complete=end.here)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, failure: Exception) -> None:
    """Breaks the connection once the client has what was written, and waits to be told that it is gone."""
    connection = scope.get("extensions", {}).get(_EXTENSION)
    if connection is None:
        raise failure  # the server closes a connection whose reply has begun
    transport: asyncio.Transport = connection.transport
    if ending(failure)[0] == "reset":
        await _make_reset(transport)
    for end in (transport.close, transport.abort):
        end()
        await asyncio.sleep(_FLUSH_SECONDS)


async def _make_reset(transport: asyncio.Transport) -> None:
    """Closing will say "reset". That would drop what the client's side has not yet taken, so it is waited for."""
    pseudo = transport.get_extra_info("socket")
    if pseudo is None:
        return
    with socket.socket(fileno=os.dup(pseudo.fileno())) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waiting = int(_FLUSH_SECONDS / _POLL_SECONDS)
        while waiting and not transport.is_closing() and (transport.get_write_buffer_size() or _unsent(sock)):
            waiting -= 1
            await asyncio.sleep(_POLL_SECONDS)


def _unsent(sock: socket.socket) -> int:
    """Bytes that the system has not had acknowledged."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0])
    except OSError:
        return 0  # not told on this system


def raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(k.lower().encode("latin-1"), v.encode("utf-8", "surrogateescape")) for k, v in headers]
