"""A conversation that does not fit: refused by name, or shortened where the client allows it."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.behaviour.hosts import Hosts
from tests.behaviour.wire import Json
from tests.responses import strict
from tests.server import Server
from tests.upstreams import FakeBackend

#: What vendors answer to a prompt that is too long: status and body.
REFUSALS: dict[str, tuple[int, Json]] = {
    "openai": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 4096 tokens. However, your messages resulted in "
                "9000 tokens. Please reduce the length of the messages.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),
    "vllm": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "llama.cpp": (
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_ctx": 4096,
            }
        },
    ),
    "ollama": (500, {"error": {"message": "input length exceeds the context length", "type": "api_error"}}),
    "groq": (
        413,
        {"error": {"message": "Please reduce the length of the messages or completion.", "code": "too_large"}},
    ),
    "tgi": (
        422,
        {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000", "error_type": "validation"},
    ),
}


def talk(turns: int, size: int = 40) -> list[Json]:
    """A conversation of so many turns, each with a call and its output, and a last question."""
    items: list[Json] = []
    for n in range(turns):
        items += [
            {"role": "user", "content": f"question {n} " + "x" * size},
            {"type": "function_call", "call_id": f"call_{n}", "name": "look", "arguments": f'{{"n": {n}}}'},
            {"type": "function_call_output", "call_id": f"call_{n}", "output": f"found {n} " + "y" * size},
            {"role": "assistant", "content": f"answer {n} " + "z" * size},
        ]
    return [*items, {"role": "user", "content": "the last question"}]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("vendor", REFUSALS)
def test_disabled(server: Server, backend: FakeBackend, vendor: str, streamed: bool) -> None:
    """However a vendor says it: 400 ``context_length_exceeded``, before the stream, and the model is asked once."""
    status, body = REFUSALS[vendor]
    backend.refuse(status, body)
    with pytest.raises(openai.BadRequestError) as caught:
        server.client.responses.create(model="m", input=talk(3), stream=streamed)  # type: ignore[arg-type, call-overload]
    assert caught.value.code == "context_length_exceeded"
    assert len(backend.calls) == 1


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("vendor", ["ollama", "groq"])
def test_auto_without_a_number(server: Server, backend: FakeBackend, vendor: str, streamed: bool) -> None:
    """Where the refusal names no limit the oldest turn goes each time, with its call and the call's output."""
    status, body = REFUSALS[vendor]
    for _ in range(2):
        backend.refuse(status, body)
    response = done(server, talk(4), stream=streamed)
    assert response["status"] == "completed"
    assert response["truncation"] == "auto"
    first, second, third = (request["messages"] for request in backend.requests)
    assert "question 0" in first[0]["content"]
    assert "question 1" in second[0]["content"]
    assert "question 2" in third[0]["content"]
    for request in backend.requests:
        strict.check(request)
        assert request["messages"][-1]["content"] == "the last question"


@pytest.mark.parametrize("vendor", ["openai", "vllm", "llama.cpp", "tgi"])
def test_auto_with_a_number(hosts: Hosts, backend: FakeBackend, vendor: str) -> None:
    """Where it names the limit, as much goes at once as it takes."""
    server = hosts()
    status, body = REFUSALS[vendor]
    backend.refuse(status, body)
    assert done(server, talk(40, size=500))["status"] == "completed"
    assert len(backend.calls) == 2
    strict.check(backend.last)
    dropped = len(backend.requests[0]["messages"]) - len(backend.last["messages"])
    assert dropped > 8 * 4
    assert backend.last["messages"][-1]["content"] == "the last question"


def test_three_retries(server: Server, backend: FakeBackend) -> None:
    """Then the refusal stands."""
    for _ in range(5):
        backend.refuse(*REFUSALS["ollama"])
    with pytest.raises(openai.BadRequestError) as caught:
        server.client.responses.create(model="m", input=talk(9), truncation="auto")  # type: ignore[arg-type]
    assert caught.value.code == "context_length_exceeded"
    assert len(backend.calls) == 4
    for request in backend.requests:
        strict.check(request)


def test_instructions_and_the_last_message_stay(server: Server, backend: FakeBackend) -> None:
    """Nothing is dropped but old turns; with none left the refusal stands."""
    for _ in range(5):
        backend.refuse(*REFUSALS["ollama"])
    with pytest.raises(openai.BadRequestError):
        server.client.responses.create(
            model="m",
            instructions="be brief",
            input=[{"role": "system", "content": "rules"}, *talk(1)],  # type: ignore[list-item]
            truncation="auto",
        )
    for request in backend.requests:
        strict.check(request)
        contents = [message.get("content") for message in request["messages"]]
        assert {"be brief", "rules", "the last question"} <= set(contents)
    assert 1 < len(backend.calls) <= 4


def test_a_chain(server: Server, backend: FakeBackend) -> None:
    """What was said in earlier responses is dropped for the model, and stays in the chain."""
    first = done(server, talk(2))
    second = done(server, "and then?", previous_response_id=first["id"])
    backend.refuse(*REFUSALS["groq"])
    third = done(server, "and now?", previous_response_id=second["id"])
    assert third["status"] == "completed"
    refused, shorter = (request["messages"] for request in backend.requests[-2:])
    assert len(shorter) < len(refused)
    fourth = done(server, "all of it?", previous_response_id=third["id"])
    assert fourth["status"] == "completed"
    assert backend.last["messages"][: len(refused)] == refused


def test_while_a_window_is_known(hosts: Hosts, backend: FakeBackend) -> None:
    """A configured limit is used as well when the refusal names none."""
    server = hosts(upstream={"context_window": {"*": 1000}})
    backend.refuse(*REFUSALS["ollama"])
    assert done(server, talk(40, size=200))["status"] == "completed"
    assert len(backend.calls) == 2


def done(server: Server, input: Any, **more: Any) -> Json:  # noqa: A002 - the API's word
    """The whole Response, shortened where it must be."""
    body = {"model": "m", "input": input, "truncation": "auto", **more}
    if body.get("stream"):
        found: Json = server.events(body)[-1]["response"]
        return found
    found = server.http.post("/v1/responses", json=body).raise_for_status().json()
    assert found["id"]
    return found
