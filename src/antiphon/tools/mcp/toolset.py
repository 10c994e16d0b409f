"""What one ``mcp`` entry of a request brings: the list of the server's tools, as an item and as tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from antiphon.tools.base import Around, ItemDict, Tool
from antiphon.tools.mcp.entry import Entry
from antiphon.tools.mcp.failures import Failed
from antiphon.tools.mcp.listing import Listed, allowed, listed, listed_before
from antiphon.tools.mcp.pool import Pool
from antiphon.tools.mcp.server import Server
from antiphon.tools.mcp.tool import McpTool
from antiphon.wire import events
from antiphon.wire.events import AnyEvent, item_step
from antiphon.wire.items import McpListTools


class McpToolset:
    """The tools of one server, for one request."""

    def __init__(self, entry: Entry, server: Server, pool: Pool) -> None:
        self._entry = entry
        self._server = server
        self._pool = pool
        self._known: dict[str, Listed] = {}

    async def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        """The list, unless the conversation has it already; and the tools that the request allows."""
        tools = listed_before(earlier, self._entry)
        if tools is None:
            item = McpListTools(id=around.new_id("mcp_list_tools"), server_label=self._entry.label)
            yield events.item_added(0, item)
            yield item_step("mcp_list_tools.in_progress", 0, item.id)
            result = await around.outside(f"mcp:{self._entry.label}", "tools/list", {}, lambda: self._listed(around))
            tools = listed(result.get("tools"))
            for event in _ended(item, allowed(tools, self._entry), result.get("error")):
                yield event
        tools = allowed(tools, self._entry)
        self._known = {tool.name: tool for tool in tools}
        for n, tool in enumerate(tools):
            yield self._tool(tool, about=self._entry.description if n == 0 else None)

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        """The tool that makes the call of this approval request, where it is this server's and allowed."""
        name = request.get("name")
        if request.get("server_label") != self._entry.label or not isinstance(name, str):
            return None
        tool = self._known.get(name) or Listed(name, {})
        if not self._entry.allowed.admits(name, tool.hints):
            return None
        return McpTool(tool, self._entry.label, self._server, self._pool, approved=str(request.get("id", "")) or None)

    async def aclose(self) -> None:
        """Nothing is held for a single request: connections are the pool's."""

    def _tool(self, tool: Listed, about: str | None) -> McpTool:
        entry = self._entry
        held = entry.approvals.needed(tool.name, tool.hints)
        return McpTool(tool, entry.label, self._server, self._pool, about=about, held=held, deferred=entry.deferred)

    async def _listed(self, around: Around) -> dict[str, Any]:
        try:
            said: dict[str, Any] = {"tools": await self._pool.list_tools(self._server, around.timeout)}
        except Failed as failed:
            said = {"error": f"The tools of the MCP server '{self._entry.label}' cannot be listed. {failed.message}"}
        cleaned: dict[str, Any] = self._server.cleaned(said)
        return cleaned


def _ended(item: McpListTools, tools: Sequence[Listed], error: str | None) -> list[AnyEvent]:
    shown = [tool.shown() for tool in tools]
    done = McpListTools(id=item.id, server_label=item.server_label, tools=shown)
    if error is not None:
        done = McpListTools(id=item.id, server_label=item.server_label, error=error)
    step = "completed" if error is None else "failed"
    return [item_step(f"mcp_list_tools.{step}", 0, item.id), events.item_done(0, done)]
