"""Every back end's own way of saying things comes out as the one dialect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.upstream.quirks import FINISH_REASONS, REASONING_FIELDS, normalise, settle, typed
from antiphon.wire.chat import ChatChunk, Delta

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "reasoning", "image_url"])},
    optional={"text": st.text(max_size=5), "thinking": JSON},
)
FUNCTION = st.fixed_dictionaries(
    {}, optional={"name": st.none() | st.text(max_size=5), "arguments": JSON, "parameters": JSON}
)
CALL = st.fixed_dictionaries(
    {},
    optional={
        "index": st.none() | st.integers(0, 3),
        "id": st.none() | st.text(max_size=5),
        "function": FUNCTION,
        "name": st.text(max_size=5),
        "arguments": JSON,
    },
)
DELTA = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | st.text(max_size=6) | st.lists(PART, max_size=3) | JSON,
        "reasoning": st.none() | st.text(max_size=6) | JSON,
        "reasoning_content": st.none() | st.text(max_size=6),
        "thinking": JSON,
        "refusal": st.none() | st.text(max_size=6),
        "tool_calls": st.none() | st.lists(CALL, max_size=3) | CALL,
        "function_call": FUNCTION,
    },
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 3),
        "delta": st.none() | DELTA,
        "message": DELTA,
        "text": st.text(max_size=5),
        "finish_reason": st.none() | st.sampled_from(list(FINISH_REASONS)) | JSON,
        "logprobs": st.none() | st.fixed_dictionaries({"content": st.lists(st.fixed_dictionaries({}))}) | JSON,
    },
)
CHUNK = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.none() | st.lists(CHOICE, max_size=3) | JSON,
        "usage": st.none() | st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), JSON),
        "service_tier": JSON,
        "error": JSON,
        "object": st.just("chat.completion.chunk"),
    },
)


@given(CHUNK | st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_normalising_twice_is_normalising_once(data: dict[str, Any]) -> None:
    """What is in the dialect stays as it is."""
    once = normalise(data)
    assert normalise(once) == once


@given(CHUNK)
def test_whatever_comes_fits_the_dialect(data: dict[str, Any]) -> None:
    """Every object becomes a chunk: text is text, arguments are text, and no reading raises."""
    chunk = typed(data)
    for choice in chunk.choices or []:
        assert choice.delta is not None
        assert choice.delta.content is None or isinstance(choice.delta.content, str)
        for call in choice.delta.tool_calls or []:
            assert call.function is None or call.function.arguments is None or isinstance(call.function.arguments, str)


@example({"choices": [{"finish_reason": "eos"}]})
@example({"choices": [{"delta": {"tool_calls": [{"name": "look", "arguments": "{}"}]}}]})
@example({"choices": [{"delta": {"tool_calls": [{"function": {"name": "look", "parameters": {"at": 1}}}]}}]})
@given(CHUNK)
def test_the_fast_reading_agrees_with_the_slow_one(data: dict[str, Any]) -> None:
    """Where the typed reading calls itself the whole truth, the slow one says the same.

    But for foreign fields beside known ones, which it does not look for.
    """
    for choice in data["choices"] if isinstance(data.get("choices"), list) else []:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if delta and any(delta.get(k) for k in ("content", "reasoning", "reasoning_content", "refusal", "tool_calls")):
            delta.pop("thinking", None)
            delta.pop("function_call", None)
    payload = msgspec.json.encode(data)
    try:
        chunk = msgspec.json.decode(payload, type=ChatChunk)
    except msgspec.ValidationError:
        return
    if not settle(chunk, payload) or chunk.error:
        return
    slow = typed(msgspec.json.decode(payload))
    assert _said(chunk) == _said(slow)


def _said(chunk: ChatChunk) -> list[Any]:
    out: list[Any] = [chunk.usage]
    for choice in chunk.choices or []:
        delta = choice.delta or Delta()  # a chunk may say why the answer ends, and nothing else
        calls = [
            (c.index, c.id, c.function and (c.function.name, c.function.arguments)) for c in delta.tool_calls or []
        ]
        voices = (delta.content or "", delta.reasoning_content or delta.reasoning or "", delta.refusal or "")
        if any(voices) or calls or choice.finish_reason:
            out.append((*voices, calls, choice.finish_reason))
    return out


def only(data: dict[str, Any]) -> Any:
    choices = typed(data).choices
    assert choices is not None
    return choices[0].delta


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking", "thought"])
def test_reasoning_under_any_name(field: str) -> None:
    """Reasoning arrives whatever the field is called."""
    delta = only({"choices": [{"delta": {field: "hm"}}]})
    assert (delta.reasoning_content, delta.content) == ("hm", None)


def test_the_same_reasoning_under_both_names_is_said_once() -> None:
    """A back end that sends both names does not make the model think twice."""
    payload = b'{"choices":[{"delta":{"reasoning":"a","reasoning_content":"a"}}]}'
    chunk = msgspec.json.decode(payload, type=ChatChunk)
    assert settle(chunk, payload)
    assert chunk.choices is not None
    delta = chunk.choices[0].delta
    assert delta is not None
    assert (delta.reasoning_content, delta.reasoning) == ("a", None)


def test_content_in_parts() -> None:
    """Text parts join to the text; thinking parts, nested lists too, to the reasoning."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "well"}]},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    delta = only({"choices": [{"delta": {"content": parts}}]})
    assert (delta.content, delta.reasoning_content) == ("ab", "well")


