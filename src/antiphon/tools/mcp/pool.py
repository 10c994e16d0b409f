"""The connections to MCP servers: one for each server and set of credentials, shared, and closed when it stands idle.

Each is owned by a task of its own, because it has to be closed by the task that opened it. A connection that fails
fails the calls that were on it; the next call gets another.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from antiphon.config import McpConfig
from antiphon.tools.mcp.failures import CONNECTION_CLOSED, Failed, SessionLost, closed, silent
from antiphon.tools.mcp.server import Server
from antiphon.upstream.door import Transport
from antiphon.upstream.egress import Egress

if TYPE_CHECKING:
    from antiphon.tools.mcp.session import Session

T = TypeVar("T")

_log = logging.getLogger("antiphon.tools")

#: How long a connection may take to say goodbye; a program is given two seconds to end, then killed.
_CLOSE_SECONDS = 8.0


class Pool:
    """All connections. ``aclose`` ends them."""

    def __init__(self, door: Transport, egress: Egress, config: McpConfig) -> None:
        self._door = door
        self._egress = egress
        self._config = config
        self._lines: dict[str, _Line] = {}
        self._ending: set[_Line] = set()
        self._closed = False

    async def list_tools(self, server: Server, seconds: float) -> list[dict[str, Any]]:
        """The server's tools, which may be as old as the configuration lets them be. Raises ``Failed``."""

        async def listed(line: _Line, session: Session) -> list[dict[str, Any]]:
            return await line.list_tools(session, self._config.list_seconds)

        return await self._within(server, seconds, listed)

    async def call(self, server: Server, name: str, arguments: dict[str, Any], seconds: float) -> dict[str, Any]:
        """What the tool gave: ``{content, failed}``, and ``structured`` where there is such. Raises ``Failed``."""

        async def called(_: _Line, session: Session) -> dict[str, Any]:
            return await session.call(name, arguments)

        return await self._within(server, seconds, called)

    async def aclose(self) -> None:
        """Ends all connections, and waits for their end."""
        self._closed = True
        for line in list(self._lines.values()):
            self._end(line)
        if self._ending:
            await asyncio.wait([line.task for line in self._ending])

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._lines)

    async def _within(self, server: Server, seconds: float, job: Callable[[_Line, Session], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await self._on_line(server, job)
                except SessionLost:  # it did nothing, so it may be asked again
                    return await self._on_line(server, job)
        except TimeoutError:
            raise silent(seconds) from None

    async def _on_line(self, server: Server, job: Callable[[_Line, Session], Awaitable[T]]) -> T:
        line = self._line(server)
        async with line.used(self._config.idle_seconds, self._end) as session:
            return await job(line, session)

    def _line(self, server: Server) -> _Line:
        line = self._lines.get(server.key)
        if line is not None and not line.gone.is_set():
            return line
        if self._closed:
            raise Failed("mcp_protocol_error", CONNECTION_CLOSED, "This server is closing.")
        if line is not None:
            self._end(line)
        self._make_room()
        line = self._lines[server.key] = _Line(server, self._door, self._egress, self._config)
        line.task.add_done_callback(lambda _: self._ended(line))
        return line

    def _make_room(self) -> None:
        if len(self._lines) < self._config.max_connections:
            return
        idle = next((line for line in self._lines.values() if not line.users), None)
        if idle is None:
            raise Failed("mcp_protocol_error", CONNECTION_CLOSED, "Too many MCP servers are connected at once.")
        self._end(idle)

    def _end(self, line: _Line) -> None:
        line.end()
        self._ending.add(line)
        if self._lines.get(line.server.key) is line:
            del self._lines[line.server.key]

    def _ended(self, line: _Line) -> None:
        self._end(line)
        self._ending.discard(line)


class _Line:
    """One connection, from the task that owns it to those who use it."""

    def __init__(self, server: Server, door: Transport, egress: Egress, config: McpConfig) -> None:
        self.server = server
        self.users = 0
        self.gone = asyncio.Event()
        """It is of no use any more, and closes."""
        self._ready: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.exception())  # nobody may be left who waits for it
        self._tools: tuple[float, list[dict[str, Any]]] | None = None
        self._listing = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._clock: asyncio.Timeout | None = None
        # Not in the context of the request that happens to be the first: others will use it.
        own = self._own(door, egress, config)
        self.task = asyncio.create_task(own, context=contextvars.Context())

    @contextlib.asynccontextmanager
    async def used(self, idle_seconds: float, end: Callable[[_Line], None]) -> AsyncIterator[Session]:
        """The session, as soon as there is one; kept from closing meanwhile. Raises ``Failed``."""
        self.users += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            yield await asyncio.shield(self._ready)
        finally:
            self.users -= 1
            if not self.users and not self.gone.is_set():
                self._idle = asyncio.get_running_loop().call_later(idle_seconds, end, self)

    def end(self) -> None:
        """Closes it, even while it is only about to be opened."""
        self.gone.set()
        if self._clock is not None and not self._ready.done():
            self._clock.reschedule(asyncio.get_running_loop().time())

    async def list_tools(self, session: Session, seconds: float) -> list[dict[str, Any]]:
        """The tools, asked for at most once in so many seconds unless they changed."""
        async with self._listing:
            now = asyncio.get_running_loop().time()
            if self._tools is not None and now < self._tools[0]:
                return self._tools[1]
            self._tools = (now + seconds, [])  # a change that is told while they are listed makes this None
            tools = await self._asked(session)
            if self._tools is not None:
                self._tools = (now + seconds, tools)
            return tools

    async def _asked(self, session: Session) -> list[dict[str, Any]]:
        try:
            return await session.list_tools()
        except BaseException:
            self._tools = None
            raise

    def _forget(self) -> None:
        self._tools = None

    async def _own(self, door: Transport, egress: Egress, config: McpConfig) -> None:
        failed: Failed | None = None
        loop = asyncio.get_running_loop()
        try:
            module = await asyncio.to_thread(importlib.import_module, "antiphon.tools.mcp.session")
            session: Session = module.Session(self.gone, self._forget)
            seconds = 0 if self.gone.is_set() else config.connect_seconds
            async with asyncio.timeout(seconds) as clock, contextlib.AsyncExitStack() as stack:
                self._clock = clock
                await session.open(stack, self.server, door, egress, config)
                clock.reschedule(None)
                self._ready.set_result(session)
                await self.gone.wait()
                clock.reschedule(loop.time() + _CLOSE_SECONDS)
        except Failed as failure:
            failed = failure
        except TimeoutError:
            failed = closed() if self.gone.is_set() else silent(config.connect_seconds)
        except Exception as defect:  # noqa: BLE001 - whatever the package leaves behind, its users are told below
            _log.warning("A connection to an MCP server broke (%s).", type(defect).__name__)
        finally:
            self.gone.set()
            if self._idle is not None:
                self._idle.cancel()
            if not self._ready.done():
                self._ready.set_exception(failed or closed())
