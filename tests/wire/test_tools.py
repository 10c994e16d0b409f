"""Tools and tool_choice as they are read and repeated."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.errors import InvalidRequest
from antiphon.wire.tools import echo_tools, read_tools, without_secrets


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{}], "tools[0].type"),
        ([{"type": None}], "tools[0].type"),
        (["web_search"], "tools[0]"),
        ([{"type": "function"}], "tools[0].name"),
        ([{"type": "function", "name": ""}], "tools[0].name"),
        ([{"type": "web_search"}, {"type": "function", "name": "f", "parameters": "{}"}], "tools[1].parameters"),
        ([{"type": "custom", "name": "c", "format": {"definition": 3}}], "tools[0].format.definition"),
        ([{"type": "namespace", "name": "n"}], "tools[0].tools"),
    ],
)
def test_a_malformed_tool_names_its_field(tools: list[Any], param: str) -> None:
    """A tool of a wrong shape is a 400 with the path of the field."""
    with pytest.raises(InvalidRequest) as caught:
        read_tools(tools)
    assert caught.value.param == param


def test_functions_are_echoed_with_every_key() -> None:
    """The echo of a function has description, parameters and strict, null where they were not sent."""
    [echo] = echo_tools([{"type": "function", "name": "f", "defer_loading": False}])
    assert echo == {
        "type": "function",
        "name": "f",
        "defer_loading": False,
        "description": None,
        "parameters": None,
        "strict": None,
    }


def test_the_chat_shape_is_understood() -> None:
    """A function in Chat Completions' nested shape is read and echoed flat."""
    [echo] = echo_tools([{"type": "function", "function": {"name": "f", "strict": True}}])
    assert (echo["name"], echo["strict"], "function" in echo) == ("f", True, False)


def test_unknown_tools_are_echoed_as_sent() -> None:
    """A tool of a type nobody knows is repeated unchanged."""
    tool = {"type": "vendor:thing", "secret_sauce": [1]}
    assert echo_tools([tool]) == [tool]
    assert echo_tools(None) == []


def test_credentials_of_mcp_tools_stay_here() -> None:
    """Neither echo nor storage shows the credentials of an MCP tool, wherever they were put."""
    tool = {
        "type": "mcp",
        "server_label": "s",
        "server_url": "https://me:word@mcp.example.com/sse?token=word",
        "authorization": "word",
        "headers": {"x-api-key": "word"},
        "allowed_tools": ["a"],
    }
    for shown in (echo_tools([tool]), without_secrets([tool])):
        assert "word" not in str(shown)
        assert shown[0]["server_url"] == "https://mcp.example.com/sse"
        assert shown[0]["allowed_tools"] == ["a"]
    assert tool["authorization"] == "word", "the tool itself is left alone"
