"""A server of the shape of an MCP server over HTTP: JSON-RPC by POST, answered with JSON or with one event."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from tests.upstreams import PATIENCE

Answer = Callable[[dict[str, Any]], Any]


class Far:
    """A running one. ``url`` is its address, ``calls`` the arguments it was called with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[dict[str, Any]] = []
        self.answer: Answer = lambda arguments: {"content": [{"type": "text", "text": f"{arguments['city']}: rain"}]}


@contextlib.contextmanager
def far() -> Iterator[Far]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.calls.append(asked["params"]["arguments"])
            told = {"jsonrpc": "2.0", "id": asked["id"], "result": found.answer(asked["params"]["arguments"])}
            body = b"event: message\ndata: " + json.dumps(told).encode() + b"\n\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Far(f"http://127.0.0.1:{server.server_address[1]}/mcp")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


_numbers = itertools.count(1)


def envelope(tool: str, arguments: Any) -> dict[str, Any]:
    """The call as JSON-RPC; its id is another one each time, as in real life."""
    params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": f"p{next(_numbers)}"}}
    return {"jsonrpc": "2.0", "id": next(_numbers), "method": "tools/call", "params": params}


async def call(url: str, tool: str, arguments: Any) -> Any:
    """Calls it over HTTP."""
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        reply = await http.post(url, json=envelope(tool, arguments))
    return json.loads(reply.text.partition("data: ")[2])["result"]