@pytest.mark.parametrize(("arguments", "text"), [({"a": [1]}, '{"a":[1]}'), ([], "[]"), ("{}", "{}"), (None, None)])
def test_arguments_become_text(arguments: Any, text: str | None) -> None:
    """Arguments as an object are the JSON of that object."""
    delta = only({"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}}]})
    assert delta.tool_calls[0].function.arguments == text


def test_a_function_call_from_before_tools() -> None:
    """The oldest form of a call is a call."""
    delta = only({"choices": [{"delta": {"function_call": {"name": "f", "arguments": "{}"}}}]})
    assert (delta.tool_calls[0].index, delta.tool_calls[0].function.name) == (0, "f")


@pytest.mark.parametrize(
    ("theirs", "ours"), [("end_turn", "stop"), ("max_tokens", "length"), ("", None), ("odd", "odd")]
)
def test_finish_reasons_of_other_tongues(theirs: str, ours: str | None) -> None:
    """Known foreign reasons are translated, unknown ones kept, on both ways of reading."""
    payload = msgspec.json.encode({"choices": [{"delta": {"content": "x"}, "finish_reason": theirs}]})
    chunk = msgspec.json.decode(payload, type=ChatChunk)
    assert settle(chunk, payload)
    slow = typed(msgspec.json.decode(payload))
    assert chunk.choices is not None
    assert slow.choices is not None
    assert chunk.choices[0].finish_reason == slow.choices[0].finish_reason == ours


def test_usage_in_odd_numbers() -> None:
    """Numbers that are floats count; what is no number does not."""
    usage = typed(
        {"choices": [], "usage": {"prompt_tokens": 3.0, "completion_tokens": "x", "total_tokens": True}}
    ).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, None, None)


@pytest.mark.parametrize(
    "data",
    [
        {"error": {"message": "no"}},
        {"error": "no"},
        {"object": "error", "message": "no", "code": 400},
        {"message": "no", "type": "server_error", "code": "x"},
        {"detail": "no"},
        [{"error": {"message": "no"}}],
    ],
)
def test_errors_in_every_place(data: Any) -> None:
    """An error object is found wherever a back end puts it, also by the typed reading's own doubt."""
    assert "no" in str(normalise(data)["error"])
    payload = msgspec.json.encode(data)
    try:
        chunk = msgspec.json.decode(payload, type=ChatChunk)
    except msgspec.ValidationError:
        return
    assert chunk.error or not settle(chunk, payload)


@pytest.mark.parametrize("data", [1, "x", None, [], [1, 2]])
def test_what_is_no_object_is_no_chunk(data: Any) -> None:
    """Nonsense raises."""
    with pytest.raises(msgspec.ValidationError):
        typed(data)


@pytest.mark.parametrize(
    "choice",
    [
        *({"delta": {name: "hm"}} for name in (*REASONING_FIELDS, "function_call")),
        {"delta": None, "message": {"content": "hm"}},
        {"text": "hm"},
    ],
)
def test_what_the_dialect_does_not_know_is_looked_at(choice: dict[str, Any]) -> None:
    """Every foreign field of a chunk that seems to say nothing sends it the slow way."""
    payload = msgspec.json.encode({"choices": [choice]})
    assert not settle(msgspec.json.decode(payload, type=ChatChunk), payload)


@pytest.mark.parametrize("delta", [{}, None])
def test_an_error_object_with_choices_is_one(delta: Any) -> None:
    """A chunk that calls itself an error is looked at, whatever it has beside; one whose model is so called is not."""
    for name, is_error in (("object", True), ("model", False)):
        payload = msgspec.json.encode({name: "error", "choices": [{"delta": delta}]})
        assert settle(msgspec.json.decode(payload, type=ChatChunk), payload) is not is_error
