"""The five recordings this project began from, replayed through a server: the calls to models of each of them.

Each is one turn of a longer loop. What came before it - the results of file search, web search and MCP tools - is sent
along here, as a client would send it that keeps the conversation itself.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.tape import llama_stack
from antiphon.tape.model import HttpRequest, HttpResponse, JsonBody
from tests.server import Server, Servers
from tests.shared import shared
from tests.tape.server.support import taped

_SEEDS = [f"{n:03}" for n in range(5)]


class Seed:
    """One of them: the body of its request, the chunks of its answer, and the test that made it."""

    def __init__(self, path: Path) -> None:
        exchange = llama_stack.load(path.read_bytes())[0]
        assert isinstance(exchange.request, HttpRequest)
        assert isinstance(exchange.request.body, JsonBody)
        assert isinstance(exchange.response, HttpResponse)
        self.body: dict[str, Any] = exchange.request.body.value
        self.content = exchange.response.content
        self.scope = exchange.scope

    @property
    def text(self) -> str:
        """What the model said."""
        return "".join(delta.get("content") or "" for delta in self._deltas())

    @property
    def calls(self) -> list[tuple[str, str]]:
        """What it called: name and arguments."""
        found: dict[int, list[str]] = {}
        for delta in self._deltas():
            for piece in delta.get("tool_calls") or ():
                function = piece["function"]
                call = found.setdefault(piece["index"], ["", ""])
                call[0] += function.get("name") or ""
                call[1] += function.get("arguments") or ""
        return [(name, arguments) for name, arguments in found.values()]

    def _deltas(self) -> Iterator[dict[str, Any]]:
        for line in self.content.decode().splitlines():
            if line.startswith("data: {"):
                yield from (choice["delta"] for choice in json.loads(line[6:])["choices"])


def _items(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages of a chat as the items of a request for a response."""
    for message in messages:
        content = message.get("content")
        if message["role"] == "tool":
            parts = content if isinstance(content, list) else ()
            output = [{"type": "input_text", "text": part["text"]} for part in parts] or content
            yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": output}
            continue
        if content:
            yield {"role": message["role"], "content": content}
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield {"type": "function_call", "call_id": call["id"], **function}


def _as_response(chat: dict[str, Any]) -> dict[str, Any]:
    tools = [{"type": "function", **tool["function"]} for tool in chat.get("tools", ())]
    body = {"model": chat["model"], "input": list(_items(chat["messages"])), "tools": tools}
    return {**body, "text": {"format": chat["response_format"]}} if "response_format" in chat else body


@pytest.fixture(scope="module")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that replays a copy of them, and has no back end."""
    directory = tmp_path_factory.mktemp("seeds") / "seeds"
    shutil.copytree(shared("recordings", "seeds"), directory)
    with taped(servers, directory, "replay", upstream={"url": "http://127.0.0.1:9/v1"}) as server:
        yield server


@pytest.mark.parametrize("scoped", [True, False], ids=["its-scope", "unscoped"])
@pytest.mark.parametrize("name", _SEEDS)
def test_the_call_as_it_was(server: Server, name: str, scoped: bool) -> None:
    """Asked again in the words of the recording, it is answered with its very bytes; also in the test's own scope."""
    seed = Seed(shared("recordings", "seeds", f"{name}.json"))
    data = {"x-ogx-provider-data": json.dumps({"__test_id": seed.scope})} if scoped and seed.scope else {}
    reply = server.http.post("/v1/chat/completions", json=seed.body, headers=data)
    assert reply.status_code == 200
    assert reply.content == seed.content


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", _SEEDS)
def test_the_turn_as_a_response(server: Server, name: str, stream: bool) -> None:
    """The same turn of the Responses API makes the same call to the model, and says what it said."""
    seed = Seed(shared("recordings", "seeds", f"{name}.json"))
    body = _as_response(seed.body)
    if stream:
        response = server.events(body)[-1]["response"]
    else:
        response = server.http.post("/v1/responses", json=body).raise_for_status().json()
    assert response["status"] == "completed"
    said = [part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]]
    called = [(item["name"], item["arguments"]) for item in response["output"] if item["type"] == "function_call"]
    assert "".join(said) == seed.text
    assert called == seed.calls
    assert seed.text or seed.calls
