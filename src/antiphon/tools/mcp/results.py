"""What a tool of an MCP server gave, as three readers want it: the model, the item, and the item's error. Pure.

A result is ``{content, failed, structured?}`` with MCP's content blocks, or ``{error}`` with one of the typed forms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from antiphon.tools.base import Content

Result = dict[str, Any]


class Reading(msgspec.Struct, frozen=True):
    """``shown`` to the model; ``output`` and ``error`` of the item, one of which is None."""

    shown: Content
    output: str | None
    error: dict[str, Any] | None


def read(result: Result, label: str) -> Reading:
    """The readings of a result of the server with this label."""
    error = result.get("error")
    if error is not None:
        return Reading(f"The tool could not be called on the MCP server '{label}'. {error['message']}", None, error)
    content: list[dict[str, Any]] = result["content"]
    text = "\n".join(_texts(content))
    if not content and "structured" in result:
        text = json.dumps(result["structured"], ensure_ascii=False)
    if result["failed"]:
        words = text or "It gave no reason."
        return Reading(f"The tool failed: {words}", None, {"type": "mcp_tool_execution_error", "content": content})
    return Reading(_parts(content) if any(map(_is_image, content)) else text, text, None)


def _parts(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Text and images in their order, for a model that sees."""
    parts: list[dict[str, Any]] = []
    for block in content:
        if (url := _image(block)) is not None:
            parts.append({"type": "image_url", "image_url": {"url": url}})
        else:
            parts += [{"type": "text", "text": text} for text in _texts([block])]
    return parts


def _texts(content: list[dict[str, Any]]) -> Iterator[str]:
    """Each block in words; what has none is named."""
    for block in content:
        kind = block.get("type")
        resource = block.get("resource") or {}
        if kind == "text":
            yield block.get("text", "")
        elif kind in ("image", "audio"):
            yield f"[{kind}: {block.get('mimeType', 'of unknown type')}]"
        elif kind == "resource" and "text" in resource:
            yield resource["text"]
        elif kind == "resource":
            yield f"[file: {resource.get('uri', '')} {resource.get('mimeType', 'of unknown type')}]"
        elif kind == "resource_link":
            about = " - ".join(str(block[key]) for key in ("title", "name", "description") if block.get(key))
            yield f"[link: {block.get('uri', '')}{f' ({about})' if about else ''}]"
        else:
            yield json.dumps(block, ensure_ascii=False)


def _is_image(block: dict[str, Any]) -> bool:
    return _image(block) is not None


def _image(block: dict[str, Any]) -> str | None:
    """The block as a data URL, where it is an image."""
    if block.get("type") == "image":
        kind, data = block.get("mimeType"), block.get("data")
    elif block.get("type") == "resource":
        resource = block.get("resource") or {}
        kind, data = resource.get("mimeType"), resource.get("blob")
    else:
        return None
    return f"data:{kind};base64,{data}" if str(kind).startswith("image/") and data else None
