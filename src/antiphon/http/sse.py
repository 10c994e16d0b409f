"""Events as Server-Sent Events: each batch of the Journal leaves in one write, in the breath in which it came.

Two ways out. ``_Direct`` is a sink of the Journal that writes to uvicorn's transport; a token costs no task wake-up.
``_Portable`` follows the Journal and awaits ``send``; it serves any ASGI server. Both end with ``[DONE]``, both send a
comment into a long silence, both drop a reader that is too far behind.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Sequence

import msgspec

from antiphon.http.peer import Peer, Send
from antiphon.http.protocol import Connection
from antiphon.responses.journal import Journal
from antiphon.wire.encode import Entry

RawHeaders = Sequence[tuple[bytes, bytes]]

_DONE = b"data: [DONE]\n\n"
_PING = b": keep-alive\n\n"
_HEADERS: RawHeaders = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

#: Entries of a finished log that leave in one write.
_AT_ONCE = 512

#: ``event:`` line of each type; a response has a few dozen of them.
_LINES: dict[str, bytes] = {}


class StreamLimits(msgspec.Struct, frozen=True):
    """How patient a stream is: seconds of silence before a comment, bytes and seconds a reader may be behind."""

    keepalive_seconds: float
    lag_bytes: int
    stall_seconds: float


def frame(entries: Iterable[Entry]) -> bytes:
    """The entries as SSE text: an ``event:`` line equal to the type, and one ``data:`` line each."""
    lines = _LINES
    parts: list[bytes] = []
    for entry in entries:
        line = lines.get(entry.type)
        if line is None:
            line = lines[entry.type] = b"event: " + entry.type.encode() + b"\ndata: "
        parts += (line, entry.data, b"\n\n")
    return b"".join(parts)


async def send_stream(
    peer: Peer,
    send: Send,
    journal: Journal,
    *,
    headers: RawHeaders,
    limits: StreamLimits,
    after: int = -1,
    sole_reader: bool = False,
) -> None:
    """Send the journal from number ``after`` on until it ends, or until the reader has gone or was let go.

    The journal of a ``sole_reader`` is held while that reader cannot take more; any other reader that falls behind is
    dropped, and may come again for the rest.
    """
    connection = peer.connection
    if connection is not None:
        connection.cork()
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
    if connection is not None and connection.chunked:
        last = await _Direct(connection, journal, limits, sole_reader=sole_reader).run(peer, after)
    else:
        if connection is not None:
            connection.uncork()
        last = await _Portable(send, journal, limits, sole_reader=sole_reader).run(peer, after)
    if last is not None:
        await _end(peer, send, limits, last + _DONE)


async def send_entries(
    peer: Peer, send: Send, entries: Sequence[Entry], *, headers: RawHeaders, limits: StreamLimits
) -> None:
    """Send a log that has ended, all of it at hand."""
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
    try:
        for start in range(0, len(entries), _AT_ONCE):
            async with asyncio.timeout(limits.stall_seconds):
                body = frame(entries[start : start + _AT_ONCE])
                await send({"type": "http.response.body", "body": body, "more_body": True})
    except TimeoutError:
        _drop(peer)
        return
    await _end(peer, send, limits, _DONE)


async def _end(peer: Peer, send: Send, limits: StreamLimits, body: bytes) -> None:
    """The end of the body, ``[DONE]`` included; a reader that does not take even that is let go."""
    if peer.connection is not None and not peer.connection.transport.get_write_buffer_size():
        await send({"type": "http.response.body", "body": body, "more_body": False})  # nothing to wait for
        return
    try:
        async with asyncio.timeout(limits.stall_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": False})
    except TimeoutError:
        _drop(peer)


def _drop(peer: Peer) -> None:
    if peer.connection is not None:
        peer.connection.transport.abort()


class _Direct:
    """Writes chunks to the transport in the breath in which the Journal publishes them.

    The last batch is kept back for the moment it takes to end the body with it: one write instead of two.
    """

    __slots__ = (
        "_connection",
        "_journal",
        "_last",
        "_limits",
        "_loop",
        "_over",
        "_paused_at",
        "_sole",
        "_timer",
        "_written_at",
    )

    def __init__(self, connection: Connection, journal: Journal, limits: StreamLimits, *, sole_reader: bool) -> None:
        self._connection = connection
        self._journal = journal
        self._limits = limits
        self._sole = sole_reader
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._paused_at: float | None = None
        self._written_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._last = b""

    async def run(self, peer: Peer, after: int) -> bytes | None:
        """Until the journal has ended: what is still to be sent of it. None when the peer has gone before."""
        journal, connection = self._journal, self._connection
        connection.writer = self
        journal.attach(self.write, after=after)
        connection.uncork()
        journal.on_end(self._end)
        peer.on_gone(self._end)
        self._timer = self._loop.call_later(self._limits.keepalive_seconds, self._tick)
        try:
            await self._over
        finally:
            self._timer.cancel()
            journal.detach(self.write)
            connection.writer = None
            self.resume()
        return None if connection.disconnected else self._last

    def write(self, entries: Sequence[Entry]) -> None:
        """The sink: one write for the batch."""
        if self._journal.ended:
            self._last = frame(entries)
        elif not self._connection.disconnected:
            self._written_at = self._loop.time()
            self._chunk(frame(entries))
            if self._paused_at is not None and not self._sole and self._behind() > self._limits.lag_bytes:
                self._connection.transport.abort()

    def pause(self) -> None:
        """The connection is full."""
        self._paused_at = self._loop.time()
        if self._sole:
            self._journal.hold()

    def resume(self) -> None:
        """It has drained."""
        if self._paused_at is not None:
            self._paused_at = None
            if self._sole:
                self._journal.release()

    def _chunk(self, body: bytes) -> None:
        self._connection.write(b"%x\r\n%b\r\n" % (len(body), body))

    def _behind(self) -> int:
        return self._connection.transport.get_write_buffer_size()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _tick(self) -> None:
        """A comment into a silence; the end of a reader that makes no progress."""
        if self._connection.disconnected:
            return
        now, limits = self._loop.time(), self._limits
        if self._paused_at is not None:
            if now - self._paused_at > limits.stall_seconds:
                self._connection.transport.abort()
                return
            self._written_at = now
        elif now - self._written_at >= limits.keepalive_seconds:
            self._written_at = now
            self._chunk(_PING)
        self._timer = self._loop.call_at(self._written_at + limits.keepalive_seconds, self._tick)


class _Portable:
    """Follows the Journal and awaits ``send``: for servers that do not show their transport."""

    __slots__ = ("_journal", "_limits", "_send", "_sole")

    def __init__(self, send: Send, journal: Journal, limits: StreamLimits, *, sole_reader: bool) -> None:
        self._send = send
        self._journal = journal
        self._limits = limits
        self._sole = sole_reader

    async def run(self, peer: Peer, after: int) -> bytes | None:
        """Until the journal has ended: what is still to be sent, nothing. None when the peer went or was dropped."""
        pump = asyncio.get_running_loop().create_task(self._pump(after))
        peer.on_gone(functools.partial(_cancel, pump))
        try:
            await asyncio.wait([pump])
        finally:
            pump.cancel()
        return b"" if not pump.cancelled() and pump.result() else None

    async def _pump(self, at: int) -> bool:
        while True:
            try:
                async with asyncio.timeout(self._limits.keepalive_seconds):
                    batch = await anext(self._journal.follow(after=at), None)
            except TimeoutError:
                await self._put(_PING)
                continue
            if batch is None:
                return True
            at += len(batch)
            body = frame(batch)
            if not self._sole and len(body) > self._limits.lag_bytes:
                return False
            if not await self._put(body):
                return False

    async def _put(self, body: bytes) -> bool:
        """Sends it; False when the reader made no progress for too long."""
        if self._sole:
            self._journal.hold()
        try:
            async with asyncio.timeout(self._limits.stall_seconds):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            return False
        finally:
            if self._sole:
                self._journal.release()
        return True


def _cancel(task: asyncio.Task[bool]) -> None:
    task.cancel()
