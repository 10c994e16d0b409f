"""Every key of OpenAI's Response and of Open Responses' is on every Response we show, in the types both want."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.api.talk import live
from tests.server import Server
from tests.upstreams import Break, FakeBackend, Gate, delta, text

KEYS = frozenset(
    [
        "id",
        "access_programs",
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "object",
        "output",
        "parallel_tool_calls",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "background",
        "completed_at",
        "conversation",
        "image",
        "input_transformations",
        "max_output_tokens",
        "max_tool_calls",
        "moderation",
        "previous_response_id",
        "prompt",
        "prompt_cache_diagnostics",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "status",
        "text",
        "tool_usage",
        "top_logprobs",
        "truncation",
        "usage",
        "user",
        "store",
        "presence_penalty",
        "frequency_penalty",
    ]
)

#: What Open Responses does not allow to be null, and the JSON type it wants.
NEVER_NULL: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "object": str,
    "created_at": int,
    "status": str,
    "model": str,
    "output": list,
    "tools": list,
    "tool_choice": (str, dict),
    "truncation": str,
    "parallel_tool_calls": bool,
    "text": dict,
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "top_logprobs": int,
    "temperature": (int, float),
    "store": bool,
    "background": bool,
    "service_tier": str,
}


def check(response: dict[str, Any], status: str) -> None:
    """All keys, never null where that breaks a client, usage exactly when it has ended."""
    assert set(response) == KEYS
    assert response["status"] == status
    assert response["object"] == "response"
    for key, kind in NEVER_NULL.items():
        assert isinstance(response[key], kind), key
    assert "format" in response["text"]
    assert {"effort", "summary"} <= set(response["reasoning"])
    assert (response["completed_at"] is not None) == (status == "completed")
    assert (response["error"] is not None) == (status == "failed")
    assert (response["incomplete_details"] is not None) == (status == "incomplete")
    usage = response["usage"]
    if status == "in_progress":
        assert usage is None
        return
    assert set(usage) == {
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "output_tokens_details",
        "total_tokens",
    }
    assert set(usage["input_tokens_details"]) == {"cached_tokens", "cache_write_tokens"}
    assert set(usage["output_tokens_details"]) == {"reasoning_tokens"}


SCRIPTS: dict[str, list[Any]] = {
    "completed": text("ok"),
    "incomplete": text("half", finish="length"),
    "failed": [delta(content="half"), Break()],
}


@pytest.mark.parametrize("status", SCRIPTS)
def test_every_key_on_every_response(server: Server, backend: FakeBackend, status: str) -> None:
    """On the JSON answer, on each event that carries a Response, and on what GET gives afterwards."""
    backend.answer(*SCRIPTS[status])
    whole = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()
    check(whole, status)
    assert server.http.get(f"/v1/responses/{whole['id']}").json() == whole
    backend.answer(*SCRIPTS[status])
    events = server.events({"model": "m", "input": "hi"})
    told = [(event["type"], event["response"]) for event in events if "response" in event]
    assert [kind for kind, _ in told] == ["response.created", "response.in_progress", f"response.{status}"]
    for kind, response in told:
        check(response, status if kind.endswith(status) else "in_progress")
    assert server.http.get(f"/v1/responses/{told[0][1]['id']}").json() == told[-1][1]


def test_while_it_runs(server: Server, client: openai.OpenAI, backend: FakeBackend) -> None:
    """GET in the middle gives every key, and the item as far as it is known."""
    gate = Gate()
    backend.answer(delta(content="half"), gate, *text("way"))
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
        response = server.http.get(f"/v1/responses/{created.response.id}").json()
        check(response, "in_progress")
        gate.open()
        last = list(events)[-1]
    assert last.response.output_text == "halfway"


def test_cancelled(server: Server, client: openai.OpenAI, backend: FakeBackend) -> None:
    """What a hang-up left has every key too."""
    gate = Gate()
    backend.answer(delta(content="half"), gate)
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
    assert backend.call().gone.wait(5)
    response = server.ended(created.response.id)
    check(response, "cancelled")
    assert response["output"][0]["status"] == "incomplete"
    assert response["output"][0]["content"][0]["text"] == "half"


def test_usage_is_the_back_ends(server: Server, backend: FakeBackend) -> None:
    """Details are taken over; a back end that does not count gives zeros, not null."""
    details = {
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    backend.answer(*text("ok", details=details))
    usage = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()["usage"]
    assert usage == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 1},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 10,
    }
    backend.answer(delta(content="ok"), delta("stop"))
    usage = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()["usage"]
    assert usage["total_tokens"] == 0
