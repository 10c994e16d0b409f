"""Recorded agent runs as loops of ours: the tools that their server ran run here, and give what they once gave.

A run is known from its last request, which repeats all that went before. Turns whose own recording is not there, or is
from another time, are made from it: the model says in them what it is recorded to have said.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import openai

from tests.recordings.backend import SCOPE, RecordedBackend
from tests.recordings.conversations import Conversation, items, play
from tests.recordings.tape import Json, Recording
from tests.server import Server

Kind = Literal["functions", "mcp", "web_search", "file_search"]

#: Calls that a limit forbade are in the recordings with these words.
_SKIPPED = "Tool call skipped: "
#: What the other system's model reads where there is no key for the search.
_KEYLESS = "Pass Search provider's API Key"
#: Functions of its tests' own MCP server.
_OF_MCP = "get_user_id"
_OF_FILES = frozenset({"file_search", "knowledge_search"})


class Loop:
    """A conversation as runs of ours. ``turns`` are all its model calls, in order."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.name = conversation.name
        self.kind = _kind(conversation)
        self.turns = list(_turns(conversation)) if self.looping else list(conversation)

    @property
    def looping(self) -> bool:
        """Whether its tools run in the server."""
        return self.kind != "functions"

    @property
    def ends(self) -> bool:
        """Whether its last answer is recorded; otherwise its last calls have none."""
        return not self.turns[-1].calls

    @property
    def keyless(self) -> bool:
        """Whether its searches were made without a key."""
        return any(said.startswith(_KEYLESS) for said in self.results.values())

    @property
    def results(self) -> dict[str, str]:
        """What each call gave, by name and arguments."""
        messages = self.turns[-1].request["messages"]
        called = {
            call["id"]: _call(call["function"]["name"], call["function"]["arguments"])
            for message in messages
            for call in message.get("tool_calls") or ()
        }
        return {
            called[message["tool_call_id"]]: text
            for message in messages
            if message["role"] == "tool" and not (text := _text(message["content"])).startswith(_SKIPPED)
        }

    @property
    def limit(self) -> int | None:
        """How many calls were allowed, where that mattered."""
        told = [_text(one["content"]) for one in self.turns[-1].request["messages"] if one["role"] == "tool"]
        made = [one for one in told if not one.startswith(_SKIPPED)]
        return len(made) if len(made) < len(told) else None

    def scoped(self) -> Iterator[Recording]:
        """Its model calls, findable as this run's only."""
        return (dataclasses.replace(one, scope=self.name) for one in self.turns)


def _kind(conversation: Conversation) -> Kind:
    names = {tool["function"]["name"] for tool in conversation[-1].request.get("tools") or ()}
    if names & _OF_FILES:
        return "file_search"
    if _OF_MCP in names:
        return "mcp"
    return "web_search" if "web_search" in names else "functions"


def _turns(conversation: Conversation) -> Iterator[Recording]:
    last = conversation[-1]
    messages = last.request["messages"]
    tools = last.request.get("tools")
    recorded = {len(one.request["messages"]): one for one in conversation if one.request.get("tools") == tools}
    # A tool that gave nothing at all had failed, in a way that is not recorded: what follows is the run.
    silent = max((n for n, one in enumerate(messages) if one["role"] == "tool" and not one["content"]), default=0)
    for n, message in enumerate(messages):
        if message["role"] != "assistant" or n < silent:
            continue
        request = {**last.request, "messages": messages[:n]}
        delta = {**message, "tool_calls": message.get("tool_calls") or []}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
        answer = [{**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]}]
        yield recorded.get(n) or Recording(f"{last.name}[{n}]", last.scope, request, answer)
    yield last


def _call(name: str, arguments: str) -> str:
    return f"{name} {json.dumps(json.loads(arguments), sort_keys=True)}"


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


class Tools:
    """``with Tools() as tools``: the MCP server and the search provider of the run that is ``now``.

    Both are at ``tools.url``: an MCP server with the functions that the run's model was shown, and a provider that
    speaks as Tavily does. They know what the run's calls gave.
    """

    def __init__(self) -> None:
        self.now: Loop | None = None
        self.called: list[str] = []
        """What it was asked for, by name and arguments."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Tools:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, body: Json) -> Json | None:
        """The reply to a POST; None where there is nothing to say."""
        if path == "/search":
            said = self._gave(_call("web_search", json.dumps({"query": body["query"]})))
            return {"results": json.loads(said)["top_k"] if said else []}
        result = self._mcp(body)
        if "id" not in body:
            return None
        missing = {"error": {"code": -32601, "message": "Method not found"}}
        return {"jsonrpc": "2.0", "id": body["id"], **(missing if result is None else {"result": result})}

    def _mcp(self, said: Json) -> Json | None:
        assert self.now is not None
        if said["method"] == "initialize":
            info = {"name": "recorded", "version": "1"}
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
        if said["method"] == "tools/list":
            functions = [tool["function"] for tool in self.now.turns[0].request["tools"]]
            return {
                "tools": [{**_only(one, "name", "description"), "inputSchema": one["parameters"]} for one in functions]
            }
        if said["method"] == "tools/call":
            params = said["params"]
            text = self._gave(_call(params["name"], json.dumps(params["arguments"])))
            return {"content": [{"type": "text", "text": text}]}
        return None

    def _gave(self, call: str) -> str:
        """Empty for a call whose result is not recorded."""
        assert self.now is not None
        self.called.append(call)
        return self.now.results.get(call, "")


def _only(given: Json, *names: str) -> Json:
    return {name: given[name] for name in names if name in given}


def _handler(tools: Tools) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """A test says what went wrong by itself."""

        def do_POST(self) -> None:
            said = tools.answer(self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._reply(202 if said is None else 200, b"" if said is None else json.dumps(said).encode())

        def do_GET(self) -> None:
            self._reply(405, b"")

        def do_DELETE(self) -> None:
            self._reply(405, b"")

        def _reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def missed(server: Server, backend: RecordedBackend, tools: Tools, loop: Loop) -> str:
    """Has the run through this server. Empty when the model was asked, in order, what it is recorded to have been
    asked, and the response ends as the recording does; else what was different."""
    backend.served.clear()
    tools.now = loop
    try:
        if not loop.looping:
            play(server.client, loop.conversation, stream=False)
        else:
            response = server.client.responses.create(**asked(tools, loop))
            if loop.ends:
                assert response.output_text == loop.turns[-1].text, response.error or response.output_text
            else:
                # A run that was not recorded to its end asks the model once more, which is not recorded either.
                assert response.status == "failed"
    except (openai.APIError, AssertionError) as error:
        return str(error)
    served, wanted = ([one.name for one in each] for each in (backend.served, loop.turns))
    return "" if served == wanted else f"the model was asked for {served}, and not for {wanted}"


def asked(tools: Tools, loop: Loop) -> Any:
    """The request that begins the run."""
    entry: Any = {"type": loop.kind}
    if loop.kind == "mcp":
        entry = {
            "type": "mcp",
            "server_label": "s",
            "server_url": f"{tools.url}/{loop.name}/mcp",
            "require_approval": "never",
        }
    first = loop.turns[0].request
    return {
        "model": first["model"],
        "input": list(items(first["messages"])),
        "tools": [entry],
        "max_tool_calls": loop.limit,
        "extra_headers": {SCOPE: loop.name},
        **_only(first, "parallel_tool_calls", "temperature", "top_p", "tool_choice"),
    }
