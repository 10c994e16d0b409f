"""The tools that a server listed: as it says them, as ``mcp_list_tools`` shows them, as the model sees them. Pure.

A list that stands in the conversation already, put there by us or by the client, is used again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from antiphon.tools.base import ItemDict
from antiphon.tools.mcp.entry import Entry


class Listed(msgspec.Struct, frozen=True):
    """One tool. ``annotations`` are the server's hints: ``readOnlyHint``, ``idempotentHint`` and others."""

    name: str
    input_schema: dict[str, Any]
    description: str | None = None
    annotations: dict[str, Any] | None = None

    @property
    def hints(self) -> dict[str, Any]:
        """The annotations, or none."""
        return self.annotations or {}

    @property
    def repeatable(self) -> bool:
        """Whether a second call does no more than the first."""
        return self.hints.get("readOnlyHint") is True or self.hints.get("idempotentHint") is True

    def shown(self) -> dict[str, Any]:
        """As the item has it: what is not there is left out, for clients that take no null."""
        shown: dict[str, Any] = {"name": self.name, "input_schema": self.input_schema}
        if self.description is not None:
            shown["description"] = self.description
        if self.annotations is not None:
            shown["annotations"] = self.annotations
        return shown

    def definition(self, about: str | None = None) -> dict[str, Any]:
        """The chat function. ``about`` the server goes before the tool's own description."""
        description = "\n\n".join(text for text in (about, self.description) if text)
        return {
            "name": self.name,
            "description": description,
            "parameters": {"type": "object", "properties": {}, **self.input_schema},
        }


def listed(tools: Any) -> list[Listed]:
    """The tools of a list, each name once; what is no tool is left out."""
    found: dict[str, Listed] = {}
    for tool in tools if isinstance(tools, list) else ():
        try:
            one = msgspec.convert(tool, Listed)
        except msgspec.ValidationError:
            continue  # a client may replay anything
        if one.name:
            found.setdefault(one.name, one)
    return list(found.values())


def allowed(tools: Iterable[Listed], entry: Entry) -> list[Listed]:
    """Those that the request lets the model use."""
    return [tool for tool in tools if entry.allowed.admits(tool.name, tool.hints)]


def listed_before(earlier: Sequence[ItemDict], entry: Entry) -> list[Listed] | None:
    """The latest list of this server in the conversation; None where there is none that has every tool asked for."""
    for item in reversed(earlier):
        if item.get("type") != "mcp_list_tools" or item.get("server_label") != entry.label or item.get("error"):
            continue
        tools = listed(item.get("tools"))
        wanted = set(entry.allowed.tool_names or ())
        return tools if tools and wanted <= {tool.name for tool in tools} else None
    return None
