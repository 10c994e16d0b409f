"""uvicorn's HTTP protocol, with its connection shown to the application.

A streamed token must not wake a task, so a live stream writes to the transport itself (``http/sse``). For that it needs
three things that ASGI does not give: the transport, and word of a lost connection or a full buffer at the moment they
happen. They come as a ``Connection`` in the scope's extensions; under any other server there is none, and the stream
falls back to ``await send``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

EXTENSION = "antiphon.connection"


class Writer(Protocol):
    """Who writes to the transport directly, and must hear when it is full."""

    def pause(self) -> None:
        """The buffer is over its high-water mark."""

    def resume(self) -> None:
        """The buffer has drained."""


class Connection:
    """One request's view of its connection."""

    __slots__ = ("_cycle", "on_lost", "transport", "writer")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle: RequestResponseCycle | None = cycle
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

    def cork(self) -> None:
        """Collect what is written of this reply until ``uncork``: head and first events then are one write."""
        if self._cycle is not None:
            self._cycle.transport = cast("asyncio.Transport", _Cork(self.transport))

    def uncork(self) -> None:
        """Write what was collected."""
        parts = self.corked
        if parts is not None and self._cycle is not None:
            self._cycle.transport = self.transport
            self.transport.write(b"".join(parts))

    @property
    def corked(self) -> list[bytes] | None:
        """What is collected; None when it is not."""
        transport: Any = self._cycle.transport if self._cycle is not None else None
        return transport.parts if isinstance(transport, _Cork) else None

    def release(self) -> None:
        """The reply is over. Otherwise the request would lie in a circle, and the collector had to come for it."""
        self._cycle = self.on_lost = self.writer = None

    def resume_reading(self) -> None:
        """A peer is only seen to go while its socket is read; a large request body may have paused that."""
        if self._cycle is not None:
            self._cycle.flow.resume_reading()


class _Cork:
    """A transport that keeps what is written, and is the real one in all else."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.parts: list[bytes] = []
        self._transport = transport

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


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
