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
        self._cycle = cycle
        self.transport: asyncio.Transport = cycle.transport
        self.on_lost: Callable[[], None] | None = None
        self.writer: Writer | None = None

    @property
    def disconnected(self) -> bool:
        """The peer has gone, or is being let go."""
        return self._cycle.disconnected or self.transport.is_closing()

    @property
    def chunked(self) -> bool:
        """Whether the body that was begun goes out in HTTP/1.1 chunks."""
        return bool(self._cycle.chunked_encoding)

    def cork(self) -> None:
        """Collect what is written of this reply until ``uncork``: head and first events then are one write."""
        self._cycle.transport = cast("asyncio.Transport", _Cork(self.transport))

    def uncork(self) -> None:
        """Write what was collected."""
        corked = self._cycle.transport
        if isinstance(corked, _Cork):
            self._cycle.transport = self.transport
            self.transport.write(b"".join(corked.parts))

    def write(self, data: bytes) -> None:
        """To the peer, or to what is collected for it."""
        self._cycle.transport.write(data)

    def resume_reading(self) -> None:
        """A peer is only seen to go while its socket is read; a large request body may have paused that."""
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

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.connection is not None and self.connection.on_lost is not None:
            self.connection.on_lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.connection is not None and self.connection.writer is not None:
            self.connection.writer.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.connection is not None and self.connection.writer is not None:
            self.connection.writer.resume()
