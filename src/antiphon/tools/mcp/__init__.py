"""Tools of MCP servers: those that a request names by URL, and those that the configuration has.

``McpKit`` is what the application makes once. What a request asks for is read in ``entry``, whom it means in
``server``; ``toolset`` and ``tool`` say what happens in events; ``pool`` keeps the connections; ``session`` and
``bridge`` alone know the ``mcp`` package, and are loaded at the first connection.

What servers may ask of a client - to be asked something (elicitation), to have a model answer (sampling), to be told
folders (roots) - is not offered to them, and refused with an error that says so: a request of the Responses API has
nobody at the other end who could be asked while it runs.
"""

from __future__ import annotations

from antiphon.tools.mcp.kit import McpKit

__all__ = ["McpKit"]
