"""One connection to one server, on the ``mcp`` package. Only ``pool`` imports this, at the first connection: it is
slow to load.

A connection lives in the task that opened it; calls come from other tasks. What the package raises becomes
``Failed`` here, and nothing of its types goes further.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, TextIO, TypeVar

import httpx2
import mcp_types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError

import antiphon
from antiphon.config import McpConfig
from antiphon.tools.mcp.bridge import MARK, Bridge
from antiphon.tools.mcp.failures import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    Failed,
    SessionLost,
    closed,
)
from antiphon.tools.mcp.server import Server
from antiphon.upstream.door import Transport
from antiphon.upstream.egress import Egress

T = TypeVar("T")

# The package logs what it sends and where to, and its HTTP client every URL: session ids, arguments, tokens in paths.
for _name in ("mcp.client", "mcp.shared", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

#: How the package says, under a number that servers use too, that a connection ended.
_CLOSED = ("Connection closed", "SSE stream ended")
#: Who has a longer list than this is not asked for the rest.
_MAX_PAGES = 100
#: Statuses to a POST by which a server may mean that it only knows the older transport, HTTP with SSE.
_OLDER = frozenset({400, 404, 405, 406, 415, 501})


class Session:
    """One connection. ``gone`` is set once it was open and is of no more use; ``changed`` is called when the tools
    changed."""

    def __init__(self, gone: asyncio.Event, changed: Callable[[], None]) -> None:
        self._gone = gone
        self._changed = changed
        self._greeted = False
        self._over = False
        self._clock: asyncio.Timeout | None = None
        self._bridge: Bridge | None = None
        self._client: Client | None = None

    async def list_tools(self) -> list[dict[str, Any]]:
        """All tools: ``{name, input_schema}``, with ``description`` and ``annotations`` where the server has them.

        Raises ``Failed``.
        """
        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._asked(self._ready.list_tools(cursor=cursor, cache_mode="bypass"))
            tools += [_tool(tool) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
        return tools

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """``{content, failed}``, and ``structured`` where there is such. Raises ``Failed``; ``SessionLost`` when the
        server has done nothing and another connection may try."""
        result = await self._asked(self._ready.call_tool(name, arguments))
        dumped = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        content = [{key: each for key, each in block.items() if key != "_meta"} for block in dumped["content"]]
        answer = {"content": content, "failed": result.is_error}
        if "structuredContent" in dumped:
            answer["structured"] = dumped["structuredContent"]
        return answer

    async def open(
        self, stack: contextlib.AsyncExitStack, server: Server, door: Transport, egress: Egress, config: McpConfig
    ) -> None:
        """Connects and greets; what was opened is on the stack. Raises ``Failed``."""
        if server.command:
            await self._greet(stack, _program(server), config)
            return
        for way in (_streamable, _events):
            self._bridge = Bridge(server, door, egress, config.max_message_bytes, events=way is _events)
            if way is _events:
                self._bridge.on_failure = self._give_up
            try:
                await self._greet(stack, way(self._bridge, config), config)
                return
            except Failed as failed:
                if way is _streamable and failed.kind == "http_error" and failed.code in _OLDER:
                    first = failed
                    continue
                # That the older transport is not there either says less than what the newer one was told.
                refused = failed.kind == "http_error" and failed.code not in _OLDER
                raise (failed if way is _streamable or refused else first) from None

    async def _greet(
        self,
        stack: contextlib.AsyncExitStack,
        transport: contextlib.AbstractAsyncContextManager[Any],
        config: McpConfig,
    ) -> None:
        self._over = False
        client = Client(
            _watched(transport, self._end),
            client_info=mcp_types.Implementation(name="antiphon", version=antiphon.__version__),
            message_handler=self._heard,
            cache=None,
        )
        try:
            async with asyncio.timeout(None) as self._clock:
                self._client = await self._asked(stack.enter_async_context(client))
        except TimeoutError:
            raise self._broken() from None
        finally:
            self._clock = None
        self._greeted = True
        if self._over:
            self._gone.set()

    def _end(self) -> None:
        """Nothing more will come of it."""
        self._over = True
        if self._greeted:
            self._gone.set()

    def _give_up(self) -> None:
        """What was sent last will not be answered, and the package would wait for it all the same."""
        self._end()
        if self._clock is not None:
            self._clock.reschedule(asyncio.get_running_loop().time())

    async def _heard(self, message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._changed()

    @property
    def _ready(self) -> Client:
        assert self._client is not None
        return self._client

    async def _asked(self, asking: Awaitable[T]) -> T:
        try:
            return await asking
        except (
            MCPError,
            ValidationError,
            RuntimeError,
            ValueError,
            OSError,
            httpx2.HTTPError,
            ExceptionGroup,
        ) as error:
            raise self._failure(_innermost(error)) from None

    def _failure(self, error: Exception) -> Failed:
        """What the package raised, as ours. Only MCP's own errors and those about schemas are quoted."""
        if isinstance(error, Failed):
            return error
        if isinstance(error, MCPError):
            return self._told(error)
        if isinstance(error, ValidationError):
            return _unusable(f"The server's answer is not valid MCP ({error.error_count()} errors).")
        if isinstance(error, RuntimeError):  # a result does not fit the schema that the server declared for it
            return _unusable(f"The server's answer cannot be used: {error}")
        if isinstance(error, OSError):
            self._end()
            reason = f"The server's program cannot be started ({type(error).__name__})."
            return Failed("mcp_protocol_error", CONNECTION_CLOSED, reason)
        return self._broken()

    def _told(self, error: MCPError) -> Failed:
        mark = error.data.get(MARK) if isinstance(error.data, dict) else None
        if mark is not None:
            self._end()
            kind = SessionLost if mark["lost"] else Failed
            return kind(mark["type"], mark["code"], mark["message"])
        if error.code == CONNECTION_CLOSED and (self._over or error.message.startswith(_CLOSED)):
            return self._broken()
        return Failed("mcp_protocol_error", error.code, error.message)

    def _broken(self) -> Failed:
        self._end()
        failure = self._bridge.failure if self._bridge is not None else None
        return closed() if failure is None else Failed(failure.kind, failure.code, failure.message)


