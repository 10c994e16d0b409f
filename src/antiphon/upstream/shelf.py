"""Connections to one origin that rest between two exchanges: taken and put back by plain calls.

The library's pool does the same at four times the price. For it these connections are still in use, so where somebody
waits for one there, it is given back instead of coming here.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp.connector import Connection

#: How long a connection may rest. As long as the library's own pool would keep it. Seconds.
REST_SECONDS = 15.0


class Shelf:
    """The one that has rested longest is taken first. ``waiting``: how many ask the library's pool for one to this
    origin."""

    __slots__ = ("_closed", "_loop", "_resting", "_timer", "waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._resting: deque[tuple[Connection, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.waiting = 0

    def take(self) -> Connection | None:
        """A connection that is still open, if one is here, and on which nothing has come that nobody asked for."""
        while self._resting:
            connection, since = self._resting.popleft()
            protocol = connection.protocol
            fresh = self._loop.time() - since <= REST_SECONDS
            if fresh and protocol is not None and protocol.is_connected() and not protocol.should_close:
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """A connection whose exchange has come to its end. One that cannot serve another is closed."""
        protocol = connection.protocol
        if protocol is None or protocol.should_close or self.waiting or self._closed:
            connection.release()
            return
        self._resting.append((connection, self._loop.time()))
        if self._timer is None:
            self._timer = self._loop.call_later(REST_SECONDS, self._sweep)

    def close(self) -> None:
        """Closes all that rest here; no others come."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._resting:
            self._resting.popleft()[0].close()

    def _sweep(self) -> None:
        """Closes those that have rested too long, and those that the other side has closed."""
        self._timer = None
        latest = self._loop.time() - REST_SECONDS
        resting, self._resting = self._resting, deque()
        for connection, since in resting:
            if since > latest and not connection.closed:
                self._resting.append((connection, since))
            else:
                connection.close()
        if self._resting:
            self._timer = self._loop.call_later(REST_SECONDS, self._sweep)
