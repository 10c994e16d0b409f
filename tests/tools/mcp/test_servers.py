"""Real servers, over each transport: tools are listed and called, and items tell it in the order of the protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from antiphon.config import McpConfig
from antiphon.tools.base import Held, Outcome, Tool
from antiphon.wire.events import Delta, Event
from tests.tools.mcp.things import PNG, Slow, things
from tests.tools.mcp.world import Watched, World, item, program, serving, world

pytestmark = pytest.mark.anyio

LIST = [
    "response.output_item.added",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.completed",
    "response.output_item.done",
]
CALL = [
    "response.output_item.added",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.completed",
    "response.output_item.done",
]


@contextlib.asynccontextmanager
async def there(way: str) -> AsyncIterator[tuple[World, str | None]]:
    """A world and the URL of a server that speaks so; None for a program."""
    server = things()
    app = Watched(server.sse_app() if way == "sse" else server.streamable_http_app(), older=way == "older")
    config = McpConfig(servers={"things": program("things")})
    async with serving(app) as root, world(config) as one:
        yield one, None if way == "stdio" else root + ("/sse" if way == "sse" else "/mcp")


@pytest.mark.parametrize("way", ["http", "older", "sse", "stdio"])
async def test_each_transport(way: str) -> None:
    """The same tools with the same results: plain, structured, with an image, failing, asking back."""
    async with there(way) as (one, url):
        tools = await one.tools(url)
        assert {"add", "put", "fail", "weather", "picture", "ask"} <= set(tools)
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
        weather = await one.call(tools["weather"], {"city": "Rome"})
        assert '"degrees": 21' in weather.item["output"]
        assert one.went[-1][3]["structured"] == {"city": "Rome", "degrees": 21}
        picture = await one.call(tools["picture"], {})
        url_of = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        assert picture.shown == [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": url_of}},
        ]
        failed = await one.call(tools["fail"], {"reason": "because"})
        content = [{"type": "text", "text": "because"}]
        assert failed.item["error"] == {"type": "mcp_tool_execution_error", "content": content}
        assert failed.outcome == Outcome("The tool failed: because", failed=True)
        asked = await one.call(tools["ask"], {})
        assert asked.item["error"]["type"] == "mcp_protocol_error"
        assert "elicit" in asked.shown.lower()
        assert (await one.call(tools["add"], {"a": 2, "b": 2})).shown == "4"


async def test_two_hundred_tools() -> None:
    """All are listed, in the server's order, in one go."""
    async with serving(things(many=200).streamable_http_app()) as root, world() as one:
        tools = await one.tools(root + "/mcp")
        assert [name for name in tools if name.startswith("many_")] == [f"many_{n}" for n in range(200)]


async def test_the_item_of_a_list() -> None:
    """From empty to whole, without nulls; only allowed tools stand in it, and the server's hints go along."""
    async with there("http") as (one, url):
        events, tools = await one.opened(
            one.toolset(url, allowed_tools=["put", "add"], server_description="Things.", defer_loading=True)
        )
        assert [event.type for event in events] == LIST
        added = cast("Event", events[0]).payload
        assert (added["output_index"], added["item"].tools) == (0, [])
        whole = item(events)
        assert set(whole) == {"type", "id", "server_label", "tools"}
        assert [tool["name"] for tool in whole["tools"]] == ["add", "put"]
        assert whole["tools"][0]["annotations"] == {"readOnlyHint": True}
        assert all(event.payload.get("item_id", whole["id"]) == whole["id"] for event in cast("list[Event]", events))
        assert [tool.definition["description"] for tool in tools.values()] == [
            "Things.\n\nAdds two numbers.",
            "Puts a text, as often as one likes.",
        ]
        assert tools["add"].definition["parameters"]["required"] == ["a", "b"]
        assert [(tool.kind, tool.label, tool.repeatable) for tool in tools.values()] == [("mcp", "things", True)] * 2
        assert all(cast("Any", tool).deferred for tool in tools.values())
        assert [went[:3] for went in one.went] == [("mcp:things", "tools/list", {})]


async def test_only_tools_that_read() -> None:
    """`read_only` goes by the server's hint."""
    async with there("http") as (one, url):
        assert list(await one.tools(url, allowed_tools={"read_only": True})) == ["add"]
        assert "add" not in await one.tools(url, allowed_tools={"read_only": False})


