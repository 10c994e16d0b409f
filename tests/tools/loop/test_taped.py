"""An agent with a web search, a search in files, and MCP servers over HTTP and stdio, recorded; the servers stopped;
replayed."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.config import McpConfig, WebSearchConfig
from tests.behaviour.hosts import Host, Hosts
from tests.tools.mcp.threads import running
from tests.tools.mcp.world import program
from tests.upstreams import FakeBackend, text, tool_calls


class _Provider(http.server.BaseHTTPRequestHandler):
    """Speaks as Tavily does; counts its searches."""

    searches = 0

    def do_POST(self) -> None:
        type(self).searches += 1
        self.rfile.read(int(self.headers["content-length"]))
        results = [{"url": "https://a.example/x", "title": "A", "content": "Antiphons are sung."}]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """The address of a search provider."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def places() -> Iterator[tuple[dict[str, Any], str, contextlib.ExitStack]]:
    """The settings of the tools, the MCP server's URL, and the stack that stops both servers."""
    with contextlib.ExitStack() as stack:
        search = stack.enter_context(provider())
        things = stack.enter_context(running())
        tools = {
            "web_search": WebSearchConfig(provider="tavily", key="tvly-a-key", url=search),
            "mcp": McpConfig(servers={"small": program()}),
        }
        yield tools, things.url, stack


def script(backend: FakeBackend) -> None:
    """Three rounds with five calls, and the answer."""
    backend.answer(*tool_calls(("c1", "web_search", '{"query": "antiphon"}'), ("c2", "s__add", '{"a": 1, "b": 2}')))
    backend.answer(*tool_calls(("c3", "small__add", '{"a": 3, "b": 4}'), ("c4", "fail", '{"reason": "no"}')))
    backend.answer(*tool_calls(("c5", "file_search", '{"queries": ["Who sings?"]}')))
    backend.answer(*text("All done <|file-x|>."))


def filled(server: Host) -> str:
    """The id of a vector store that holds a file."""
    file = server.client.files.create(file=("choir.md", b"Two choirs sing in turn."), purpose="assistants")
    store = server.client.vector_stores.create(name="s", file_ids=[file.id])
    (there,) = server.client.vector_stores.files.list(store.id)
    done = server.client.vector_stores.files.poll(there.id, vector_store_id=store.id, poll_interval_ms=10)
    assert done.status == "completed", done.last_error
    return store.id


def run(server: Host, url: str, store: str) -> list[dict[str, Any]]:
    """The events of the agent's response."""
    tools = [
        {"type": "web_search"},
        {"type": "file_search", "vector_store_ids": [store]},
        {"type": "mcp", "server_label": "s", "server_url": url, "require_approval": "never"},
        {"type": "mcp", "server_label": "small", "require_approval": "never"},
    ]
    include = ["web_search_call.action.sources", "file_search_call.results"]
    body = {"model": "m", "input": "Go.", "tools": tools, "stream": True, "include": include}
    return server.read_events("POST", "/s/agent/v1/responses", json=body)


def test_without_any_server(
    hosts: Hosts, backend: FakeBackend, tmp_path: Path, places: tuple[dict[str, Any], str, contextlib.ExitStack]
) -> None:
    """The replay needs neither model nor tools, and gives the same events to the last byte."""
    tools, url, stack = places
    tape = {"dir": str(tmp_path / "tape")}
    script(backend)
    recorder = hosts(tools=tools, tape={**tape, "mode": "record"})
    store = filled(recorder)
    first = run(recorder, url, store)
    output = first[-1]["response"]["output"]
    assert [item["type"] for item in output] == [
        *("mcp_list_tools", "mcp_list_tools", "web_search_call", "mcp_call", "mcp_call", "mcp_call"),
        *("file_search_call", "message"),
    ]
    assert [item.get("output") for item in output[3:5]] == ["3", "7"]
    assert [result["text"] for result in output[6]["results"]] == ["Two choirs sing in turn."]
    assert output[7]["content"][0]["text"] == "All done."
    recorder.stop()
    stack.close()
    backend.reset()
    files = "".join(path.read_text() for path in (tmp_path / "tape").rglob("*.json"))
    assert "tvly-a-key" not in files
    tools = {**tools, "web_search": msgspec.structs.replace(tools["web_search"], key=None)}
    replayer = hosts(tools=tools, tape={**tape, "mode": "replay"}, storage={"data_dir": str(tmp_path / "other")})
    assert run(replayer, url, store) == first
    assert backend.calls == []


def test_live_tools_over_recorded_answers(
    hosts: Hosts, backend: FakeBackend, tmp_path: Path, places: tuple[dict[str, Any], str, contextlib.ExitStack]
) -> None:
    """The tools are called again, the model is not."""
    tools, url, _ = places
    tape = {"dir": str(tmp_path / "tape")}
    script(backend)
    recorder = hosts(tools=tools, tape={**tape, "mode": "record"})
    store = filled(recorder)
    first = run(recorder, url, store)
    recorder.stop()
    backend.reset()
    before = _Provider.searches
    live = hosts(
        tools=tools,
        tape={**tape, "mode": "replay", "tools": "live"},
    )
    assert run(live, url, store)[-1] == first[-1]
    assert _Provider.searches == before + 1
    assert backend.calls == []
