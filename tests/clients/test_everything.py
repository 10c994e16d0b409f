"""MCP servers on the JavaScript SDK, over each transport: the reference server, with one of everything, and a pushy."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from antiphon.config import McpConfig, McpServerConfig
from tests.clients.driver import FOLDER, MODULES, node
from tests.server import Servers
from tests.tools.mcp.world import World, until, world
from tests.upstreams import FakeBackend, text, tool_calls

pytestmark = pytest.mark.anyio

EVERYTHING = str(MODULES / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js")
PUSHY = str(FOLDER / "pushy.mjs")

both = pytest.mark.parametrize("way", ["stdio", "http"])


@contextlib.asynccontextmanager
async def running(*command: str) -> AsyncIterator[tuple[Process, str]]:
    """A server over HTTP in a process of its own, which chooses its port; its URL."""
    program = node()
    assert program is not None
    process = await asyncio.create_subprocess_exec(program, *command, env={"PORT": "0"}, stdout=PIPE, stderr=PIPE)
    assert process.stderr is not None
    try:
        line = await process.stderr.readline()
        assert b"listening" in line, line
        (port,) = {each.laddr.port for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"}
        yield process, f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def program(script: str) -> McpServerConfig:
    """The same over stdio."""
    command = node()
    assert command is not None
    return McpServerConfig(command=command, args=(script,))


@contextlib.asynccontextmanager
async def there(way: str, script: str, **config: Any) -> AsyncIterator[tuple[World, str | None]]:
    """A world with this server in it; the URL, or None for a program."""
    async with contextlib.AsyncExitStack() as stack:
        url = None
        if way == "http":
            command = (EVERYTHING, "streamableHttp") if script == EVERYTHING else (script, "0")
            _, url = await stack.enter_async_context(running(*command))
        config = {"servers": {"things": program(script)}, **config}
        yield await stack.enter_async_context(world(McpConfig(**config))), url


@both
async def test_everything(way: str) -> None:
    """Its tools are listed, and each gives what it should: text, structure, images, links, files, a failure."""
    async with there(way, EVERYTHING) as (one, url):
        tools = await one.tools(url)
        assert {"echo", "get-sum", "get-tiny-image", "trigger-long-running-operation"} <= set(tools)
        # It offers these only to clients that let servers ask: we do not.
        assert not {"trigger-sampling-request", "trigger-elicitation-request", "get-roots-list"} & set(tools)
        assert tools["get-sum"].repeatable

        async def call(name: str, **arguments: Any) -> Any:
            made = await one.call(tools[name], arguments)
            assert made.item["status"] == "completed", made.item
            return made.shown

        assert await call("echo", message="héllo") == "Echo: héllo"
        assert await call("get-sum", a=2, b=3) == "The sum of 2 and 3 is 5."
        weather = json.loads(await call("get-structured-content", location="Chicago"))
        assert weather == one.went[-1][3]["structured"]
        assert set(weather) == {"temperature", "conditions", "humidity"}
        before, image, after = await call("get-tiny-image")
        assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
        assert (before["type"], after["type"]) == ("text", "text")
        noted = await call("get-annotated-message", messageType="error", includeImage=True)
        assert [part["type"] for part in noted] == ["text", "image_url"]
        assert (await call("get-resource-links", count=2)).count("[link: demo://resource/") == 2
        assert "Resource 1" in await call("get-resource-reference", resourceType="Text", resourceId=1)
        failed = await one.call(tools["get-sum"], {"a": "two"})
        assert failed.item["error"]["type"] == "mcp_tool_execution_error"
        assert "a" in failed.shown
        assert await call("trigger-long-running-operation", duration=0.2, steps=4) == (
            "Long running operation completed. Duration: 0.2 seconds, Steps: 4."
        )


@both
async def test_a_long_operation(way: str) -> None:
    """It is given up in time, and the connection serves the next call."""
    async with there(way, EVERYTHING) as (one, url):
        tools = await one.tools(url)
        made = await one.call(tools["trigger-long-running-operation"], {"duration": 30, "steps": 3}, timeout=0.2)
        assert made.item["error"]["message"] == "The server gave no answer within 0.2 seconds."
        assert (await one.call(tools["echo"], {"message": "on"})).shown == "Echo: on"
        assert one.kit.connections == 1


async def test_death_in_mid_call() -> None:
    """A server that is killed while it works is an error of that call, and of the next one while nobody is there."""
    async with running(EVERYTHING, "streamableHttp") as (process, url), world() as one:
        tools = await one.tools(url)
        assert process.stdout is not None
        call = asyncio.create_task(one.call(tools["trigger-long-running-operation"], {"duration": 60, "steps": 1}))
        posts = 0
        while posts < 5:  # probe, greeting, its confirmation, list, call
            posts += await asyncio.wait_for(process.stdout.readline(), 20) == b"Received MCP POST request\n"
        process.kill()
        made = await call
        assert made.item["status"] == "failed"
        assert made.item["error"]["type"] in ("http_error", "mcp_protocol_error")
        assert "closed the connection" in made.shown or "the connection broke" in made.shown
        again = await one.call(tools["echo"], {"message": "x"})
        assert again.item["status"] == "failed"
        assert "refused" in again.shown


@both
async def test_who_asks_is_refused(way: str) -> None:
    """Sampling, elicitation and roots are declined in the protocol's own form, and the tool can go on."""
    async with there(way, PUSHY) as (one, url):
        tools = await one.tools(url)
        for name in ("sample", "elicit", "roots"):
            said = (await one.call(tools[name], {})).shown
            assert said.startswith("refused: -32"), said
        assert (await one.call(tools["chatter"], {})).shown == "done"


@both
async def test_a_list_that_grows(way: str) -> None:
    """A server that says so is asked for its list again, though we had it."""
    async with there(way, PUSHY) as (one, url):
        tools = await one.tools(url)
        assert "grown" not in tools
        assert (await one.call(tools["grow"], {})).shown == "grown"
        async with asyncio.timeout(20):
            while "grown" not in (tools := await one.tools(url)):  # noqa: ASYNC110 - the news comes beside the answer
                await asyncio.sleep(0.01)
        assert (await one.call(tools["grown"], {})).shown == "new"


async def test_a_program_that_ends_in_mid_call() -> None:
    """Is an error; the call after it starts the program again."""
    async with there("stdio", PUSHY) as (one, _):
        tools = await one.tools()
        made = await one.call(tools["die"], {})
        assert made.item["error"]["message"] == "The server closed the connection before it answered."
        await until(lambda: one.kit.connections == 0)
        assert (await one.call(tools["chatter"], {})).shown == "done"


def test_through_the_server(servers: Servers, backend: FakeBackend) -> None:
    """A program of the configuration, named by its label alone: two calls at once, their items in order."""
    server = servers.fresh(tools={"mcp": McpConfig(servers={"everything": program(EVERYTHING)})})
    try:
        backend.answer(*tool_calls(("c1", "get-sum", '{"a": 1, "b": 2}'), ("c2", "get-tiny-image", "{}")))
        backend.answer(*text("Three, and a picture."))
        tool: Any = {"type": "mcp", "server_label": "everything", "require_approval": "never"}
        response = server.client.responses.create(model="m", input="x", tools=[tool])
        assert [one.type for one in response.output] == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]
        told = [message for message in backend.last["messages"] if message["role"] in ("tool", "user")]
        assert told[1]["content"] == "The sum of 1 and 2 is 3."
        assert "image_url" in [part["type"] for part in told[-1]["content"]]
    finally:
        server.stop()
