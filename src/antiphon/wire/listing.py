"""Items of a client as they are kept and listed: each with an id, messages with their parts, calls with a status.

What was sent in a short form comes back in its long one, because clients read lists more strictly than servers read
requests: a message's ``content`` is always a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ItemDict = dict[str, Any]

#: Items that a list shows with a status, whether the client sent one or not.
_WITH_STATUS = frozenset(
    {
        "computer_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "function_call",
        "function_call_output",
        "message",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
    }
)


def listed(item: ItemDict, new_id: Callable[[str], str]) -> ItemDict:
    """The item in its long form; ``new_id`` makes an id for its type where it has none."""
    kind = item.get("type") or "message"
    shown = item.copy()
    shown["id"] = item.get("id") or new_id(kind)
    shown["type"] = kind
    if kind in _WITH_STATUS:
        shown["status"] = item.get("status") or "completed"
    if kind == "message" and not isinstance(item.get("content"), list):
        shown["content"] = _parts(item)
    return shown


def _parts(item: ItemDict) -> Any:
    """The content as a list, which it was not."""
    content = item.get("content")
    if not isinstance(content, str):
        return [] if content is None else content
    if item.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]
