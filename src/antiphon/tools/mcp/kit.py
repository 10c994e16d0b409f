"""The kind of tools ``mcp``, made once by the application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.config import McpConfig
from antiphon.tools.mcp.entry import read_entry
from antiphon.tools.mcp.pool import Pool
from antiphon.tools.mcp.server import server_of
from antiphon.tools.mcp.tool import KIND
from antiphon.tools.mcp.toolset import McpToolset
from antiphon.upstream.door import Transport
from antiphon.upstream.egress import Egress, Resolve


class McpKit:
    """Serves entries of ``tools`` with type ``mcp``. One for the whole server."""

    types = frozenset({KIND})
    missing = ""

    def __init__(
        self, config: McpConfig, door: Transport, *, allow_private: bool, resolve: Resolve | None = None
    ) -> None:
        """``door`` is the bare one, before any recorder: what a call gave is recorded where the call is made.

        ``allow_private`` lets requests name servers on this machine and in local networks: for a server that only its
        own machine uses. ``resolve`` takes the place of the system's name resolution.
        """
        private = allow_private or config.allow_private
        egress = Egress(door, allow_private=private, allow_hosts=config.allow_hosts, resolve=resolve)
        self._config = config
        self._pool = Pool(door, egress, config)

    def toolset(self, entry: Mapping[str, Any], path: str) -> McpToolset:
        """The tools of one entry. Raises ``InvalidRequest``; connects to nothing yet."""
        read = read_entry(entry, path)
        return McpToolset(read, server_of(read, self._config, path), self._pool)

    @property
    def connections(self) -> int:
        """How many servers are connected now."""
        return self._pool.open

    async def aclose(self) -> None:
        """Ends every connection, and the programs behind them."""
        await self._pool.aclose()
