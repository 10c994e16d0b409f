"""An MCP server of the SDK's own with every kind of tool that the tests need; as a program it speaks over stdio."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel

#: One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
READ_ONLY = ToolAnnotations(read_only_hint=True)


class Weather(BaseModel):
    """What ``weather`` gives."""

    city: str
    degrees: int


class Answer(BaseModel):
    """What ``ask`` would like to know."""

    name: str


class Slow:
    """A tool that ends when it is let; knows how many are waiting, and how many were given up."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.waiting = 0
        self.began = asyncio.Event()
        self.given_up = asyncio.Event()

    async def __call__(self) -> str:
        """Waits."""
        self.waiting += 1
        self.began.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return "at last"


def things(slow: Slow | None = None, many: int = 0) -> MCPServer[Any]:
    """The server. ``many`` further tools are there as well."""
    server = MCPServer("things", log_level="CRITICAL")
    _plain(server)
    _odd(server)
    if slow is not None:
        server.add_tool(slow.__call__, name="slow")
    for n in range(many):
        server.add_tool(lambda: "many", name=f"many_{n}", description=f"Number {n}.")
    return server


def _plain(server: MCPServer[Any]) -> None:
    @server.tool(annotations=READ_ONLY)
    def add(a: int, b: int) -> str:
        """Adds two numbers."""
        return str(a + b)

    @server.tool(annotations=ToolAnnotations(idempotent_hint=True))
    def put(text: str) -> str:
        """Puts a text, as often as one likes."""
        return f"put {text}"

    @server.tool()
    def fail(reason: str) -> CallToolResult:
        """Always fails."""
        return CallToolResult(content=[TextContent(type="text", text=reason)], is_error=True)

    @server.tool()
    def weather(city: str) -> Weather:
        """Weather with structure."""
        return Weather(city=city, degrees=21)

    @server.tool(structured_output=False)
    def picture() -> list[Any]:
        """A picture and a word."""
        return ["look", Image(data=PNG, format="png")]

    @server.tool()
    def long(characters: int) -> str:
        """Says very much."""
        return "x" * characters

    @server.tool()
    def headers(ctx: Context[Any, Any]) -> dict[str, str]:
        """The headers that came with the call."""
        return dict(ctx.headers or {})

    @server.tool()
    def variables() -> dict[str, str]:
        """The variables of the process."""
        return dict(os.environ)


def _odd(server: MCPServer[Any]) -> None:
    @server.tool()
    async def ask(ctx: Context[Any, Any]) -> str:
        """Wants to ask the person."""
        answer = await ctx.elicit("Who are you?", Answer)
        return f"answered {answer.action}"

    @server.tool()
    async def grow(ctx: Context[Any, Any]) -> str:
        """From here on there is one tool more, and the client is told."""
        server.add_tool(lambda: "new", name="grown", description="A new one.")
        await ctx.session.send_tool_list_changed()
        return "grown"

    @server.tool()
    def die() -> str:
        """Ends the process at once."""
        os._exit(3)


if __name__ == "__main__":
    things().run("stdio")
