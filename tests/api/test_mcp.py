"""MCP through the API: a real server of MCP's own SDK, the official client, and everything that happens between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.tools.mcp.threads import Thread, running
from tests.upstreams import FakeBackend, text, tool_calls

covers = pytest.mark.covers

Json = dict[str, Any]


@pytest.fixture(scope="module")
def things() -> Iterator[Thread]:
    """A server with many kinds of tools."""
    with running() as thread:
        yield thread


def entry(server: Thread, **more: Any) -> Any:
    return {"type": "mcp", "server_label": "s", "server_url": server.url, "require_approval": "never", **more}


def dump(response: Any) -> Json:
    found: Json = response.to_dict(warnings=False)
    return found


@covers(
    "event:response.mcp_list_tools.in_progress",
    "event:response.mcp_list_tools.completed",
    "event:response.mcp_call.in_progress",
    "event:response.mcp_call_arguments.delta",
    "event:response.mcp_call_arguments.done",
    "event:response.mcp_call.completed",
)
def test_a_call(client: openai.OpenAI, backend: FakeBackend, things: Thread) -> None:
    """The tools are listed, one is called, and every event is there in its order."""
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 2}')))
    backend.answer(*text("It is 3."))
    with client.responses.stream(model="m", input="x", tools=[entry(things)]) as stream:
        told = [event.type.removeprefix("response.") for event in stream]
        final = stream.get_final_response()
    assert told[: told.index("content_part.added")] == [
        "created",
        "in_progress",
        "output_item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "output_item.done",
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
        "output_item.added",
    ]
    listed, call, _ = dump(final)["output"]
    assert "add" in [tool["name"] for tool in listed["tools"]]
    assert (call["name"], call["arguments"], call["output"], call["error"]) == ("add", '{"a": 1, "b": 2}', "3", None)
    assert backend.last["messages"][-1]["content"] == "3"


@covers("event:response.mcp_list_tools.failed")
def test_a_list_that_fails(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A server that wants credentials is an item with an error, and the run goes on; a choice that needs it fails."""
    with running(token="right") as locked:
        wrong = entry(locked, authorization="wrong")
        events = list(client.responses.create(model="m", input="x", tools=[wrong], stream=True))
        final = events[-1].response  # type: ignore[union-attr]
        assert "response.mcp_list_tools.failed" in [event.type for event in events]
        assert final.status == "completed"
        listed = dump(final)["output"][0]
        assert listed["tools"] == []
        assert listed["error"]
        assert "wrong" not in str(dump(final)["output"])
        choice: Any = {"type": "mcp", "server_label": "s"}
        assert client.responses.create(model="m", input="x", tools=[wrong], tool_choice=choice).status == "failed"
        right = entry(locked, authorization="right")
        assert dump(client.responses.create(model="m", input="x", tools=[right]))["output"][0]["tools"]


@covers("event:response.mcp_call.failed")
def test_a_call_that_fails(client: openai.OpenAI, backend: FakeBackend, things: Thread) -> None:
    """The model is told, and the item has a typed error."""
    backend.answer(*tool_calls(("c1", "fail", '{"reason": "no luck"}')))
    backend.answer(*text("Sorry."))
    events = list(client.responses.create(model="m", input="x", tools=[entry(things)], stream=True))
    assert "response.mcp_call.failed" in [event.type for event in events]
    call = dump(events[-1].response)["output"][1]  # type: ignore[union-attr]
    assert call["status"] == "failed"
    assert call["error"]["type"] == "mcp_tool_execution_error"
    assert "no luck" in backend.last["messages"][-1]["content"]


@pytest.mark.parametrize("chained", [True, False])
def test_approvals(client: openai.OpenAI, backend: FakeBackend, things: Thread, *, chained: bool) -> None:
    """By default every call waits for a yes; it is given over a chain, and over a conversation."""
    tool = entry(things, require_approval="always")
    talk: Json = {} if chained else {"conversation": client.conversations.create().id}
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 2}')))
    first = client.responses.create(model="m", input="x", tools=[tool], **talk)
    request = first.output[-1]
    assert request.type == "mcp_approval_request"
    asked = things.watched.asked("tools/list")
    backend.answer(*text("3."))
    answer: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    more: Json = talk or {"previous_response_id": first.id}
    second = client.responses.create(model="m", input=[answer], tools=[tool], **more)
    assert [item.type for item in second.output] == ["mcp_call", "message"]
    call = dump(second)["output"][0]
    assert (call["output"], call["approval_request_id"]) == ("3", request.id)
    assert things.watched.asked("tools/list") == asked, "the list of the chain is used again"


