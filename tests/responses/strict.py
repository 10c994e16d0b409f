"""The rules that strict back ends hold chat requests to, as one check for the laws about prompts."""

from __future__ import annotations

import json
import re
from typing import Any

_PARTS = {"user": {"text", "image_url", "input_audio", "file"}}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check(body: dict[str, Any]) -> None:
    """Raises AssertionError for the first breach."""
    assert body["messages"], "there are messages"
    waiting: list[str] = []
    for message in body["messages"]:
        role = message["role"]
        assert role in {"system", "developer", "user", "assistant", "tool"}
        if role == "tool":
            assert message["tool_call_id"] in waiting, "a result follows the message with its call"
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, f"calls {waiting} are answered before anything else is said"
        waiting += _calls(message)
        _check_content(role, message["content"])
    assert not waiting, f"calls {waiting} are answered"
    _check_tools(body)
    json.dumps(body, allow_nan=False)


def _calls(message: dict[str, Any]) -> list[str]:
    calls = message.get("tool_calls", [])
    assert "tool_calls" not in message or (message["role"] == "assistant" and calls)
    for call in calls:
        assert call["type"] == "function"
        assert isinstance(call["function"]["arguments"], str)
        assert _NAME.fullmatch(call["function"]["name"])
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == len(ids), "ids are unique within a message"
    return ids


def _check_content(role: str, content: Any) -> None:
    if isinstance(content, str):
        return
    assert isinstance(content, list)
    assert content
    for part in content:
        assert part["type"] in _PARTS.get(role, {"text"}), f"a {role} message holds no {part['type']}"


def _check_tools(body: dict[str, Any]) -> None:
    names = [tool["function"]["name"] for tool in body.get("tools", [])]
    assert all(_NAME.fullmatch(name) for name in names)
    assert len(set(names)) == len(names), "names are unique"
    assert all(tool["type"] == "function" for tool in body.get("tools", []))
    assert "tools" in body or not body.keys() & {"tool_choice", "parallel_tool_calls"}
