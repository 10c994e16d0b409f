"""The client at the other end of one request, and the moment it goes.

On our own protocol the connection says so itself, at no cost. Elsewhere a task waits for ``http.disconnect``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

from antiphon.http.protocol import Connection

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Peer:
    """``with peer:``, once the body was read, and only in it: ``gone`` may become true any time.

    ``dropped`` says that it did not go by itself. Where there is no connection, ``unwatched`` must be awaited in the
    end.
    """

    __slots__ = ("_callbacks", "_watch", "connection", "dropped", "gone", "receive")

    def __init__(self, connection: Connection | None, receive: Receive) -> None:
        self.connection = connection
        self.receive = receive
        self.gone = False
        self.dropped = False
        self._callbacks: list[Callable[[], None]] = []
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        connection = self.connection
        if connection is None:
            self._watch = asyncio.get_running_loop().create_task(self._until_disconnect())
        else:
            connection.on_lost = self._lost
            connection.resume_reading()
            if connection.gone:
                self._lost()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.connection is not None:
            self.connection.on_lost = None
        self._callbacks.clear()  # what they hold holds us: a request must not wait for the garbage collector
        if self._watch is not None:
            self._watch.cancel()

    async def unwatched(self) -> None:
        """Until the task that watched has ended."""
        watch, self._watch = self._watch, None  # the error that ends it holds us
        if watch is not None:
            await asyncio.wait([watch])

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call back once when the client goes; at once if it has."""
        if self.gone:
            callback()
        else:
            self._callbacks.append(callback)

    def drop(self) -> None:
        """Let go of a client that does not read. Where the connection cannot be cut, the request just ends."""
        self.dropped = True
        if self.connection is not None:
            self.connection.transport.abort()
        else:
            self._lost()

    def _lost(self) -> None:
        self.gone = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    async def _until_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self._lost()