def test_a_picture(client: openai.OpenAI, backend: FakeBackend, things: Thread) -> None:
    """A picture that a tool gives reaches the model behind the results."""
    backend.answer(*tool_calls(("c1", "picture", "{}")))
    client.responses.create(model="m", input="x", tools=[entry(things)])
    kinds = [part["type"] for part in backend.last["messages"][-1]["content"]]
    assert "image_url" in kinds


def test_two_servers_with_the_same_tools(client: openai.OpenAI, backend: FakeBackend, things: Thread) -> None:
    """Each call reaches its own server."""
    with running() as other:
        tools = [entry(things), entry(other, server_label="o")]
        client.responses.create(model="m", input="x", tools=tools)
        names = [tool["function"]["name"] for tool in backend.last["tools"]]
        assert len(set(names)) == len(names)
        (name,) = [name for name in names if name.endswith("add") and name.startswith("o")]
        before = (things.watched.asked("tools/call"), other.watched.asked("tools/call"))
        backend.answer(*tool_calls(("c1", name, '{"a": 1, "b": 2}')))
        response = client.responses.create(model="m", input="x", tools=tools)
        assert [item.server_label for item in response.output if item.type == "mcp_call"] == ["o"]
        after = (things.watched.asked("tools/call"), other.watched.asked("tools/call"))
        assert after == (before[0], before[1] + 1)


def test_a_search_among_hundreds(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The model is shown a search instead of 200 tools, then what it found, and in the next request still that."""
    with running(many=200) as many:
        tools: list[Any] = [{"type": "tool_search"}, entry(many, defer_loading=True)]
        backend.answer(*tool_calls(("c1", "tool_search", '{"query": "adds numbers", "limit": 2}')))
        backend.answer(*tool_calls(("c2", "add", '{"a": 1, "b": 2}')))
        backend.answer(*text("3."))
        response = client.responses.create(model="m", input="x", tools=tools)
        names = [[tool["function"]["name"] for tool in body["tools"]] for body in backend.requests]
        assert names[0] == ["tool_search"]
        assert "add" in names[1]
        assert len(names[1]) <= 3
        assert [item.type for item in response.output] == [
            "mcp_list_tools",
            "tool_search_call",
            "tool_search_output",
            "mcp_call",
            "message",
        ]
        client.responses.create(model="m", input="y", tools=tools, previous_response_id=response.id)
        assert [tool["function"]["name"] for tool in backend.last["tools"]] == names[1]


def test_a_search_among_functions(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Functions of the client that are deferred, alone and in a namespace, are shown once they were found; their calls
    go to the client, and its outputs go on from there."""

    def function(name: str, description: str) -> Json:
        return {"type": "function", "name": name, "description": description, "defer_loading": True, "parameters": {}}

    crm = {
        "type": "namespace",
        "name": "crm",
        "description": "Customers.",
        "tools": [function("find", "Finds buyers.")],
    }
    weather = function("weather", "Tells the weather of a city.")
    tools: list[Any] = [{"type": "tool_search"}, weather, function("post", "Sends a letter."), crm]
    backend.answer(*tool_calls(("c1", "tool_search", '{"query": "weather in a city", "limit": 1}')))
    backend.answer(*tool_calls(("c2", "weather", '{"city": "Rome"}')))
    first = client.responses.create(model="m", input="x", tools=tools)
    assert [item.type for item in first.output] == ["tool_search_call", "tool_search_output", "function_call"]
    names = [[tool["function"]["name"] for tool in body["tools"]] for body in backend.requests]
    assert names == [["tool_search"], ["tool_search", "weather"]]
    found = dump(first)["output"][1]
    assert (found["execution"], found["status"]) == ("server", "completed")
    assert [(tool["type"], tool["name"]) for tool in found["tools"]] == [("function", "weather")]

    output: Any = {"type": "function_call_output", "call_id": "c2", "output": "Sunny."}
    backend.answer(*tool_calls(("c3", "tool_search", '{"query": "buyers"}')))
    backend.answer(*tool_calls(("c4", "crm__find", "{}")))
    second = client.responses.create(model="m", input=[output], tools=tools, previous_response_id=first.id)
    shown = [tool["function"]["name"] for tool in backend.last["tools"]]
    assert shown[:2] == ["tool_search", "weather"]
    assert len(shown) == 3
    call = second.output[-1]
    assert call.type == "function_call"
    assert (call.namespace, call.name) == ("crm", "find")
    assert dump(second)["output"][0]["arguments"] == {"query": "buyers"}
