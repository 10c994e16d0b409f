"""Open Responses' form where it differs from OpenAI's: chosen per request or by configuration, and kept for good."""

from __future__ import annotations

import pytest

from tests.behaviour.hosts import Hosts
from tests.behaviour.wire import Caller, Json
from tests.responses import grammar
from tests.server import Server
from tests.upstreams import Break, FakeBackend, delta, text, usage

HEADER = "OpenResponses-Dialect: 2026-04-24\r\n"
THEIRS = {"response.reasoning.delta", "response.reasoning.done"}
OURS = {"response.reasoning_text.delta", "response.reasoning_text.done"}

NEVER_NULL = [
    "id",
    "object",
    "created_at",
    "status",
    "model",
    "output",
    "tools",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "store",
    "background",
    "service_tier",
    "metadata",
]
MAY_BE_NULL = [
    "completed_at",
    "incomplete_details",
    "previous_response_id",
    "instructions",
    "error",
    "reasoning",
    "usage",
    "max_output_tokens",
    "max_tool_calls",
    "safety_identifier",
    "prompt_cache_key",
]


def ask(root: str, more: str = "", **body: object) -> list[Json]:
    """The events of a streamed response whose request has these headers."""
    content: Json = {"model": "m", "input": "hi", "stream": True, **body}
    with Caller(root).send("POST", "/v1/responses", content, more=more) as caller:
        return list(caller.events())


def kinds(events: list[Json]) -> set[str]:
    return {event["type"] for event in events}


def thinks(backend: FakeBackend) -> None:
    backend.answer(delta(reasoning_content="let me "), delta(reasoning_content="see"), *text("ok"))


@pytest.mark.parametrize(
    ("configured", "header", "theirs"),
    [
        ("openai", "", False),
        ("openai", HEADER, True),
        ("openai", HEADER.lower(), True),
        ("open-responses", "", True),
        ("open-responses", "OpenResponses-Dialect: openai\r\n", False),
        ("open-responses", "OpenResponses-Dialect: OpenAI\r\n", False),
    ],
)
def test_chosen_once(hosts: Hosts, backend: FakeBackend, configured: str, header: str, theirs: bool) -> None:
    """The header wins over the configuration; the form is fixed when the response is made, and a replay keeps it."""
    server = hosts(responses={"dialect": configured})
    thinks(backend)
    events = ask(server.root, header)
    assert kinds(events) >= THEIRS if theirs else not THEIRS & kinds(events)
    assert not OURS & kinds(events) if theirs else kinds(events) >= OURS
    grammar.check(events, dialect="open-responses" if theirs else "openai")
    path = f"/v1/responses/{events[0]['response']['id']}?stream=true"
    for other in ("", HEADER, "OpenResponses-Dialect: openai\r\n"):
        with Caller(server.root).send("GET", path, more=other) as caller:
            assert list(caller.events()) == events


def test_every_key_is_there(server: Server, backend: FakeBackend) -> None:
    """The strict reading of the specification, on every Response of a stream and of its end."""
    thinks(backend)
    tool: Json = {"type": "function", "name": "look"}
    events = ask(server.root, HEADER, tools=[tool], reasoning={"effort": "low"})
    for event in events:
        if "response" not in event:
            continue
        response = event["response"]
        assert [key for key in NEVER_NULL if response.get(key) is None] == []
        assert [key for key in MAY_BE_NULL if key not in response] == []
        assert response["tools"] == [{**tool, "description": None, "parameters": None, "strict": None}]
        assert set(response["reasoning"]) >= {"effort", "summary"}
        assert response["text"]["format"] == {"type": "text"}
    last = events[-1]["response"]
    assert {"input_tokens_details", "output_tokens_details"} <= set(last["usage"])
    for item in last["output"]:
        assert {"id", "status", "type"} <= set(item)
        assert None not in item.values()
    assert all(part["annotations"] == [] for part in last["output"][-1]["content"])


def test_errors(server: Server, backend: FakeBackend) -> None:
    """The error event has the nested form that the specification wants, beside OpenAI's flat one."""
    backend.answer(delta(content="half"), Break())
    events = ask(server.root, HEADER)
    grammar.check(events, dialect="open-responses")
    error = events[-2]
    assert set(error["error"]) >= {"type", "code", "message", "param"}
    assert (error["message"], error["code"]) == (error["error"]["message"], error["error"]["code"])


def test_the_response_is_the_same(server: Server, backend: FakeBackend) -> None:
    """Only events differ: the Response itself and its input are read alike in both."""
    found = []
    for header in ("", HEADER):
        backend.answer(delta(reasoning_content="hm"), *text("ok"), usage())
        response = ask(server.root, header)[-1]["response"]
        assert server.ended(response["id"]) == response
        found.append({key: value for key, value in response.items() if key not in ("id", "created_at", "completed_at")})
        for item in found[-1]["output"]:
            del item["id"]
    assert found[0] == found[1]
