"""Events as Server-Sent Events: each batch of the Journal leaves in one write, in the breath in which it came.

Two ways out. ``_Direct`` is a sink of the Journal that writes to uvicorn's transport; a token costs no task wake-up.
``_Portable`` follows the Journal and awaits ``send``; it serves any ASGI server. Both end with ``[DONE]``, both send a
comment into a long silence, both drop a reader that does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

import msgspec

from antiphon.http.peer import Message, Peer, Send
from antiphon.http.protocol import Connection, RawHeaders, header_lines
from antiphon.http.sending import Sending
from antiphon.responses.journal import Journal
from antiphon.wire.encode import Frame

_DONE = b"data: [DONE]\n\n"
_PING = b": keep-alive\n\n"
_HEADERS: RawHeaders = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_LINES_OF_HEADERS = header_lines(_HEADERS)

#: Bytes of a log that leave in one write, where there is more of it at hand.
_PIECE = 64 * 1024


class StreamLimits(msgspec.Struct, frozen=True):
    """How patient a stream is: seconds of silence before a comment, bytes and seconds a reader may be behind."""

    keepalive_seconds: float
    lag_bytes: int
    stall_seconds: float


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
    """Send the journal from number ``after`` on until it ends, or until the reader has gone or was dropped.

    The journal of a ``sole_reader`` is held while that reader cannot take more; any other reader that falls behind is
    dropped, and may come again for the rest.
    """
    connection = peer.connection
    if not _begun(send, headers):
        await send(_head(headers))
    try:
        last: bytes | None
        if connection is not None and connection.chunked:
            # A sole reader is here from the first event on, and the run must not go on while it catches up.
            if not sole_reader and (journal.size > _PIECE or connection.full):
                after = await _catch_up(peer, send, journal, after, limits)
            if journal.ended and connection.corked is not None:  # all of it is here: one write for the whole reply
                last = b"".join(journal.frames[max(after + 1, 0) :])
            else:
                last = await _Direct(peer, connection, journal, limits, sole_reader=sole_reader).run(after)
        else:
            last = await _Portable(send, journal, limits, sole_reader=sole_reader).run(peer, after)
        if last is not None and not _finished(connection, end := last + _DONE):
            await _put(send, end, limits, more=False)
    except _TooSlow:
        peer.drop()


async def send_entries(
    peer: Peer, send: Send, frames: Sequence[Frame], *, headers: RawHeaders, limits: StreamLimits
) -> None:
    """Send a log that has ended, all of it at hand."""
    if not _begun(send, headers):
        await send(_head(headers))
    try:
        last = b""
        for piece in _pieces(frames):
            if peer.gone:
                return
            if last:
                _uncork(peer)
                await _put(send, last, limits)
            last = b"".join(piece)
        if not _finished(peer.connection, end := last + _DONE):
            await _put(send, end, limits, more=False)
    except _TooSlow:
        peer.drop()


def _begun(send: Send, headers: RawHeaders) -> bool:
    """Whether the head of a stream is on its way: it leaves with its first events, where the connection is ours."""
    return type(send) is Sending and send.begin(200, _LINES_OF_HEADERS + header_lines(headers))


def _head(headers: RawHeaders) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]}


def _finished(connection: Connection | None, body: bytes) -> bool:
    """Whether the end of the body, ``[DONE]`` included, was written to the connection."""
    return connection is not None and connection.finish(body)


def _uncork(peer: Peer) -> None:
    if peer.connection is not None:
        peer.connection.uncork()


class _TooSlow(Exception):
    """The reader does not take what it asked for."""


async def _put(send: Send, body: bytes, limits: StreamLimits, *, more: bool = True) -> None:
    """Send a part of the body once there is room for it. Raises ``_TooSlow`` when there is none for too long."""
    try:
        async with asyncio.timeout(limits.stall_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more})
    except TimeoutError as silence:
        raise _TooSlow from silence


async def _catch_up(peer: Peer, send: Send, journal: Journal, after: int, limits: StreamLimits) -> int:
    """Who comes late may have more to read than a live reader may be behind: it gets all but the last piece of it at
    its own pace. The number up to which it was served."""
    at = max(after + 1, 0)
    while not peer.gone:
        piece = _piece(journal.frames, at)
        last = at + len(piece) >= len(journal.frames)
        if last and (peer.connection is None or not peer.connection.full):
            break
        _uncork(peer)
        if last:  # what is still on its way to the reader would be held against it
            await _put(send, b"", limits)
            continue
        await _put(send, b"".join(piece), limits)
        at += len(piece)
    return at - 1


def _piece(frames: Sequence[Frame], start: int) -> Sequence[Frame]:
    """From ``start`` on as many as make one write; one at least, where there is one."""
    size = 0
    for end in range(start, len(frames)):
        size += len(frames[end])
        if size > _PIECE:
            return frames[start : end + 1]
    return frames[start:]


def _pieces(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    at = 0
    while piece := _piece(frames, at):
        yield piece
        at += len(piece)


class _Direct:
    """Writes chunks to the transport in the breath in which the Journal publishes them.

    The last batch is kept back for the moment it takes to end the body with it: one write instead of two.
    """

    __slots__ = (
        "_connection",
        "_journal",
        "_last",
        "_limits",
        "_over",
        "_paused_at",
        "_peer",
        "_put",
        "_sole",
        "_taken",
        "_time",
        "_waiting",
        "_written_at",
    )

    def __init__(
        self, peer: Peer, connection: Connection, journal: Journal, limits: StreamLimits, *, sole_reader: bool
    ) -> None:
        self._peer = peer
        self._connection = connection
        self._journal = journal
        self._limits = limits
        self._sole = sole_reader
        loop = connection.rounds.loop
        self._over: asyncio.Future[None] = loop.create_future()
        self._put: Callable[[bytes], object] = connection.transport.write
        self._time = loop.time
        self._paused_at: float | None = None
        self._written_at = loop.time()
        self._waiting = self._taken = 0  # since the connection is full: bytes for it, and how many of them it took
        self._last = b""

    async def run(self, after: int) -> bytes | None:
        """Until the journal has ended: what is still to be sent of it. None when the peer has gone before."""
        journal, connection = self._journal, self._connection
        rounds = connection.rounds
        rounds.writer = self
        if connection.full:
            self.pause()
        if connection.corked is not None:
            self._put = connection.corked.append
        journal.attach(self.write, after=after)
        self._put = connection.transport.write
        connection.uncork()
        journal.on_end(self._end)
        self._peer.on_gone(self._end)
        rounds.ask(self._written_at + self._limits.keepalive_seconds)
        try:
            await self._over
        finally:
            if not journal.ended:
                journal.detach(self.write)
            rounds.writer = None
            self.resume()
        return None if connection.gone else self._last

    def write(self, frames: Sequence[Frame]) -> None:
        """The sink: one write for the batch."""
        body = b"".join(frames)
        if self._journal.ended:
            self._last = body
        elif not self._over.done():
            self._written_at = self._time()
            if self._paused_at is not None and not self._may_wait(len(body)):
                return
            self._put(b"%x\r\n%b\r\n" % (len(body), body))

    def pause(self) -> None:
        """The connection is full."""
        self._paused_at = self._time()
        self._waiting, self._taken = self._behind(), 0
        if self._sole:
            self._journal.hold()

    def resume(self) -> None:
        """It has drained."""
        if self._paused_at is not None:
            self._paused_at = None
            if self._sole:
                self._journal.release()

    def tick(self) -> float:
        """A comment into a silence; the end of a reader that makes no progress."""
        now, limits = self._time(), self._limits
        if self._paused_at is not None:
            self._watch(now, self._paused_at)
            return now + min(limits.keepalive_seconds, limits.stall_seconds)
        if now - self._written_at >= limits.keepalive_seconds:
            self._written_at = now
            if not self._connection.gone:
                self._put(b"%x\r\n%b\r\n" % (len(_PING), _PING))
        return self._written_at + limits.keepalive_seconds

    def _may_wait(self, size: int) -> bool:
        """Whether so much more may wait for a full connection: yes, unless the reader was too far behind before."""
        self._waiting += size
        if self._sole or self._behind() <= self._limits.lag_bytes:
            return True
        self._peer.drop()
        return False

    def _behind(self) -> int:
        return self._connection.transport.get_write_buffer_size()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _watch(self, now: float, since: float) -> None:
        """A full connection may still drain, only slowly."""
        taken = self._waiting - self._behind()
        if taken > self._taken:
            self._taken, self._paused_at = taken, now
        elif now - since >= self._limits.stall_seconds:
            self._peer.drop()


class _Portable:
    """Follows the Journal and awaits ``send``: for servers that do not show their transport.

    Nothing piles up for a reader here but in the Journal, so it may be as far behind as it likes, as long as it reads;
    a sole reader, for whom the Journal is all that piles up, holds it instead.
    """

    __slots__ = ("_held", "_journal", "_limits", "_send", "_sole", "_unsent")

    def __init__(self, send: Send, journal: Journal, limits: StreamLimits, *, sole_reader: bool) -> None:
        self._send = send
        self._journal = journal
        self._limits = limits
        self._sole = sole_reader
        self._unsent = 0
        self._held = False

    async def run(self, peer: Peer, after: int) -> bytes | None:
        """Until the journal has ended: what is still to be sent, nothing. None when the peer has gone before."""
        if self._sole:
            self._journal.attach(self._published, after=after)
        pump = asyncio.get_running_loop().create_task(self._pump(after))
        peer.on_gone(functools.partial(_cancel, pump))
        try:
            await asyncio.wait([pump])
        finally:
            pump.cancel()
            await asyncio.wait([pump])
            self._journal.detach(self._published)
            self._count(-self._unsent)
        return None if pump.cancelled() else pump.result()

    def _published(self, frames: Sequence[Frame]) -> None:
        self._count(sum(map(len, frames)))

    def _count(self, size: int) -> None:
        """So many bytes more, or fewer, are not sent yet."""
        self._unsent += size
        if self._held != (self._unsent > _PIECE):
            self._held = not self._held
            self._journal.hold() if self._held else self._journal.release()

    async def _pump(self, after: int) -> bytes:
        async with contextlib.aclosing(self._journal.follow(after=after)) as batches:
            while batch := await self._next(batches):
                for piece in _pieces(batch):
                    await _put(self._send, b"".join(piece), self._limits)
                    if self._sole:
                        self._count(-sum(map(len, piece)))
        return b""

    async def _next(self, batches: AsyncGenerator[Sequence[Frame], None]) -> Sequence[Frame] | None:
        """The next batch, with a comment into each silence; None at the end."""
        step = asyncio.ensure_future(anext(batches, None))
        try:
            while not (await asyncio.wait([step], timeout=self._limits.keepalive_seconds))[0]:
                await _put(self._send, _PING, self._limits)
            return step.result()
        finally:
            step.cancel()
            await asyncio.wait([step])


def _cancel(task: asyncio.Task[bytes]) -> None:
    task.cancel()
