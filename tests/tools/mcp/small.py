"""An MCP server over stdio without any package, which is there at once: ``add``, ``die`` and ``variables``."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("add", "die", "variables")]


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a request; None for a method that is not known."""
    if method == "initialize":
        info = {"name": "small", "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method != "tools/call":
        return None
    arguments = params.get("arguments") or {}
    if params["name"] == "die":
        os._exit(3)
    text = str(arguments["a"] + arguments["b"]) if params["name"] == "add" else json.dumps(dict(os.environ))
    return {"content": [{"type": "text", "text": text}]}


def main() -> None:
    """One line, one message."""
    for line in sys.stdin:
        said = json.loads(line)
        if "id" not in said:
            continue
        result = answer(said["method"], said.get("params") or {})
        body = {"error": {"code": -32601, "message": "Method not found"}} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": said["id"], **body}), flush=True)


if __name__ == "__main__":
    main()