def _unusable(reason: str) -> Failed:
    return Failed("mcp_protocol_error", INVALID_REQUEST, reason)


def _innermost(error: Exception) -> Exception:
    """The error that a group was made of, the package's own before others."""
    if not isinstance(error, ExceptionGroup):
        return error
    inner = [_innermost(each) for each in error.exceptions]
    return next((each for each in inner if isinstance(each, MCPError)), inner[0])


@contextlib.asynccontextmanager
async def _streamable(bridge: Bridge, config: McpConfig) -> AsyncIterator[Any]:
    async with (
        httpx2.AsyncClient(transport=bridge, timeout=None, trust_env=False) as http,
        streamable_http_client(bridge.url, http_client=http, max_sse_event_size=config.max_message_bytes) as streams,
    ):
        yield streams


@contextlib.asynccontextmanager
async def _events(bridge: Bridge, config: McpConfig) -> AsyncIterator[Any]:
    def client(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=bridge, timeout=None, trust_env=False)

    async with sse_client(bridge.url, httpx_client_factory=client) as streams:
        yield streams


@contextlib.asynccontextmanager
async def _program(server: Server) -> AsyncIterator[Any]:
    parameters = StdioServerParameters(command=server.command[0], args=list(server.command[1:]), env=dict(server.env))
    with contextlib.ExitStack() as stack:
        async with stdio_client(parameters, errlog=_complaints(stack)) as streams:
            yield streams


def _complaints(stack: contextlib.ExitStack) -> TextIO:
    """Where a program's standard error goes: where ours does, if that is a file."""
    ours = sys.__stderr__
    try:
        if ours is not None and ours.fileno() >= 0:
            return ours
    except (OSError, ValueError):
        pass  # it was closed, or never was a file
    return stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123


@contextlib.asynccontextmanager
async def _watched(
    transport: contextlib.AbstractAsyncContextManager[Any], ended: Callable[[], None]
) -> AsyncIterator[Any]:
    """The same transport, which tells when the server's side has ended: the package keeps that to itself."""
    async with transport as (read, write):
        yield _Watched(read, ended), write


class _Watched:
    """A stream of what the server says."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    @property
    def last_context(self) -> Any:
        """The context that the last message was sent in, where the stream knows it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except BaseException:
            self._ended()
            raise

    async def __aenter__(self) -> _Watched:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.aclose()


def _tool(tool: mcp_types.Tool) -> dict[str, Any]:
    listed: dict[str, Any] = {"name": tool.name, "input_schema": tool.input_schema}
    if tool.description:
        listed["description"] = tool.description
    if tool.annotations is not None:
        listed["annotations"] = tool.annotations.model_dump(mode="json", by_alias=True, exclude_none=True)
    return listed
