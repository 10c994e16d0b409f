"""Request bodies: every parameter is read, checked, or refused by name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.wire.requests import CreateResponse, Parameters, parse_create, parse_input_tokens

OPTIONAL = [field.encode_name for field in msgspec.structs.fields(Parameters) if field.encode_name != "model"]


def parse(**fields: Any) -> CreateResponse:
    """A small valid request with these fields."""
    return parse_create(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def refused(**fields: Any) -> InvalidRequest:
    """The error that a request with these fields meets."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    return caught.value


@given(st.sets(st.sampled_from([name for name in OPTIONAL if name != "input"])))
def test_null_is_absent(nulls: set[str]) -> None:
    """Any optional parameters sent as null give the same request as when they are not sent."""
    request = parse(**dict.fromkeys(nulls))
    assert all(getattr(request, name) == getattr(parse(), name) for name in OPTIONAL)
    assert nulls <= request.raw.keys(), "that they were sent can still be seen"


@given(
    st.dictionaries(st.text(max_size=6).filter(lambda name: name not in Parameters.__struct_fields__), st.integers())
)
def test_unknown_fields_are_kept_apart(extra: dict[str, int]) -> None:
    """Fields that nobody knows are accepted, whatever their name, and listed in the order in which they were sent."""
    assert list(parse(**extra).unknown.items()) == list(extra.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", 2),
        ("top_p", 0.5),
        ("top_logprobs", 20),
        ("max_output_tokens", 16),
        ("max_tool_calls", 1),
        ("presence_penalty", -2),
        ("frequency_penalty", 2),
        ("metadata", {f"{n}" * 32: "v" * 512 for n in range(10, 26)}),
        ("safety_identifier", "s" * 128),
        ("truncation", "auto"),
        ("store", False),
        ("stream", True),
        ("include", ["reasoning.encrypted_content", "message.output_text.logprobs"]),
        ("parallel_tool_calls", False),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "name": "f"}),
        ("tools", []),
        ("tools", [{"type": "nobody_knows", "x": 1}]),
        ("access_programs", {"cyber": "standard"}),
        ("background", False),
        ("context_management", []),
        ("service_tier", "flex"),
        ("prompt_cache_key", "k"),
        ("prompt_cache_retention", "24h"),
        ("user", "u"),
        ("previous_response_id", "resp_1"),
        ("instructions", "be brief"),
    ],
)
def test_good_values_are_taken(name: str, value: Any) -> None:
    """A value at or within the limits is read as it is."""
    assert getattr(parse(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"temperature": 2.1}, "temperature", "number <= 2.0, got 2.1"),
        ({"temperature": "hot"}, "temperature", 'expected number, got string "hot"'),
        ({"temperature": True}, "temperature", "expected number, got boolean true"),
        ({"top_p": -0.1}, "top_p", ">= 0.0"),
        ({"top_logprobs": 21}, "top_logprobs", "integer <= 20, got 21"),
        ({"max_output_tokens": 15}, "max_output_tokens", "integer >= 16, got 15"),
        ({"max_output_tokens": 16.5}, "max_output_tokens", "expected integer, got number 16.5"),
        ({"max_tool_calls": 0}, "max_tool_calls", ">= 1"),
        ({"presence_penalty": 2.5}, "presence_penalty", "<= 2.0"),
        ({"frequency_penalty": -3}, "frequency_penalty", ">= -2.0"),
        ({"metadata": {"a": "b", "k": 1}}, "metadata.k", "expected string, got integer 1"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "length <= 16"),
        ({"metadata": {"k" * 65: ""}}, "metadata." + "k" * 65, 'length <= 64, got "kkk'),
        ({"metadata": {"k.z": "v" * 513}}, "metadata.k.z", 'length <= 512, got "vvv'),
        ({"safety_identifier": "s" * 129}, "safety_identifier", "length <= 128"),
        ({"truncation": "left"}, "truncation", '"left" is not one of'),
        ({"include": ["everything"]}, "include[0]", '"everything" is not one of'),
        ({"tool_choice": "sometimes"}, "tool_choice", "not one of"),
        ({"tools": {}}, "tools", "expected array, got object"),
        ({"input": 3}, "input", "expected string or array, got integer 3"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": 1}]}]},
            "input[0].content[0].text",
            "got integer",
        ),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", '"xml"'),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", "Missing"),
        ({"text": {"verbosity": "shout"}}, "text.verbosity", '"shout"'),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary", '"long"'),
        ({"stream": "yes"}, "stream", "expected boolean"),
        ({"model": 3}, "model", "expected string"),
    ],
)
def test_bad_values_name_field_and_reason(fields: dict[str, Any], param: str, words: str) -> None:
    """A wrong value is a 400 whose ``param`` is its path and whose message says what was expected and what came."""
    error = refused(**fields)
    assert error.status == 400
    assert error.param == param
    assert words in error.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi"}, "model"),
        ({"model": None, "input": "hi"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": None}, "input"),
        ({}, "model"),
    ],
)
def test_what_is_required(body: dict[str, Any], param: str) -> None:
    """Without a model, and without anything to answer, the request is refused naming what is missing."""
    with pytest.raises(InvalidRequest) as caught:
        parse_create(json.dumps(body).encode())
    assert (caught.value.code, caught.value.param) == ("missing_required_parameter", param)


