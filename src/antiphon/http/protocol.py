"""uvicorn's HTTP protocol, with its connection shown to the application.

A streamed token must not wake a task, so a live stream writes to the transport itself (``http/sse``). For that it needs
three things that ASGI does not give: the transport, and word of a lost connection or a full buffer at the moment they
happen. They come as a ``Connection`` in the scope's extensions; under any other server there is none, and the stream
falls back to ``await send``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

EXTENSION = "antiphon.connection"

RawHeaders = Sequence[tuple[bytes, bytes]]

_CLOSE = b"connection: close\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"


class Writer(Protocol):
    """Who writes to the transport directly, and must hear when it is full."""

    def pause(self) -> None:
        """The buffer is over its high-water mark."""

    def resume(self) -> None:
        """The buffer has drained."""


def header_lines(headers: RawHeaders) -> bytes:
    """Headers as they are sent; names in lowercase. Raises ``ValueError`` for a value that would break out of its
    line."""
    if HEADER_VALUE_RE.search(b"".join([value for _, value in headers])):
        raise ValueError("a header holds a control character")
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Connection:
    """One request's view of its connection.

    A reply may go to the transport itself, where nobody but uvicorn would see it on its way: in one write with its
    head, and without the price of uvicorn's ``send``, which is that of many tokens.
    """

    __slots__ = ("_cycle", "_direct", "corked", "on_lost", "transport", "writer")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._direct = False  # the reply was begun here
        self.corked: list[bytes] | None = None
        """What is to leave with the next write, once something was begun."""
        self.transport: asyncio.Transport = cycle.transport
        self.on_lost: Callable[[], None] | None = None
        self.writer: Writer | None = None

    @property
    def disconnected(self) -> bool:
        """The peer has gone, or is being let go."""
        return self.transport.is_closing() or (self._cycle is not None and self._cycle.disconnected)

    @property
    def full(self) -> bool:
        """Whether the buffer is over its high-water mark."""
        return self._cycle is not None and bool(self._cycle.flow.write_paused)

    @property
    def chunked(self) -> bool:
        """Whether the body that was begun goes out in HTTP/1.1 chunks."""
        return self._cycle is not None and bool(self._cycle.chunked_encoding)

    def body(self, receive: object) -> bytes | None:
        """The whole body of the request, as it would come from ``receive``. None where that must be asked: it is not
        uvicorn's own, or not all of the body is here."""
        cycle = self._cycle
        owner: object = getattr(receive, "__self__", None)
        if cycle is None or owner is not cycle:
            return None
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        return body

    def takes(self, send: object) -> bool:
        """Whether a reply may be written here instead of to ``send``: that is uvicorn's own, which has nothing to wait
        for and nothing to add."""
        cycle = self._cycle
        owner: object = getattr(send, "__self__", None)
        if cycle is None or owner is not cycle or cycle.scope["method"] == "HEAD":
            return False
        waits = cycle.response_started or cycle.disconnected or cycle.flow.write_paused
        return not (waits or cycle.default_headers or cycle.access_log)

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """A whole reply, where it is taken; ``headers`` are lines, the length among them."""
        cycle = self._begun()
        closing = b"" if cycle.keep_alive else _CLOSE
        self.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[status], headers, closing, body))
        _complete(cycle)

    def begin(self, status: int, headers: bytes) -> None:
        """The head of a reply in chunks, where it is taken; it leaves with the first chunk. ``headers`` are lines."""
        cycle = self._begun()
        cycle.chunked_encoding = self._direct = True
        closing = b"" if cycle.keep_alive else _CLOSE
        self.corked = [b"%b%b%b%b\r\n" % (STATUS_LINE[status], headers, closing, _CHUNKED)]

    def uncork(self) -> None:
        """Write what waits for the next write."""
        parts, self.corked = self.corked, None
        if parts and not self.disconnected:
            self.transport.write(b"".join(parts))

    def put(self, body: bytes) -> bool:
        """A chunk of a reply that was begun here. False, and nothing was done, when it was not, or when its reader has
        to be waited for."""
        cycle = self._cycle
        if cycle is None or not self._direct or not body or cycle.disconnected or cycle.flow.write_paused:
            return False
        self.uncork()
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def finish(self, body: bytes) -> bool:
        """The last chunk, where there is one more, and the end, in one write with what waits for it. False, and only
        the latter was written, when the reply was not begun here, or its reader has still to read."""
        cycle = self._cycle
        if cycle is None or not self._direct or cycle.disconnected or self.transport.get_write_buffer_size():
            self.uncork()
            return False
        end = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        parts, self.corked = self.corked, None
        self.transport.write(b"".join([*parts, end]) if parts else end)
        _complete(cycle)
        return True

    def release(self) -> None:
        """The reply is over. Otherwise the request would lie in a circle, and the collector had to come for it."""
        self._cycle = self.on_lost = self.writer = None

    def resume_reading(self) -> None:
        """A peer is only seen to go while its socket is read; a large request body may have paused that."""
        if self._cycle is not None:
            self._cycle.flow.resume_reading()

    def _begun(self) -> RequestResponseCycle:
        cycle = self._cycle
        assert cycle is not None, "it was not asked whether it takes the reply"
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        return cycle


def _complete(cycle: RequestResponseCycle) -> None:
    """What uvicorn does once it has written the end of a reply."""
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


class AntiphonHttpProtocol(HttpToolsProtocol):
    """As uvicorn's, but each request's scope holds its ``Connection``."""

    connection: Connection | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.connection = Connection(cycle)
        extensions: dict[str, Any] = cycle.scope.setdefault("extensions", {})
        extensions[EXTENSION] = self.connection
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        if self.connection is not None:
            self.connection.release()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.connection is not None:
            if self.connection.on_lost is not None:
                self.connection.on_lost()
            self.connection.release()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.connection is not None and self.connection.writer is not None:
            self.connection.writer.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.connection is not None and self.connection.writer is not None:
            self.connection.writer.resume()


def settings(app: Callable[..., Any], **more: Any) -> uvicorn.Config:
    """uvicorn's settings for this protocol; logs and headers are the application's own. ``more`` adds to them."""
    return uvicorn.Config(
        app,
        http=AntiphonHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        **more,
    )
