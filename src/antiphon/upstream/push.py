"""aiohttp's connection and body reader, made to hand over what they read instead of keeping it for a task to fetch.

The library parses a network read inside ``data_received`` and feeds the body's pieces to its ``StreamReader``. Here the
pieces go to a sink at the end of that same call, all of one read together. Both classes only change where the bytes go;
a reader of the library's becomes one of ours by a change of class, because its parser makes them itself.

A read that is exactly one chunk of a chunked body, as nearly all reads of a stream of tokens are, is not even parsed:
the parser stands between two chunks before it, and would after it. And where an answer begins with a head that came
before, the parser is told of it no sooner than something comes that only it can read (see ``plain``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import ServerDisconnectedError, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import EMPTY_PAYLOAD

from antiphon.upstream.door import ExchangeFailed, Sink
from antiphon.upstream.plain import LAST_CHUNK, Heads, whole_chunks

#: The line with the size that a whole chunk begins with, by the size of both, for chunks as models send them.
_SIZES = {len(line) + size + 2: line for size in range(1, 2048) for line in [b"%x\r\n" % size]}

#: A longer first read is left to the parser, which makes the peer wait when it has given so much.
_LONGEST_FIRST = 64 * 1024


def taken(payload: StreamReader) -> bytes:
    """All that a body holds at this moment, taken from it; empty where there is nothing."""
    if payload is EMPTY_PAYLOAD:  # that of a reply without a body; it lacks even the buffer
        return b""
    buffer = payload._buffer
    if not buffer:
        return b""
    if payload._protocol._reading_paused:  # the library goes on reading when it has given enough
        return payload._read_nowait(-1)
    # As the library's own method, which does this for each piece, at several times the price.
    data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
    buffer.clear()
    payload._size = 0
    payload._cursor += len(data)
    if payload._http_chunk_splits is not None:
        payload._http_chunk_splits.clear()
    return data


def only_chunk(data: bytes) -> bytes | None:
    """What is in the chunk that these bytes are; None where they are anything else, or it is uncommonly written."""
    line = _SIZES.get(len(data))
    if line is None or data[-2:] != b"\r\n" or data[: (start := len(line))].lower() != line:
        return None
    return data[start:-2]


class Push:
    """Where the reads of one body go, until it ends, breaks or is detached. ``read_at``: when it was last heard of.

    ``in_chunk``: the parser is in the middle of a chunk, as far as is known; ``between``: it certainly stands between
    two of them, and what they hold is the body as it is.
    """

    __slots__ = ("_broke", "_plain", "_protocol", "_sink", "_time", "between", "ended", "in_chunk", "pieces", "read_at")

    def __init__(
        self,
        protocol: PushingProtocol,
        payload: StreamReader | None,
        sink: Sink,
        broke: Callable[[BaseException], ExchangeFailed],
        *,
        plain: bool,
        held: bytes,
    ) -> None:
        """Takes the body over. ``payload``: the library's reader of it, None where the parser knows nothing of this
        answer; ``broke`` is asked what to tell the sink of a connection that failed under it; ``plain``: the body is
        not compressed; ``held``: what came of it before the reader was made."""
        self._time = protocol._loop.time
        self._sink: Sink | None = sink
        self._broke = broke
        self._protocol = protocol
        self.pieces = [held] if held else []
        self.read_at = self._time()
        self.ended = False
        self._plain = plain
        self.in_chunk = payload is not None
        self.between = payload is None
        protocol.push = self
        failure = None
        if payload is not None:
            failure = payload.exception()
            data = taken(payload)  # also what came before a failure
            if data:
                self.pieces.append(data)
            payload.__class__ = PushingReader
        self.flush()
        if failure is not None:
            self.broken(failure)

    def flush(self) -> None:
        """A read is parsed: hand it over."""
        sink, pieces = self._sink, self.pieces
        if sink is None:
            return
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self.read_at = self._time()
            sink.read(data)
        if self.ended:
            self.detach()
            sink.end()

    def parsed(self, data: bytes) -> None:
        """The parser has had this read: where it stands now, and what it found."""
        # Were this the size of the next chunk, the parser would have told of that.
        self.between = self._plain and not self.in_chunk and data[-2:] == b"\r\n"
        self.flush()

    def chunk(self, data: bytes) -> None:
        """What the one chunk holds that was read."""
        if self._sink is not None:
            self.read_at = self._time()
            self._sink.read(data)

    def broken(self, failure: BaseException) -> None:
        """The connection failed under the body."""
        sink, broke = self._sink, self._broke
        if sink is not None:
            self.detach()
            sink.fail(broke(failure))

    def detach(self) -> None:
        """No more calls; nothing of the request is kept alive from here."""
        if self._sink is not None:
            self._sink = None
            del self._broke
            self._protocol.push = None


class Asker(Protocol):
    """Who waits for what a connection brings."""

    def patience(self) -> float:
        """How many seconds more the other side may be silent."""

    def silent(self) -> None:
        """It was silent for too long."""

    def parsed_by(self, payload: StreamReader) -> None:
        """What the body still brings goes here: the parser has been told of the answer."""

    def ended(self) -> None:
        """The last byte of the answer is here."""

    def lost(self) -> None:
        """The connection is gone, and everybody has been told but who reads what the parser choked on."""


class PushingProtocol(ResponseHandler):
    """A connection that hands over each read once it is parsed. ``used``: it has served an exchange."""

    used = False
    push: Push | None = None
    _parsing = False
    _takes_body = False  # the parser is one for answers that may have a body
    _at_rest = False  # it has read an answer to its last byte, and nothing since
    _heads: Heads | None = None  # those that the answer may begin with; None once it has begun
    _head = b""  # that of an answer of which the parser has not been told
    _asker: Asker | None = None
    _alarm: asyncio.TimerHandle | None = None

    def ask(self, asker: Asker, request: bytes, seconds: float, heads: Heads | None) -> None:
        """Sends a request, whose answer is then to be ``read``: a message, and the reader of its body, or what is
        here of a body that the parser knows nothing of, and whether that is all. ``seconds``: how long its asker will
        not be told of silence; ``heads``: what the answer may begin with, None where it has no body."""
        if self.transport is None:
            raise ServerDisconnectedError
        self._asker = asker
        # The alarm of an exchange before this one rings no later than needed, as a rule: it is left as it is, and
        # looks then whom it is for.
        if self._alarm is None or self._alarm.when() > self._loop.time() + seconds:
            self._set_alarm(seconds)
        body = heads is not None
        if not (self._at_rest and body and self._takes_body):  # else the parser reads on: a new one is dear
            self.set_response_params(skip_payload=not body, read_until_eof=True, auto_decompress=True)
        self._takes_body = body
        self._at_rest = False
        self._heads = heads
        self.transport.write(request)

    def dismiss(self) -> None:
        """The asker waits no more."""
        self._asker = None
        self._head = b""

    def parse(self) -> None:
        """From here on the parser reads the answer. After its head it stands as it does between any two chunks."""
        head, self._head = self._head, b""
        if not head:
            return
        assert self._parser is not None
        assert self._asker is not None
        messages, _, _ = self._parser.feed_data(head)
        self._payload = payload = messages[0][1]
        if self.push is not None:
            payload.__class__ = PushingReader
            self.push.in_chunk = False
        self._asker.parsed_by(payload)

    def connection_lost(self, exc: BaseException | None) -> None:
        """No more alarms."""
        self.parse()  # it knows what an end in the middle means
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        super().connection_lost(exc)
        if self._asker is not None:
            self._asker.lost()

    def _set_alarm(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        asker = self._asker
        if asker is None:
            return
        left = asker.patience()
        if left > 0:
            self._set_alarm(left)
        else:
            asker.silent()

    def hold(self) -> None:
        """No more reads. The library's own way tells the parser too, for whom it is too late between two reads: it
        would stop in the middle of the next one."""
        self._reading_paused = True
        self._pause_transport_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Only when there is something to resume: the library would parse every read a second time, empty."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        push = self.push
        if push is None or self._parser is None:
            self._unpushed(data)
            return
        if push.between and (chunk := only_chunk(data)) is not None:
            push.chunk(chunk)
            return
        if self._head:
            body = whole_chunks(data)
            if body is not None:
                content, push.ended = body
                if content:
                    push.pieces.append(content)
                if push.ended:
                    self._head = b""
                    self._at_rest = True
                    assert self._asker is not None
                    self._asker.ended()
                push.flush()
                return
            self.parse()
        # In the middle of a body the library's own method does nothing but this, at several times the price.
        self._parsing = True
        try:
            messages, self._upgraded, _ = self._parser.feed_data(data)
            if messages:  # an answer to nothing
                self.close()
        except Exception:  # noqa: BLE001 - whatever the parser objects to, the connection is of no more use
            self.close()
        finally:
            self._parsing = False
        self._at_rest = push.ended and data[-5:] == LAST_CHUNK
        push.parsed(data)

    def _unpushed(self, data: bytes) -> None:
        """A read of a body that goes to nobody yet, or of a head."""
        heads, self._heads = self._heads, None
        if heads is not None and len(data) <= _LONGEST_FIRST and (body := heads.body(data)) is not None:
            self._at_rest = body[1]
            self._head = b"" if body[1] else heads.head
            self.feed_data((heads.message, body))  # type: ignore[arg-type]  # see ``ask``
            return
        self.parse()
        super().data_received(data)
        payload = self._payload
        self._at_rest = payload is not None and payload.is_eof() and data[-5:] == LAST_CHUNK
        if heads is not None and len(self._buffer) == 1:
            heads.parsed(data, self._buffer[0][0][0])


class PushingReader(StreamReader):
    """A body that keeps nothing."""

    __slots__ = ()

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        push: Push | None = self._protocol.push  # type: ignore[attr-defined]  # always a PushingProtocol
        if push is not None:
            push.pieces.append(data)
        return False

    def begin_http_chunk_receiving(self) -> None:
        """The size of a chunk was read."""
        push: Push | None = self._protocol.push  # type: ignore[attr-defined]
        if push is not None:
            push.in_chunk = True

    def end_http_chunk_receiving(self) -> None:
        """And the chunk itself, to its last byte."""
        push: Push | None = self._protocol.push  # type: ignore[attr-defined]
        if push is not None:
            push.in_chunk = False

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
