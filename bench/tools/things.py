"""An MCP server on the SDK, over streamable HTTP: ``python -m bench.tools.things`` prints ``port N``.

``add`` answers at once, ``wait`` after 200 ms; both give their argument back. Its CPU is not counted.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

WAIT_S = 0.2


def things() -> MCPServer[Any]:
    """The server."""
    server: MCPServer[Any] = MCPServer("things", log_level="CRITICAL")

    @server.tool(structured_output=False)
    def add(n: int) -> str:
        """Gives its argument."""
        return str(n)

    @server.tool(structured_output=False)
    async def wait(n: int) -> str:
        """Gives its argument, in a while."""
        await asyncio.sleep(WAIT_S)
        return str(n)

    return server


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(things().streamable_http_app(), log_config=None)).run(sockets=[listener])
