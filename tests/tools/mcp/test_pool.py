"""Connections: shared by credentials, closed when idle, opened anew when they broke; lists, believed for a while."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys

import pytest

from antiphon.config import McpConfig
from tests.tools.mcp.things import Slow, things
from tests.tools.mcp.world import ROOT, Receive, Scope, Send, Watched, children, item, program, serving, until, world

pytestmark = pytest.mark.anyio


async def test_one_connection_for_one_set_of_credentials() -> None:
    """Requests that bring the same share it; another token gets another connection, and only its own token."""
    app = Watched(things().streamable_http_app())
    async with serving(app) as root, world() as one:
        url = root + "/mcp"
        for token in ("alpha", "beta", "alpha", "alpha"):
            tools = await one.tools(url, authorization=token)
            made = await one.call(tools["add"], {"a": 1, "b": 2})
            assert made.shown == "3"
            assert app.seen[-1][2]["authorization"] == f"Bearer {token}"
        assert one.kit.connections == 2
        assert app.asked("server/discover") == 2


async def test_many_requests_at_once_connect_once() -> None:
    """And list once."""
    app = Watched(things().streamable_http_app())
    async with serving(app) as root, world() as one:
        await asyncio.gather(*(one.tools(root + "/mcp") for _ in range(10)))
        assert (app.asked("server/discover"), app.asked("tools/list"), one.kit.connections) == (1, 1, 1)


async def test_idle_connections_close() -> None:
    """Not while a call is on them, however long it takes; the next call opens another."""
    slow = Slow()
    app = Watched(things(slow).streamable_http_app())
    async with serving(app) as root, world(McpConfig(idle_seconds=0.01)) as one:
        tools = await one.tools(root + "/mcp")
        call = asyncio.create_task(one.call(tools["slow"], {}))
        await slow.began.wait()
        await asyncio.sleep(0.05)  # five times as long as an idle one lives
        assert one.kit.connections == 1
        slow.let.set()
        assert (await call).shown == "at last"
        await until(lambda: not one.kit.connections)
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"


async def test_idle_programs_end() -> None:
    """The process is gone, with its connection; and when the kit is closed, so is another."""
    async with world(McpConfig(servers={"things": program()}, idle_seconds=0.05)) as one:
        before = children()
        tools = await one.tools()
        (pid,) = children() - before
        await until(lambda: pid not in children())
        assert one.kit.connections == 0
        call = await one.call(tools["add"], {"a": 1, "b": 2})
        assert call.shown == "3"
    assert children() == before


async def test_there_are_only_so_many() -> None:
    """An idle one makes room; where all are in use, the call fails and says why."""
    slow = Slow()
    async with serving(things(slow).streamable_http_app()) as root, world(McpConfig(max_connections=1)) as one:
        url = root + "/mcp"
        tools = await one.tools(url, authorization="alpha")
        assert "add" in await one.tools(url, authorization="beta")
        assert one.kit.connections == 1
        call = asyncio.create_task(one.call(tools["slow"], {}))
        await slow.began.wait()
        refused = item((await one.opened(one.toolset(url, authorization="beta")))[0])
        assert "Too many MCP servers" in refused["error"]
        slow.let.set()
        assert (await call).shown == "at last"


async def test_lists_are_believed_for_a_while() -> None:
    """Not asked for again within the time, and always with a time of 0."""
    app = Watched(things().streamable_http_app())
    async with serving(app) as root, world() as one, world(McpConfig(list_seconds=0)) as other:
        for _ in range(2):
            await one.tools(root + "/mcp")
        assert app.asked("tools/list") == 1
        for _ in range(2):
            await other.tools(root + "/mcp")
        assert app.asked("tools/list") == 3


async def test_a_list_that_changed() -> None:
    """The server says so, and the next request has the new tool."""
    app = Watched(things().streamable_http_app(), older=True)
    async with serving(app) as root, world(McpConfig(list_seconds=9999)) as one, asyncio.timeout(20):
        tools = await one.tools(root + "/mcp")
        assert "grown" not in tools
        assert (await one.call(tools["grow"], {})).shown == "grown"
        while "grown" not in await one.tools(root + "/mcp"):  # noqa: ASYNC110
            await asyncio.sleep(0)  # the news comes on a stream of its own
        assert app.asked("tools/list") == 2


async def test_closing_while_it_connects() -> None:
    """Nothing is left behind, and who waited is told."""

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await asyncio.Event().wait()

    async with contextlib.AsyncExitStack() as stack:
        root = await stack.enter_async_context(serving(Watched(never)))
        one = await stack.enter_async_context(world())
        waiting = asyncio.create_task(one.opened(one.toolset(root)))
        await until(lambda: one.kit.connections > 0)
        await asyncio.wait_for(one.kit.aclose(), 9)
        assert item((await waiting)[0])["error"]
        assert item((await one.opened(one.toolset(root)))[0])["error"].endswith("This server is closing.")


async def test_nothing_is_left_to_the_collector() -> None:
    """No task, socket or stream of a closed kit is found later; warnings are errors here."""

    def ours() -> set[str]:  # the SDK's server leaves one that waits for the end of the process
        return {task.get_name() for task in asyncio.all_tasks() if "sse_starlette" not in repr(task)}

    before = ours()
    async with serving(Watched(things().sse_app())) as root, world() as one:
        tools = await one.tools(root + "/sse")
        await one.call(tools["add"], {"a": 1, "b": 2})
        await one.opened(one.toolset(root + "/nothing-here"))
    assert ours() == before
    gc.collect()


def test_the_package_is_loaded_at_its_first_use() -> None:
    """Not with the application, and not with the kit."""
    code = "import sys, antiphon.app, antiphon.tools.mcp; print({'mcp', 'httpx2', 'pydantic'} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
