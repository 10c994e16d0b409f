"""What means the same at endpoints other than chat completions."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.tape.canon import key, parse
from antiphon.tape.model import HttpCall, ToolCall
from tests.tape.canon.calls import CHAT, JSON, MESSAGES, RESPONSES, keyed, post

EMBEDDINGS, COMPLETIONS, MCP = "https://a/v1/embeddings", "https://a/v1/completions", "https://a/mcp"
OTHER = "https://a/v1/something"


def asked(said: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": said, **more}


def told(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}], **more}


def rpc(number: Any, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "f", **params}}


TEXT = [{"type": "input_text", "text": "hi"}]
ITEM = {"role": "user", "content": "hi"}
SAME: list[tuple[str, Any, Any]] = [
    (RESPONSES, asked("hi"), asked([ITEM])),
    (RESPONSES, asked("hi"), asked([{"type": "message", "status": "completed", "role": "user", "content": TEXT}])),
    (RESPONSES, asked("hi"), asked("hi", store=True, stream=False, tools=[], temperature=1.0, truncation="disabled")),
    (RESPONSES, asked("hi"), asked("hi", text={"format": {"type": "text"}}, metadata={}, include=None)),
    (RESPONSES, asked([{**ITEM, "id": None}]), asked([ITEM])),
    (EMBEDDINGS, asked("hi"), asked("hi", encoding_format="float", dimensions=None)),
    (EMBEDDINGS, asked([1, 2]), asked([1.0, 2.0])),
    (COMPLETIONS, {"prompt": "x"}, {"prompt": "x", "n": 1, "max_tokens": 16, "echo": False, "stream_options": {}}),
    (MESSAGES, told("hi"), told([{"type": "text", "text": "hi"}], stream=False, temperature=1.0, tools=[])),
    (
        MESSAGES,
        told("hi", system="s"),
        told("hi", system=[{"type": "text", "text": "s"}], tool_choice={"type": "auto"}),
    ),
    (
        MESSAGES,
        told([{"type": "tool_result", "tool_use_id": "a", "content": "x"}]),
        told(
            [{"type": "tool_result", "tool_use_id": "b", "is_error": False, "content": [{"type": "text", "text": "x"}]}]
        ),
    ),
    (OTHER, {"a": 1, "b": None}, {"a": 1.0}),
    (MCP, rpc(1, arguments={"n": 2}), rpc("7", arguments={"n": 2.0}, _meta={"progressToken": 7})),
    (MCP, [rpc(1), rpc(2)], [rpc(3), rpc(4)]),
    (
        MCP,
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4, "reason": "r"}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5, "reason": "r"}},
    ),
    (
        MCP,
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}},
    ),
]
DIFFERENT: list[tuple[str, Any, Any]] = [
    (RESPONSES, asked("hi"), asked("ho")),
    (RESPONSES, asked("hi"), asked("hi", store=False)),
    (RESPONSES, asked("hi"), asked("hi", instructions="")),
    (RESPONSES, asked([ITEM]), asked([{**ITEM, "role": "developer"}])),
    (EMBEDDINGS, asked("hi"), asked("hi", encoding_format="base64")),
    (EMBEDDINGS, asked(["a", "b"]), asked(["b", "a"])),
    (COMPLETIONS, {"prompt": "x"}, {"prompt": "x", "max_tokens": 17}),
    (MESSAGES, told("hi"), told("hi", system="s")),
    (MESSAGES, told("hi"), told([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}])),
    (OTHER, {"a": {"b": None}}, {"a": {}}),
    (OTHER, {"stream": False}, {}),
    (OTHER, {"a": True}, {"a": 1}),
    (OTHER, {"a": "1"}, {"a": 1}),
    (MCP, rpc(1, arguments={"id": 1}), rpc(1, arguments={"id": 2})),
    (MCP, rpc(1, _meta={"vendor/x": 1}), rpc(1)),
    (MCP, rpc(1), {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "f"}}),
]


@pytest.mark.parametrize(("url", "one", "other"), SAME)
def test_the_same_request(url: str, one: Any, other: Any) -> None:
    """Two ways of writing one request have one key."""
    assert keyed(url, one) == keyed(url, other)


@pytest.mark.parametrize(("url", "one", "other"), DIFFERENT)
def test_another_request(url: str, one: Any, other: Any) -> None:
    """Requests that may be answered differently have different keys."""
    assert keyed(url, one) != keyed(url, other)


def test_kinds_of_bodies_differ() -> None:
    """Nothing, null, an empty object and text are four bodies; the method counts."""
    assert len({keyed(OTHER, body) for body in (b"", b"null", b"{}", b"x")}) == 4
    assert key(parse(HttpCall("GET", OTHER, JSON))) != keyed(OTHER, b"")
    assert key(parse(HttpCall("post", OTHER, JSON))) == keyed(OTHER, b"")


def test_the_provider_of_http_is_no_part_of_it() -> None:
    """Who is asked by which name, and at which door, does not matter."""
    call = HttpCall("POST", CHAT, (), b"{}", "embeddings", "azure")
    assert key(parse(call)) == key(post("http://127.0.0.1:1/v1/chat/completions", {}))


def test_tools() -> None:
    """Provider, tool and arguments count; key order and spelling of numbers do not."""
    base = key(parse(ToolCall("p", "t", {"a": 1, "b": None})))
    assert key(parse(ToolCall("p", "t", {"b": None, "a": 1.0}))) == base
    for other in (
        ToolCall("q", "t", {"a": 1, "b": None}),
        ToolCall("p", "u", {"a": 1, "b": None}),
        ToolCall("p", "t", {"a": 1}),
    ):
        assert key(parse(other)) != base
    assert key(parse(ToolCall("p", "t", "\ud800"))) != key(parse(ToolCall("p", "t", "\ud801")))
