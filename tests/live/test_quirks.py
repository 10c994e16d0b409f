"""Back ends that say odd things, live: what they say is told as it is, alone and beside every other oddity.

The manners that change nothing of what is said are crossed with each other in ``tests/api/test_scripted.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon.config import Config, StorageConfig, UpstreamConfig
from tests.live.streams import LOOK
from tests.responses.grammar import check
from tests.scripted import Scripted, scripted
from tests.server import Server

__all__ = ["scripted"]

CALLS = '<<parallel>> <<preface Well.>> <<call look {"at": 1}>> <<call look {"at": 2}>>'
#: What changes the answer, and the part of it that it changes.
ODD = ("no-usage", "args-object", "bad-args", "unknown-tool")
MANNERS = (
    "whole-call",
    "index0",
    "null-id",
    "empty-first",
    "null-content",
    "role-each",
    "usage-each",
    "finish-stop",
    "no-finish",
    "no-done",
    "crlf",
    "ping",
    "empty-tools",
)


@pytest.fixture(scope="module")
def odd_server(scripted: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in front of the scripted back end."""
    storage = StorageConfig(data_dir=str(tmp_path_factory.mktemp("odd")))
    server = Server(Config(upstreams={"s": UpstreamConfig(url=scripted.url)}, discover=False, storage=storage))
    server.start()
    yield server
    server.stop()


def _told(server: Server, quirks: set[str]) -> tuple[str, list[tuple[str, str]], int]:
    """Text, calls and input tokens of the streamed answer, which completes by every rule of the wire."""
    script = CALLS + (" <<call nowhere {}>>" if "unknown-tool" in quirks else "")
    asked = {"model": "scripted", "input": f"<<quirk {' '.join(sorted(quirks))}>> {script}", "tools": [LOOK]}
    events = server.events(asked)
    check(events)
    response: dict[str, Any] = events[-1]["response"]
    assert response["status"] == "completed", (quirks, response["error"])
    calls = [(one["name"], one["arguments"]) for one in response["output"] if one["type"] == "function_call"]
    texts = [part["text"] for one in response["output"] if one["type"] == "message" for part in one["content"]]
    return "".join(texts), calls, response["usage"]["input_tokens"]


def _expect(server: Server, quirks: set[str]) -> None:
    text, calls, tokens = _told(server, quirks)
    ending = ",," if "bad-args" in quirks else "}"
    expected = [("look", '{"at": 1' + ending), ("look", '{"at": 2' + ending)]
    if "unknown-tool" in quirks:
        expected.append(("nowhere", "{,," if "bad-args" in quirks else "{}"))
    assert (text, calls) == ("Well.", expected), quirks
    assert (tokens == 0) == ("no-usage" in quirks), quirks


@pytest.mark.parametrize("odd", ODD)
def test_odd_answers_alone_and_in_pairs(odd_server: Server, odd: str) -> None:
    """Malformed arguments and calls of tools not offered reach the client as the model wrote them."""
    _expect(odd_server, {odd})
    for other in (*ODD, *MANNERS):
        _expect(odd_server, {odd, other})


@pytest.mark.parametrize("dialect", ["openai", "open-responses"])
def test_three_at_once(odd_server: Server, dialect: str) -> None:
    """The manners most often seen together, in either dialect."""
    asked = {"model": "scripted", "input": f"<<quirk whole-call index0 no-done finish-stop crlf>> {CALLS}"}
    lines = odd_server.http.post(
        "/v1/responses", json={**asked, "tools": [LOOK], "stream": True}, headers={"openresponses-dialect": dialect}
    ).text.splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    items = check(events, dialect=dialect)
    assert [one["arguments"] for one in items[1:]] == ['{"at": 1}', '{"at": 2}']
