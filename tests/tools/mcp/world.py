"""Real MCP servers on loopback, and a kit as the application makes it; ``outside`` simply makes the call."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from antiphon.config import McpConfig, McpServerConfig
from antiphon.tools.base import Around, Call, Held, ItemDict, Json, Outcome, Outside, Tool, Toolset
from antiphon.tools.mcp import McpKit
from antiphon.upstream.door import Door
from antiphon.upstream.network import Network
from antiphon.wire.events import AnyEvent, Delta

ROOT = Path(__file__).resolve().parents[3]

Scope, Receive, Send = dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(app: App, port: int = 0) -> AsyncIterator[str]:
    """Serves an ASGI application in this loop; gives its root URL."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=0)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait([task, asyncio.create_task(server.began.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class _Server(uvicorn.Server):
    """Says when it has started, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.began.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class Watched:
    """An ASGI application in front of another: sees each request, and may answer in its place.

    ``seen`` are ``(method, path, headers, JSON-RPC method)``. ``token``: who does not bring it gets 401. ``older``:
    the server knows nothing of protocols without a handshake.
    """

    def __init__(self, app: App, *, token: str | None = None, older: bool = False) -> None:
        self.app = app
        self.token = token
        self.older = older
        self.seen: list[tuple[str, str, dict[str, str], str]] = []

    def asked(self, method: str) -> int:
        """How often this JSON-RPC method was asked for."""
        return sum(each[3] == method for each in self.seen)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = b""
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        method = str(json.loads(body).get("method", "")) if body else ""
        self.seen.append((scope["method"], scope["path"], headers, method))
        if self.token is not None and headers.get("authorization") != f"Bearer {self.token}":
            await answer(send, 401, b'{"error": "invalid_token"}')
            return
        if self.older and method == "server/discover":
            error = {"code": -32601, "message": "Method not found"}
            await answer(
                send, 200, json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": error}).encode()
            )
            return
        given = [{"type": "http.request", "body": body, "more_body": False}] if scope["method"] == "POST" else []

        async def again() -> Any:
            return given.pop() if given else await receive()

        await self.app(scope, again, send)


async def answer(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    """A whole JSON reply."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class World:
    """A kit, its door, and what went through ``outside``."""

    def __init__(self, config: McpConfig, *, allow_private: bool = True, **more: Any) -> None:
        network = Network(proxies={})
        self.door = Door({"http": network, "https": network})
        self.kit = McpKit(config, self.door, allow_private=allow_private, **more)
        self.went: list[tuple[str, str, Json, Json]] = []
        self.outside: Outside = self._outside
        self._numbers = itertools.count()

    def around(self, **more: Any) -> Around:
        """What a tool is given."""
        return Around(lambda kind: f"{kind}_{next(self._numbers)}", self.outside, **more)

    async def _outside(self, provider: str, tool: str, arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
        result = await perform()
        self.went.append((provider, tool, arguments, msgspec.json.decode(msgspec.json.encode(result))))
        return result

    def toolset(self, url: str | None = None, **entry: Any) -> Toolset:
        """The toolset of an entry; calls need no approval unless it says so."""
        place = {} if url is None else {"server_url": url}
        whole = {"type": "mcp", "server_label": "things", "require_approval": "never", **place, **entry}
        return self.kit.toolset(whole, "tools[0]")

    async def tools(self, url: str | None = None, **entry: Any) -> dict[str, Tool]:
        """The tools of an entry, by name."""
        return (await self.opened(self.toolset(url, **entry)))[1]

    async def opened(
        self, toolset: Toolset, earlier: Sequence[ItemDict] = (), **around: Any
    ) -> tuple[list[AnyEvent], dict[str, Tool]]:
        """What a toolset says, and its tools."""
        events: list[AnyEvent] = []
        tools: dict[str, Tool] = {}
        async for said in toolset.open(earlier, self.around(**around)):
            if isinstance(said, AnyEvent):
                events.append(said)
            else:
                tools[said.definition["name"]] = said
        return events, tools

    async def call(self, tool: Tool, arguments: Any, **around: Any) -> Made:
        """A call from beginning to end."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        made = Made()
        async for said in tool.run(Call("call_1", "whatever", text), self.around(**around)):
            assert made.outcome is None, "something came after the outcome"
            if isinstance(said, Outcome | Held):
                made.outcome = said
            else:
                made.events.append(said)
        return made

    async def aclose(self) -> None:
        """Everything closed."""
        await self.kit.aclose()
        await self.door.aclose()


class Made:
    """What a call said."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.outcome: Outcome | Held | None = None

    @property
    def item(self) -> dict[str, Any]:
        """The item in the end, as on the wire."""
        return item(self.events)

    @property
    def shown(self) -> Any:
        """What the model reads."""
        assert isinstance(self.outcome, Outcome)
        return self.outcome.content


def item(events: Sequence[AnyEvent]) -> dict[str, Any]:
    """The item of the last ``output_item.done``, as on the wire."""
    done = events[-1]
    assert done.type == "response.output_item.done"
    assert not isinstance(done, Delta)
    whole: dict[str, Any] = msgspec.to_builtins(done.payload["item"])
    return whole


def children() -> set[int]:
    """The processes that this one has started."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text("utf-8").split()))


async def until(true: Callable[[], bool]) -> None:
    """Returns when something is so that says nothing when it comes to be."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def world(config: McpConfig | None = None, **more: Any) -> AsyncIterator[World]:
    """A world, closed in the end."""
    one = World(config or McpConfig(), **more)
    try:
        yield one
    finally:
        await one.aclose()


def program(which: str = "small", **env: str) -> McpServerConfig:
    """One of the servers beside this file as a program: ``things`` on the SDK, or ``small``, which starts at once."""
    where = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONWARNINGS": "error"}
    return McpServerConfig(command=sys.executable, args=("-m", f"tests.tools.mcp.{which}"), env={**where, **env})
