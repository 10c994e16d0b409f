"""Servers that refuse, hang, die and talk nonsense: each failure has its form and words, and harms only its call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

import pytest

from antiphon.config import McpConfig, McpServerConfig
from antiphon.tools.base import Outcome
from tests.tools.mcp.things import Slow, things
from tests.tools.mcp.world import Receive, Scope, Send, Watched, answer, children, item, program, serving, until, world
from tests.upstream.loopback import Peer
from tests.upstream.loopback import serving as loopback

pytestmark = pytest.mark.anyio

LIST_FAILED = [
    "response.output_item.added",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.failed",
    "response.output_item.done",
]


class Scripted:
    """A server as small as can be: answers the handshake and the list, and each call by ``called``."""

    def __init__(self, called: Any) -> None:
        self.called = called

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        if scope["method"] != "POST":
            await answer(send, 405, b"{}")
            return
        said = json.loads((await receive())["body"])
        method = said["method"]
        if method == "tools/call":
            await self.called(said, send)
            return
        if "id" not in said:
            await answer(send, 202, b"")
            return
        await answer(send, 200, json.dumps({"jsonrpc": "2.0", "id": said["id"], **replied(said)}).encode())


def replied(said: dict[str, Any]) -> dict[str, Any]:
    """What a server as small as can be says to anything but a call: ``result`` or ``error``."""
    if said.get("method") == "server/discover":
        return {"error": {"code": -32601, "message": "Method not found"}}
    result: dict[str, Any] = {}
    if said.get("method") == "initialize":
        info = {"name": "scripted", "version": "1"}
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
    elif said.get("method") == "tools/list":
        result = {"tools": [{"name": "go", "inputSchema": {"type": "object"}}]}
    return {"result": result}


async def called(answering: Any, config: McpConfig | None = None, **around: Any) -> tuple[dict[str, Any], Any]:
    """The item and the outcome of a call that is answered so."""
    async with serving(Scripted(answering)) as root, world(config) as one:
        made = await one.call((await one.tools(root))["go"], {}, **around)
        assert isinstance(made.outcome, Outcome)
        assert made.outcome.failed
        assert made.item["status"] == "failed"
        return made.item["error"], made.shown


async def test_wrong_credentials() -> None:
    """A list that is refused is an item with an error and no tools, and it says what is to be done."""
    app = Watched(things().streamable_http_app(), token="right")
    async with serving(app) as root, world() as one:
        for entry in ({}, {"authorization": "wrong"}):
            events, tools = await one.opened(one.toolset(root + "/mcp", **entry))
            assert tools == {}
            assert [event.type for event in events] == LIST_FAILED
            whole = item(events)
            assert whole["tools"] == []
            assert "HTTP 401" in whole["error"]
            assert "credentials" in whole["error"]
        assert "add" in await one.tools(root + "/mcp", authorization="right")
        assert "add" in await one.tools(root + "/mcp", headers={"Authorization": "Bearer right"})
        assert app.asked("server/discover") == 3  # the last two bring the same credentials, and share a connection


async def test_credentials_that_expire() -> None:
    """A call that is refused has the status in its error."""
    app = Watched(things().streamable_http_app())
    async with serving(app) as root, world() as one:
        tools = await one.tools(root + "/mcp")
        app.token = "new"
        made = await one.call(tools["add"], {"a": 1, "b": 2})
        assert made.item["error"]["type"] == "http_error"
        assert made.item["error"]["code"] == 401
        app.token = None
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"


async def test_nobody_there() -> None:
    """A refused connection is told without the URL."""
    async with serving(things().streamable_http_app()) as root:
        pass
    async with world() as one:
        whole = item((await one.opened(one.toolset(root + "/mcp")))[0])
        assert "connection refused" in whole["error"]
        assert "127.0.0.1" not in whole["error"]


@pytest.mark.parametrize("status", [404, 500, 503, 403])
async def test_a_page_that_is_no_server(status: int) -> None:
    """Its status is told, that of the transport which we prefer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, status if scope["method"] == "POST" else 404, b"<html>")

    async with serving(app) as root, world() as one:
        whole = item((await one.opened(one.toolset(root)))[0])
        assert f"HTTP {status}" in whole["error"]


