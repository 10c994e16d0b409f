"""aiohttp's connection and body reader, made to hand over what they read instead of keeping it for a task to fetch.

The library parses a network read inside ``data_received`` and feeds the body's pieces to its ``StreamReader``. Here the
pieces go to a sink at the end of that same call, all of one read together. Both classes only change where the bytes go;
an instance of the library's becomes one of ours by a change of class, because the library makes them itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler


class Push:
    """Where the reads of one body go: ``read`` with each, then ``end``, or ``fail`` with what broke it."""

    __slots__ = ("_end", "_fail", "_pieces", "_protocol", "_read", "ended")

    def __init__(
        self,
        protocol: ResponseHandler,
        payload: StreamReader,
        *,
        read: Callable[[bytes], None],
        end: Callable[[], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """Takes the body over from here on; what it holds already is the first read."""
        self._read = read
        self._end = end
        self._fail = fail
        self._pieces: list[bytes] = []
        self.ended = False
        failure = payload.exception()
        if payload._buffer:  # also what came before a failure
            self._pieces.append(payload._read_nowait(-1))
        self._protocol = protocol
        if type(protocol) is not PushingProtocol:
            protocol.__class__ = PushingProtocol
            if protocol.transport is not None:
                # uvloop looks a protocol's methods up once, when it is set.
                protocol.transport.set_protocol(protocol)
        payload.__class__ = PushingReader
        protocol.push = self  # type: ignore[attr-defined]  # it is a PushingProtocol by now
        self.flush()
        if failure is not None:
            self.broken(failure)

    def feed(self, data: bytes) -> None:
        """A piece of the read that is being parsed."""
        self._pieces.append(data)

    def flush(self) -> None:
        """The read is parsed: hand it over."""
        if self.detached:
            return
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._read(data)
        if self.ended:
            self.detach()
            self._end()

    def broken(self, failure: BaseException) -> None:
        """The connection failed under the body."""
        if not self.detached:
            self.detach()
            self._fail(failure)

    @property
    def detached(self) -> bool:
        """Whether the protocol serves somebody else by now."""
        return getattr(self._protocol, "push", None) is not self

    def detach(self) -> None:
        """No more calls."""
        if not self.detached:
            self._protocol.push = None  # type: ignore[attr-defined]


class PushingProtocol(ResponseHandler):
    """A connection that hands over each read once it is parsed."""

    push: Push | None = None
    _parsing = False

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Only when there is something to resume: the library would parse every read a second time, empty."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        push = self.push
        if push is None:
            super().data_received(data)
            return
        self._parsing = True
        try:
            super().data_received(data)
        finally:
            self._parsing = False
        push.flush()


class PushingReader(StreamReader):
    """A body that keeps nothing."""

    __slots__ = ()

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        push: Push | None = self._protocol.push  # type: ignore[attr-defined]  # always a PushingProtocol
        if push is not None:
            push.feed(data)
        return False

    def begin_http_chunk_receiving(self) -> None:
        """Where the peer's chunks end is of no interest."""

    def end_http_chunk_receiving(self) -> None:
        """As above."""

    def feed_eof(self) -> None:
        protocol: Any = self._protocol
        push: Push | None = protocol.push
        if push is not None:
            push.ended = True
        super().feed_eof()
        if push is not None and not protocol._parsing:
            push.flush()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        push: Push | None = self._protocol.push  # type: ignore[attr-defined]
        super().set_exception(exc, *cause)
        if push is not None:
            push.broken(exc)
