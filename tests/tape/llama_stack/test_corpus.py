"""Every real recording at hand: it loads, says the same, and goes out again as it came in."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.tape import llama_stack
from antiphon.tape.llama_stack import frames, gemini
from antiphon.tape.llama_stack.envelope import unwrap
from antiphon.tape.model import Exchange, HttpResponse, ToolResponse
from tests.shared import shared

#: Of the files with a name of theirs, how many their current rules lead to. The rest were named by older rules.
REPRODUCED = 300


@cache
def corpus() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(shared("recordings").rglob("*.json"))}


def load(data: bytes) -> Exchange:
    (exchange,) = llama_stack.load(data)
    return exchange


def chunks(exchange: Exchange) -> list[Any]:
    """The parsed events of a streamed answer."""
    assert isinstance(exchange.response, HttpResponse)
    text = exchange.response.content.decode()
    return [json.loads(data) for data in frames.events(text, whole=True) if data != "[DONE]"]


def test_every_file_is_known_and_nothing_is_imported() -> None:
    """All load, with the head that the whole has, and no module is imported for it."""
    before = set(sys.modules)
    for path, data in corpus().items():
        assert llama_stack.is_recording(data), path
        head, exchange = llama_stack.head(data), load(data)
        assert (head.scope, head.request, head.provider) == (exchange.scope, exchange.request, exchange.provider), path
        assert exchange.provider, path
    assert {
        name for name in set(sys.modules) - before if name.startswith(("openai", "ollama", "ogx", "llama"))
    } == set()


def test_chunks_and_bodies_are_equal() -> None:
    """Every recorded chunk is one event of the same JSON; every whole body is the same JSON."""
    seen = 0
    for path, data in corpus().items():
        theirs = json.loads(data)["response"]
        exchange = load(data)
        body, response = unwrap(theirs["body"]), exchange.response
        if exchange.provider == "vertexai":
            body = gemini.to_wire(body)
        if theirs.get("is_exception"):
            continue
        if isinstance(response, ToolResponse):
            assert response.result == body, path
        elif not theirs["is_streaming"]:
            wire = json.loads(response.content)
            assert (wire["data"] if isinstance(body, list) else wire) == body, path
        elif all(isinstance(line, str) for line in body):
            assert frames.split_lines(response.content.decode()) == body, path
        else:
            assert chunks(exchange) == body, path
            assert len(response.reads) == len(body) + (response.reads[-1] == frames.DONE), path
            seen += len(body)
    assert seen > 2800


def test_exceptions_are_errors() -> None:
    """Recorded exceptions have the status and the inner body that was recorded."""
    for data in corpus().values():
        theirs = json.loads(data)["response"]
        if theirs.get("is_exception"):
            response = load(data).response
            assert isinstance(response, HttpResponse)
            assert response.status == theirs["exception_data"]["status_code"]
            assert json.loads(response.content) == {"error": theirs["exception_data"]["body"]}


def test_their_names_are_reproduced() -> None:
    """From the exchange alone their hash is computed for no fewer files than when this was measured."""
    named = {path: llama_stack.file_key(path) for path in corpus() if llama_stack.file_key(path)}
    found = 0
    for path, key in named.items():
        exchange = load(corpus()[path])
        found += llama_stack.their_key(exchange.request, exchange.scope, provider=exchange.provider) == key
    assert found >= REPRODUCED, f"{found} of {len(named)}"


def test_import_and_export_are_inverse() -> None:
    """Written and read again every exchange is the same; where their hash holds, under the same name."""
    same_name = 0
    for path, data in corpus().items():
        exchange = load(data)
        name, written = llama_stack.export(exchange)
        assert _quiet(load(written)) == _quiet(exchange), path
        same_name += name.rpartition("/")[2] == path.name
    assert same_name >= REPRODUCED


def test_a_second_export_changes_nothing() -> None:
    """What was exported, imported and exported is the same file."""
    for path, data in corpus().items():
        name, written = llama_stack.export(load(data))
        assert llama_stack.export(load(written)) == (name, written), path


def test_lists_of_models_become_one(tmp_path: Path) -> None:
    """The folder's lists of models are one a request and scope, with every model of every file."""
    found = list(llama_stack.convert([shared("recordings", "llama-stack", "common")]))
    lists = [exchange for exchange in found if getattr(exchange.request, "path", "") == "/v1/models"]
    assert len(lists) == 1
    assert isinstance(lists[0].response, HttpResponse)
    models = [model["id"] for model in json.loads(lists[0].response.content)["data"]]
    assert models == sorted(set(models))
    names = {
        model["id"]
        for path, data in corpus().items()
        if path.parent.name == "common" and json.loads(data)["request"].get("url", "").endswith("/v1/v1/models")
        for model in unwrap(json.loads(data)["response"]["body"])
    }
    assert names <= set(models)


def test_heads_are_quick() -> None:
    """An index over the whole corpus costs little a file. The bound is loose: only a mistake reaches it."""
    started = time.process_time()
    for data in corpus().values():
        llama_stack.head(data)
    assert (time.process_time() - started) / len(corpus()) < 0.002


def test_the_seeds_are_among_them() -> None:
    """The five seeds are streamed chats that say something or call a tool."""
    for path in sorted(shared("recordings", "seeds").glob("*.json")):
        deltas = [choice["delta"] for chunk in chunks(load(path.read_bytes())) for choice in chunk["choices"]]
        assert any(delta["content"] or delta["tool_calls"] for delta in deltas), path


def _quiet(exchange: Exchange) -> Exchange:
    """Without the id and time of chats that were recorded before their recorder blanked them."""
    response = exchange.response
    if not isinstance(response, HttpResponse) or not response.content.startswith(b'data: {"id":"'):
        return exchange
    blanked = [frames.sse({**chunk, "id": "", "created": 0}) for chunk in chunks(exchange)]
    return msgspec.structs.replace(exchange, response=msgspec.structs.replace(response, reads=tuple(blanked)))


@pytest.fixture(autouse=True, scope="module")
def _beside_the_checkout() -> None:
    corpus()