def test_a_chain_needs_no_input() -> None:
    """A request that continues a response may come without input."""
    assert parse_create(b'{"model": "m", "previous_response_id": "resp_1"}').input_items() == []


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}, {"id": "conv_1", "more": 1}])
def test_a_conversation_in_both_forms(named: Any) -> None:
    """An id or an object with one, and no input is needed beside it."""
    body = json.dumps({"model": "m", "conversation": named}).encode()
    assert parse_create(body).conversation_id == "conv_1"
    assert parse_create(b'{"model": "m", "input": "x", "conversation": null}').conversation_id is None


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"conversation": {}}, "conversation.id", "missing_required_parameter"),
        ({"conversation": {"id": None}}, "conversation.id", "invalid_type"),
        ({"conversation": ["conv_1"]}, "conversation", "invalid_type"),
        ({"conversation": "conv_1", "previous_response_id": "r"}, "conversation", "mutually_exclusive_parameters"),
    ],
)
def test_conversations_that_are_refused(fields: dict[str, Any], param: str, code: str) -> None:
    """A wrong form, or a chain beside it, is a 400 that names the field."""
    error = refused(**fields)
    assert (error.status, error.param, error.code) == (400, param, code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"image": {"context_compression": "enabled"}}, "image.context_compression"),
        ({"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"multi_agent": {"enabled": True}}, "multi_agent"),
        ({"input": [{"role": "user", "content": "x"}, {"type": "compaction_trigger"}]}, "input[1].type"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """A parameter that this server knows and cannot honour is an unsupported_parameter that names it."""
    error = refused(**fields)
    assert isinstance(error, UnsupportedParameter)
    assert (error.param, error.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize(
    "fields",
    [
        {"image": {"context_compression": "auto"}},
        {"image": {}},
        {"prompt_cache_options": {"mode": "implicit", "ttl": "30m", "prewarm": False}},
        {"reasoning": {"mode": "standard", "effort": "xhigh", "summary": None}},
        {"multi_agent": {"enabled": False}},
        {"stream_options": {"include_obfuscation": True}},
        {"text": {}},
        {"text": {"format": None, "verbosity": None}},
    ],
)
def test_harmless_forms_are_accepted(fields: dict[str, Any]) -> None:
    """The default or switched-off form of a parameter that is otherwise refused is accepted."""
    parse(**fields)


def test_items_are_kept_as_sent() -> None:
    """The items for storage are the dicts as sent, unknown fields included, with the type that may be left out."""
    items = [
        {"role": "user", "content": "hi", "vendor": {"a": [1]}},
        {"type": "reasoning", "id": "rs_1", "summary": [], "x": None},
    ]
    assert parse(input=items).input_items() == [{**items[0], "type": "message"}, items[1]]


def test_a_string_is_one_user_message() -> None:
    """A string input is listed as a typed user message."""
    assert parse(input="hi").input_items() == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    ]


def test_counting_reads_what_shapes_the_context() -> None:
    """The body of input_tokens is read without a model, and its other parameters are not looked at."""
    request = parse_input_tokens(b'{"input": "hi", "personality": "friendly", "temperature": 99, "tools": []}')
    assert (request.model, request.input, request.temperature) == ("", "hi", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [(b'{"personality": 3}', "personality"), (b'{"input": 3}', "input"), (b'{"conversation": 3}', "conversation")],
)
def test_counting_checks_too(body: bytes, param: str) -> None:
    """Wrong values are refused when counting as well."""
    with pytest.raises(InvalidRequest) as caught:
        parse_input_tokens(body)
    assert caught.value.param == param


def test_logprobs_are_asked_for_in_two_ways() -> None:
    """Either the include value or a number of alternatives asks for log probabilities; zero does not."""
    assert parse(top_logprobs=1).wants_logprobs
    assert parse(include=["message.output_text.logprobs"]).wants_logprobs
    assert not parse(top_logprobs=0).wants_logprobs