async def test_a_slow_tool() -> None:
    """It is given up in time and told so, and the next call does not wait."""
    slow = Slow()
    async with serving(things(slow).streamable_http_app()) as root, world() as one:
        tools = await one.tools(root + "/mcp")
        made = await one.call(tools["slow"], {}, timeout=0.2)
        assert made.item["error"] == {
            "type": "mcp_protocol_error",
            "code": -32001,
            "message": "The server gave no answer within 0.2 seconds.",
        }
        await slow.given_up.wait()
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"


async def test_a_call_that_is_cancelled() -> None:
    """The server hears of it."""
    slow = Slow()
    async with serving(things(slow).streamable_http_app()) as root, world() as one:
        tools = await one.tools(root + "/mcp")
        task = asyncio.create_task(one.call(tools["slow"], {}))
        await slow.began.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await slow.given_up.wait()


async def test_a_program_that_dies() -> None:
    """In mid-call: an error. The call after that starts it again."""
    async with world(McpConfig(servers={"things": program()})) as one:
        tools = await one.tools()
        made = await one.call(tools["die"], {})
        assert made.item["error"] == {
            "type": "mcp_protocol_error",
            "code": -32000,
            "message": "The server closed the connection before it answered.",
        }
        assert (await one.call(tools["add"], {"a": 3, "b": 3})).shown == "6"


async def test_a_program_that_died_meanwhile() -> None:
    """Between two calls: the next starts it again, and nobody notices."""
    async with world(McpConfig(servers={"things": program()})) as one:
        before = children()
        tools = await one.tools()
        (pid,) = children() - before
        os.kill(pid, signal.SIGKILL)
        await until(lambda: one.kit.connections == 0)
        assert (await one.call(tools["add"], {"a": 3, "b": 3})).shown == "6"


async def test_a_program_that_is_none() -> None:
    """A command that cannot be run is told by the kind of failure."""
    config = McpConfig(servers={"things": McpServerConfig(command="/does/not/exist")})
    async with world(config) as one:
        assert "cannot be started (FileNotFoundError)" in item((await one.opened(one.toolset()))[0])["error"]


async def test_a_program_that_never_speaks() -> None:
    """It is given up after the time for connecting, and ended."""
    silent = McpServerConfig(command=sys.executable, args=("-c", "import sys; sys.stdin.read()"))
    async with world(McpConfig(servers={"things": silent}, connect_seconds=0.3)) as one:
        assert "within 0.3 seconds" in item((await one.opened(one.toolset()))[0])["error"]
        assert one.kit.connections == 0


async def test_a_connection_that_breaks_in_mid_call() -> None:
    """The stream ends without an answer: an error, not a wait."""

    async def cut(said: dict[str, Any], send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hello\n\n"})

    error, _ = await called(cut)
    assert (error["type"], error["code"]) == ("mcp_protocol_error", -32000)


async def test_a_call_is_made_once() -> None:
    """A server that dies over a call, on a connection that was kept from an earlier request, does not get it again."""
    calls = 0

    async def handler(peer: Peer) -> None:
        nonlocal calls
        while await peer.request():
            said = json.loads(peer.body or b"{}")
            if said.get("method") == "tools/call":
                calls += 1
                return
            result = replied(said)
            body = json.dumps({"jsonrpc": "2.0", "id": said.get("id"), **result}).encode()
            await peer.answer(body if "id" in said else b"", "200 OK" if "id" in said else "202 Accepted")

    async with loopback(handler) as root, world() as one:
        made = await one.call((await one.tools(root))["go"], {})
        assert made.item["status"] == "failed"
        assert "closed the connection" in made.shown
    assert calls == 1


async def test_a_broken_stream_that_cannot_be_resumed() -> None:
    """A server whose events have ids is asked for the rest; where that fails, what is told is that the call broke."""

    async def cut(said: dict[str, Any], send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"id: 1\nretry: 1\ndata:\n\n"})

    error, _ = await called(cut)
    assert error == {
        "type": "mcp_protocol_error",
        "code": -32000,
        "message": "The server closed the connection before it answered.",
    }


