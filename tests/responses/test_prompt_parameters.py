"""Each parameter of a request, and what of it the model is asked."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.config import UpstreamConfig
from antiphon.responses.prompt import render
from antiphon.responses.toolbox import Toolbox
from antiphon.wire.parameters import FORWARDED
from antiphon.wire.requests import read_create

BASE = {
    "model": "up",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": ["string", "null"], "default": None}}}


def chat(config: dict[str, Any] | None = None, how: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """What the request asks the model beyond the least."""
    request = read_create({"model": "m", "input": "hi", **fields})
    toolbox = Toolbox.of(request.tools, request.tool_choice, request.parallel_tool_calls)
    asked = render(request, toolbox, UpstreamConfig(url="http://x/v1", **(config or {})), "up", **(how or {}))
    assert BASE.items() <= {**asked, "messages": BASE["messages"]}.items()
    assert isinstance(asked["messages"], list)
    return {key: value for key, value in asked.items() if key not in BASE}


def test_the_least_request() -> None:
    """A request without parameters asks for nothing but a stream with usage."""
    assert chat() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("top_p", 0.5),
        ("presence_penalty", 1.5),
        ("frequency_penalty", -1.0),
        ("service_tier", "flex"),
        ("prompt_cache_key", "k"),
        ("prompt_cache_retention", "24h"),
        ("safety_identifier", "s"),
        ("user", "u"),
    ],
)
def test_forwarded_as_they_are(name: str, value: Any) -> None:
    """These go to the model under their own name, when given."""
    assert chat(**{name: value}) == {name: value}
    assert chat(**{name: None}) == {}


def test_every_forwarded_parameter_is_tested() -> None:
    """The table forwards nothing that the tests here do not know."""
    tested = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "service_tier", "prompt_cache_key"}
    tested |= {"prompt_cache_retention", "safety_identifier", "user", "top_logprobs"}
    assert {name for name, _ in FORWARDED} == tested


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"max_output_tokens": 20}, {"max_completion_tokens": 20}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": "auto"}}, {}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": None}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
        ),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, "description": "d"}
                }
            },
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "description": "d", "strict": True},
                }
            },
        ),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 0}, {}),
        ({"top_logprobs": 0, "include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"tools": [], "parallel_tool_calls": False, "tool_choice": "auto"}, {}),
        ({"store": True, "metadata": {"a": "b"}, "truncation": "auto", "max_tool_calls": 3, "stream": False}, {}),
        ({"prompt_cache_options": {"mode": "explicit"}, "access_programs": {"cyber": "standard"}}, {}),
        ({"vendor_field": 1}, {}),
    ],
)
def test_what_is_asked(fields: dict[str, Any], asked: dict[str, Any]) -> None:
    """These are asked under Chat Completions' names, and what is ours stays here."""
    assert chat(**fields) == asked


def test_settings_of_the_back_end() -> None:
    """The name of the token limit, and whether unknown fields go on, are settings of the upstream."""
    config = {"max_tokens_field": "max_tokens", "forward_unknown": True}
    fields = {"max_output_tokens": 20, "top_k": 5, "seed": None, "messages": "mine", "stream_options": {}}
    assert chat(config, **fields) == {"max_tokens": 20, "top_k": 5}


def test_what_is_left_of_the_limit() -> None:
    """A later model call of the same response gets what is left of max_output_tokens."""
    assert chat(how={"max_output_tokens": 7}, max_output_tokens=20) == {"max_completion_tokens": 7}


def test_tools_of_later_rounds() -> None:
    """A forced choice is not repeated after the first model call."""
    tools = [{"type": "function", "name": "f"}]
    shown = {"tools": [{"type": "function", "function": {"name": "f"}}], "parallel_tool_calls": True}
    assert chat(tools=tools, tool_choice="required") == {**shown, "tool_choice": "required"}
    assert chat(how={"first_round": False}, tools=tools, tool_choice="required") == shown


def test_configuration_updates() -> None:
    """Items may change effort and format; the last one that names a setting wins."""
    user = {"role": "user", "content": "hi"}
    first = {
        "type": "configuration_update",
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
    }
    last = {"type": "configuration_update", "reasoning": {"effort": "high"}, "text": None}
    empty = {"type": "configuration_update"}
    asked = chat(input=[first, user, last, empty], reasoning={"effort": "minimal"})
    assert asked == {"reasoning_effort": "high", "response_format": {"type": "json_object"}}


def test_what_this_response_has_produced() -> None:
    """Items of earlier rounds of the same response come after the input."""
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    }
    output = {"type": "function_call_output", "call_id": "c", "output": "x"}
    request = read_create({"model": "m", "input": "hi"})
    config = UpstreamConfig(url="http://x/v1")
    asked = render(request, Toolbox.of(None), config, "up", produced=[call, output], first_round=False)
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "tool"]
