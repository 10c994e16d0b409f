"""The shape of answers: what differs from run to run is no drift, and what a client could trip over is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.model import HttpResponse, ToolFailure, ToolResponse
from antiphon.tape.shape import MOST, compare

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def whole(value: Any, status: int = 200, **more: Any) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(status, (("Content-Type", "application/json"),), (json.dumps(value).encode(),), **more)


def stream(*events: Any, done: bool = True, **more: Any) -> HttpResponse:
    """An event stream, an event a read."""
    reads = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    kind = (("content-type", "text/event-stream; charset=utf-8"),)
    return HttpResponse(200, kind, (*reads, *([b"data: [DONE]\n\n"] if done else [])), **more)


def chat(text: str = "hello", finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion."""
    told = {"role": "assistant", "content": text, "refusal": None, **message}
    usage = {"prompt_tokens": len(text), "total_tokens": 9}
    choice = {"index": 0, "message": told, "finish_reason": finish}
    return {"id": f"c{len(text)}", "object": "chat.completion", "choices": [choice], "usage": usage}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of one."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}


def call(index: int, name: str | None, arguments: str) -> dict[str, Any]:
    """A chunk with a piece of a tool call."""
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chunk(tool_calls=[{"index": index, "function": function}])


@given(_JSON)
def test_an_answer_has_its_own_shape(value: Any) -> None:
    """Nothing differs from itself, whatever it is."""
    assert compare(whole(value), whole(value)) == []
    assert compare(ToolResponse(value), ToolResponse(value)) == []


@given(_JSON, _JSON)
def test_drift_goes_both_ways(one: Any, other: Any) -> None:
    """When one differs from the other, the other differs from the one."""
    assert bool(compare(whole(one), whole(other))) == bool(compare(whole(other), whole(one)))


def test_words_counts_and_nulls_are_no_drift() -> None:
    """Other words, other ids, more chunks and fields that are null or empty keep the shape."""
    assert compare(whole(chat("a", refusal=None)), whole(chat("quite another", refusal="no"))) == []
    short = stream(chunk(content="hi"), chunk("stop"))
    long = stream(*(chunk(content=f"w{n}") for n in range(30)), chunk("stop"))
    assert compare(short, long) == []
    assert compare(whole({"a": 1, "b": None}), whole({"a": 2.5})) == []


@pytest.mark.parametrize(
    ("recorded", "live", "said"),
    [
        (whole(chat()), whole({"error": {}}, 500), "status: 200 became 500"),
        (whole(chat()), whole(chat(finish="length")), "finish reason: stop became length"),
        (whole({"a": "1"}), whole({"a": 1}), "$.a: string became number"),
        (whole({"a": {"b": 1}}), whole({"a": {}}), "$.a.b: is missing"),
        (whole({"a": [{"b": 1}]}), whole({"a": [{"b": 1, "c": 2}]}), "$.a[*].c: is new"),
        (stream(chunk(content="x"), chunk("stop")), stream(chunk(content="x")), "finish reason: stop became none"),
        (stream(chunk("stop")), stream(chunk("stop"), done=False), "${[DONE]}: no such event any more"),
        (stream(chunk("stop")), stream(chunk("stop"), end="reset"), "end: complete became reset"),
        (whole(chat()), stream(chunk("stop")), "content-type: application/json became text/event-stream"),
        (whole({"embedding": [0.1] * 8}), whole({"embedding": [0.1] * 4}), "$.embedding length: 8 became 4"),
        (ToolResponse("x"), ToolResponse(error=ToolFailure("E", "")), "error: None became E"),
        (ToolResponse([1]), ToolResponse({"a": 1}), "$: list became object"),
    ],
)
def test_what_a_client_could_trip_over_is_drift(recorded: Any, live: Any, said: str) -> None:
    """Each kind of drift is said in one sentence that names the place."""
    assert said in compare(recorded, live)


def test_tool_calls_are_compared_by_name_and_arguments() -> None:
    """The pieces of a streamed call are put together: other values are the same call, other names are not."""
    recorded = stream(call(0, "look", ""), call(0, None, '{"ci'), call(0, None, 'ty": "Rome"}'), chunk("tool_calls"))
    same = stream(call(0, "look", '{"city": "Oslo"}'), chunk("tool_calls"))
    other = stream(call(0, "look", '{"town": "Oslo"}'), chunk("tool_calls"))
    two = stream(call(0, "look", '{"city": "Oslo"}'), call(1, "go", "{}"), chunk("tool_calls"))
    assert compare(recorded, same) == []
    assert compare(recorded, other) == ["tool calls: look(city) became look(town)"]
    assert "tool calls: look(city) became look(city), go()" in compare(recorded, two)


def test_responses_events_are_compared_kind_by_kind() -> None:
    """The events of the Responses API are told apart by type; a call counts once, however often it is said."""
    item = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"city": 1}'}
    begun = {"type": "response.output_item.added", "item": {**item, "arguments": ""}}
    done = {"type": "response.output_item.done", "item": item}
    assert compare(stream(begun, done), stream(begun, done)) == []
    assert compare(stream(begun, done), stream(done)) == ["${response.output_item.added}: no such event any more"]
    assert "${response.output_item.done}: no such event any more" in compare(stream(begun, done), stream(begun))


def test_one_big_change_is_not_a_flood() -> None:
    """The sentences are bounded."""
    found = compare(whole({f"k{n}": 1 for n in range(500)}), whole({}))
    assert len(found) == MOST + 1
    assert found[-1] == f"and {500 - MOST} more differences"