async def test_a_json_rpc_error() -> None:
    """The server's number and words, whatever status they come with."""
    for status in (200, 400, 500):

        async def refuse(said: dict[str, Any], send: Send, status: int = status) -> None:
            body = {"jsonrpc": "2.0", "id": said["id"], "error": {"code": -32000, "message": "Out of paper"}}
            await answer(send, status, json.dumps(body).encode())

        error, shown = await called(refuse)
        assert error == {"type": "mcp_protocol_error", "code": -32000, "message": "Out of paper"}
        assert "Out of paper" in shown


@pytest.mark.parametrize("body", [b"no json", b"{}", b"[]", b'{"jsonrpc": "2.0", "id": 99, "result": 5}'])
async def test_nonsense(body: bytes) -> None:
    """What is no answer is an error of the protocol, or no answer at all."""

    async def talk(said: dict[str, Any], send: Send) -> None:
        await answer(send, 200, body)

    error, _ = await called(talk, timeout=0.5)
    assert error["type"] == "mcp_protocol_error"


async def test_a_result_without_content() -> None:
    """A result that is not one is said to be invalid, without its text."""

    async def talk(said: dict[str, Any], send: Send) -> None:
        body = {"jsonrpc": "2.0", "id": said["id"], "result": {"content": "hidden"}}
        await answer(send, 200, json.dumps(body).encode())

    error, shown = await called(talk)
    assert "not valid MCP" in error["message"]
    assert "hidden" not in shown


async def test_an_answer_that_is_too_long() -> None:
    """It is not read to its end."""

    async def talk(said: dict[str, Any], send: Send) -> None:
        content = [{"type": "text", "text": "x" * 20_000}]
        body = {"jsonrpc": "2.0", "id": said["id"], "result": {"content": content}}
        await answer(send, 200, json.dumps(body).encode())

    error, _ = await called(talk, McpConfig(max_message_bytes=10_000))
    assert "longer than 10000 bytes" in error["message"]


async def test_an_event_that_is_too_long() -> None:
    """Nor is an event of a stream."""
    app = Watched(things().streamable_http_app(), older=True)
    async with serving(app) as root, world(McpConfig(max_message_bytes=10_000)) as one:
        tools = await one.tools(root + "/mcp")
        made = await one.call(tools["long"], {"characters": 20_000})
        assert "10000 byte limit" in made.item["error"]["message"]
        assert (await one.call(tools["long"], {"characters": 3})).shown == "xxx"


async def test_a_server_that_was_restarted() -> None:
    """It no longer knows the session, has done nothing, and is asked again on a new one."""
    again = Watched(things().streamable_http_app(), older=True)
    async with world() as one:
        async with serving(Watched(things().streamable_http_app(), older=True)) as root:
            port = int(root.rpartition(":")[2])
            tools = await one.tools(root + "/mcp")
            assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
        async with serving(again, port):
            assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
            assert again.asked("tools/call") == 2
            assert again.asked("initialize") == 1


async def test_a_stream_of_events_whose_server_refuses_messages() -> None:
    """On the older transport nothing would ever answer: the call ends at once, with the status."""
    server = things()
    app = Watched(server.sse_app())
    async with serving(app) as root, world() as one:
        tools = await one.tools(root + "/sse")
        app.token = "new"
        made = await one.call(tools["add"], {"a": 1, "b": 2})
        assert (made.item["error"]["type"], made.item["error"]["code"]) == ("http_error", 401)
        app.token = None
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