async def test_the_item_of_a_call() -> None:
    """Events in the protocol's order, the arguments as the model wrote them, `status` from the beginning."""
    async with there("http") as (one, url):
        tools = await one.tools(url)
        made = await one.call(tools["add"], ' {"a": 1, "b":2}')
        assert [event.type for event in made.events] == CALL
        begun = cast("Event", made.events[0]).payload["item"]
        assert (begun.status, begun.arguments, begun.output, begun.error) == ("in_progress", "", None, None)
        assert cast("Delta", made.events[2]).text == ' {"a": 1, "b":2}'
        assert made.item == {
            "type": "mcp_call",
            "id": begun.id,
            "server_label": "things",
            "name": "add",
            "arguments": ' {"a": 1, "b":2}',
            "status": "completed",
            "output": "3",
            "error": None,
            "approval_request_id": None,
        }
        assert made.outcome == Outcome("3")
        failed = await one.call(tools["fail"], {"reason": "no"})
        assert [event.type for event in failed.events] == [*CALL[:4], "response.mcp_call.failed", CALL[5]]
        assert (failed.item["status"], failed.item["output"]) == ("failed", None)
        assert one.went[-2][:3] == ("mcp:things", "add", {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [('{"a": 1', -32700), ("[1]", -32602), ("5", -32602), ("{}" + "x", -32700), ("[" * 100_000, -32700)],
)
async def test_arguments_that_are_none(arguments: str, code: int) -> None:
    """The model is told, the item says why, and nothing leaves the house."""
    async with there("http") as (one, url):
        tools = await one.tools(url)
        before = len(one.went)
        made = await one.call(tools["add"], arguments)
        assert (made.item["status"], made.item["arguments"]) == ("failed", arguments)
        assert (made.item["error"]["type"], made.item["error"]["code"]) == ("mcp_protocol_error", code)
        assert isinstance(made.outcome, Outcome)
        assert made.outcome.failed
        assert "arguments" in made.shown
        assert len(one.went) == before


async def test_no_arguments_at_all() -> None:
    """Some models write nothing for a call without arguments: it is made, and no empty delta is sent."""
    async with there("http") as (one, url):
        made = await one.call((await one.tools(url))["picture"], "")
        assert made.item["status"] == "completed"
        assert [event.type for event in made.events] == [each for each in CALL if not each.endswith("delta")]


async def test_a_list_that_is_there_is_not_asked_for() -> None:
    """The next turn says nothing and contacts nobody until a tool is called."""
    async with there("http") as (one, url):
        events, _ = await one.opened(one.toolset(url))
        before = [item(events)]
        async with world() as other:
            again, tools = await other.opened(other.toolset(url, allowed_tools=["add"]), before)
            assert (again, list(tools), other.went, other.kit.connections) == ([], ["add"], [], 0)
            assert tools["add"].repeatable
            assert (await other.call(tools["add"], {"a": 1, "b": 1})).shown == "2"


async def test_a_call_waits_for_a_yes() -> None:
    """The request is an item without nulls, nothing is called, and the call made later says whose yes it had."""
    async with there("http") as (one, url):
        toolset = one.toolset(url, require_approval={"never": {"read_only": True}})
        _, tools = await one.opened(toolset)
        assert (await one.call(tools["add"], {"a": 1, "b": 2})).shown == "3"
        before = len(one.went)
        held = await one.call(tools["put"], '{"text": "x"}')
        assert isinstance(held.outcome, Held)
        assert [event.type for event in held.events] == [CALL[0], CALL[-1]]
        request = held.item
        wanted = {"type": "mcp_approval_request", "server_label": "things", "name": "put", "arguments": '{"text": "x"}'}
        assert request == {**wanted, "id": request["id"]}
        assert len(one.went) == before
        tool = toolset.resume(request, one.around())
        assert tool is not None
        made = await one.call(tool, request["arguments"])
        assert (made.shown, made.item["approval_request_id"]) == ("put x", request["id"])


async def test_whose_yes_it_was() -> None:
    """A request of another server, or of a tool that is not allowed any more, is not this one's."""
    async with there("http") as (one, url):
        toolset = one.toolset(url, allowed_tools=["add"])
        request = {
            "type": "mcp_approval_request",
            "id": "r",
            "server_label": "things",
            "name": "put",
            "arguments": "{}",
        }
        assert toolset.resume(request, one.around()) is None
        assert toolset.resume({**request, "name": "add", "server_label": "other"}, one.around()) is None
        assert toolset.resume({**request, "name": "add"}, one.around()) is not None


async def test_ten_calls_at_once() -> None:
    """They run at the same time over one connection."""
    slow = Slow()
    async with serving(things(slow).streamable_http_app()) as root, world() as one:
        tool: Tool = (await one.tools(root + "/mcp"))["slow"]
        calls = [asyncio.create_task(one.call(tool, {})) for _ in range(10)]
        while slow.waiting < 10:
            await slow.began.wait()
            slow.began.clear()
        slow.let.set()
        assert [made.shown for made in await asyncio.gather(*calls)] == ["at last"] * 10
        assert one.kit.connections == 1


async def test_a_recorded_run_needs_no_server() -> None:
    """What went out is enough to say all of it again: the same events and outcomes, and no connection."""
    calls = [("add", {"a": 1, "b": 2}), ("picture", {}), ("fail", {"reason": "no"}), ("ask", {})]

    async def said(one: World, url: str | None) -> list[object]:
        events, tools = await one.opened(one.toolset(url))
        made = [await one.call(tools[name], arguments) for name, arguments in calls]
        return [events, *((each.events, each.outcome) for each in made)]

    async with there("http") as (one, url):
        live = await said(one, url)

        async def recorded(provider: str, tool: str, arguments: Any, perform: object) -> Any:
            return next(result for *asked, result in one.went if asked == [provider, tool, arguments])

        async with world() as other:
            other.outside = recorded
            assert await said(other, "http://nobody.invalid/mcp") == live
            assert other.kit.connections == 0
