"""Every event that this server emits, seen through the SDK's stream: its type, its fields, its place in the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openai
import pytest
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseCustomToolCallInputDeltaEvent,
    ResponseCustomToolCallInputDoneEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseInProgressEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseReasoningSummaryPartAddedEvent,
    ResponseReasoningSummaryPartDoneEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningSummaryTextDoneEvent,
    ResponseReasoningTextDeltaEvent,
    ResponseReasoningTextDoneEvent,
    ResponseRefusalDeltaEvent,
    ResponseRefusalDoneEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)

from tests.api.talk import again, dump, live, stream, types
from tests.server import Server
from tests.upstreams import Break, FakeBackend, Gate, delta, text, tool_calls, usage

covers = pytest.mark.covers

OPENING = ["response.created", "response.in_progress"]
ADDED = "response.output_item.added"
DONE = "response.output_item.done"
PART_ADDED = "response.content_part.added"
PART_DONE = "response.content_part.done"


def check(events: Sequence[Any]) -> None:
    """What holds in every stream: numbers without a gap, one id, and the last event's Response has every item."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
    done = [dump(event.item) for event in events if event.type == DONE]
    assert [event.output_index for event in events if event.type == DONE] == list(range(len(done)))
    assert dump(events[-1].response)["output"] == done


def classes(events: Sequence[Any]) -> list[type[Any]]:
    """The SDK's types, the opening left out."""
    return [type(event) for event in events[2:]]


@covers(
    "endpoint:POST /v1/responses",
    "event:response.created",
    "event:response.in_progress",
    "event:response.completed",
    "event:response.output_item.added",
    "event:response.output_item.done",
    "event:response.content_part.added",
    "event:response.content_part.done",
    "event:response.output_text.delta",
    "event:response.output_text.done",
)
def test_text(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A message from its announcement to its end, each event complete in itself."""
    backend.answer(*text("Hel", "lo"))
    events = stream(client)
    check(events)
    assert [type(event) for event in events] == [
        ResponseCreatedEvent,
        ResponseInProgressEvent,
        ResponseOutputItemAddedEvent,
        ResponseContentPartAddedEvent,
        ResponseTextDeltaEvent,
        ResponseTextDeltaEvent,
        ResponseTextDoneEvent,
        ResponseContentPartDoneEvent,
        ResponseOutputItemDoneEvent,
        ResponseCompletedEvent,
    ]
    item_id = events[2].item.id
    place = {"item_id": item_id, "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    message = {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": [part]}
    assert [bare(event) for event in events[2:9]] == [
        {"output_index": 0, "item": {**message, "status": "in_progress", "content": []}},
        {**place, "part": {**part, "text": ""}},
        {**place, "delta": "Hel", "logprobs": []},
        {**place, "delta": "lo", "logprobs": []},
        {**place, "text": "Hello", "logprobs": []},
        {**place, "part": part},
        {"output_index": 0, "item": message},
    ]
    statuses = [event.response.status for event in (events[0], events[1], events[-1])]
    assert statuses == ["in_progress", "in_progress", "completed"]
    assert events[0].response.output == []


def bare(event: Any) -> dict[str, Any]:
    """The payload: without ``type`` and ``sequence_number``."""
    return {key: value for key, value in dump(event).items() if key not in ("type", "sequence_number")}


@covers("event:response.refusal.delta", "event:response.refusal.done")
def test_refusal(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A refusal is a part of a message, of its own kind."""
    backend.answer(delta(refusal="I will"), delta(refusal=" not."), delta("stop"), usage())
    events = stream(client)
    check(events)
    assert types(events)[2:4] == [ADDED, PART_ADDED]
    assert classes(events)[2:5] == [ResponseRefusalDeltaEvent, ResponseRefusalDeltaEvent, ResponseRefusalDoneEvent]
    assert types(events)[7:] == [PART_DONE, DONE, "response.completed"]
    assert events[6].refusal == "I will not."
    assert dump(events[-1].response)["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not."}]


@covers("event:response.reasoning_text.delta", "event:response.reasoning_text.done")
@pytest.mark.parametrize(
    "thought",
    [
        [delta(reasoning_content="Hm"), delta(reasoning_content=".")],
        [delta(reasoning="Hm"), delta(reasoning=".")],
        [delta(content="<thi"), delta(content="nk>Hm"), delta(content=".</think>")],
    ],
    ids=["reasoning_content", "reasoning", "tags"],
)
def test_reasoning_text(client: openai.OpenAI, backend: FakeBackend, thought: list[Any]) -> None:
    """Raw thoughts are an item before the message, however the back end writes them."""
    backend.answer(*thought, *text("ok"))
    events = stream(client)
    check(events)
    kinds = classes(events)
    assert kinds[:2] == [ResponseOutputItemAddedEvent, ResponseContentPartAddedEvent]
    assert kinds[2:5] == [
        ResponseReasoningTextDeltaEvent,
        ResponseReasoningTextDeltaEvent,
        ResponseReasoningTextDoneEvent,
    ]
    assert types(events)[7:9] == [PART_DONE, DONE]
    assert dump(events[2].item)["summary"] == []
    assert dump(events[3].part) == {"type": "reasoning_text", "text": ""}
    assert events[6].text == "Hm."
    assert [item.type for item in events[-1].response.output] == ["reasoning", "message"]


@covers(
    "event:response.reasoning_summary_part.added",
    "event:response.reasoning_summary_part.done",
    "event:response.reasoning_summary_text.delta",
    "event:response.reasoning_summary_text.done",
)
def test_reasoning_summary(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Asked for a summary, the thoughts come as one, in its own events."""
    backend.answer(delta(reasoning_content="Hm."), *text("ok"))
    events = stream(client, reasoning={"summary": "detailed"})
    check(events)
    assert classes(events)[:6] == [
        ResponseOutputItemAddedEvent,
        ResponseReasoningSummaryPartAddedEvent,
        ResponseReasoningSummaryTextDeltaEvent,
        ResponseReasoningSummaryTextDoneEvent,
        ResponseReasoningSummaryPartDoneEvent,
        ResponseOutputItemDoneEvent,
    ]
    assert [event.summary_index for event in events[3:7]] == [0, 0, 0, 0]
    assert dump(events[7].item)["summary"] == [{"type": "summary_text", "text": "Hm."}]


@covers("event:response.function_call_arguments.delta", "event:response.function_call_arguments.done")
def test_function_calls(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Parallel calls come one after the other; each is announced with its id and name and empty arguments."""
    backend.answer(*tool_calls(("c1", "look", '{"at":1}'), ("c2", "look", '{"at":2}')))
    events = stream(client, tools=[{"type": "function", "name": "look"}])
    check(events)
    one = [ADDED, *["response.function_call_arguments.delta"] * 2, "response.function_call_arguments.done", DONE]
    assert types(events) == [*OPENING, *one, *one, "response.completed"]
    assert classes(events)[1] is ResponseFunctionCallArgumentsDeltaEvent
    assert classes(events)[3] is ResponseFunctionCallArgumentsDoneEvent
    announced = dump(events[2].item)
    assert announced.pop("id") == events[3].item_id
    empty = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "", "status": "in_progress"}
    assert announced == empty
    assert events[3].delta + events[4].delta == events[5].arguments == '{"at":1}'
    assert dump(events[5])["name"] == "look", "older clients read it here"
    assert [item.call_id for item in events[-1].response.output] == ["c1", "c2"]


@covers("event:response.custom_tool_call_input.delta", "event:response.custom_tool_call_input.done")
def test_custom_tool_call(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The model writes JSON with one string; the client sees the text alone, as it grows."""
    pieces = ['{"inp', 'ut": "*** a\\', "n*** \\u00e9", '"}']
    chunks = [tool_calls(("c1", "patch", ""))[0]]
    chunks += [delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces]
    backend.answer(*chunks, delta("tool_calls"), usage())
    events = stream(client, tools=[{"type": "custom", "name": "patch"}])
    check(events)
    kinds = classes(events)
    deltas = [event.delta for event in events if isinstance(event, ResponseCustomToolCallInputDeltaEvent)]
    assert kinds[0] is ResponseOutputItemAddedEvent
    assert dump(events[2].item)["input"] == ""
    assert kinds[-3:] == [ResponseCustomToolCallInputDoneEvent, ResponseOutputItemDoneEvent, ResponseCompletedEvent]
    assert len(deltas) > 1
    assert "".join(deltas) == events[-3].input == events[-2].item.input == "*** a\n*** é"
    assert events[-2].item.type == "custom_tool_call"


@covers("event:response.incomplete")
@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_incomplete(client: openai.OpenAI, backend: FakeBackend, finish: str, reason: str) -> None:
    """A model that had to stop: the item is closed as incomplete, the reason is told, usage is there."""
    backend.answer(*text("half", finish=finish))
    events = stream(client)
    check(events)
    end = events[-1]
    assert end.type == "response.incomplete"
    assert (end.response.status, end.response.incomplete_details.reason) == ("incomplete", reason)
    assert end.response.output[0].status == "incomplete"
    assert end.response.usage.total_tokens == 10


@covers("event:error", "event:response.failed")
def test_failure_after_the_beginning(server: Server, client: openai.OpenAI, backend: FakeBackend) -> None:
    """What was open is closed as incomplete; then the error in both forms, then the failed Response, then the end.

    The SDK raises at the error event, so the bytes tell the rest.
    """
    backend.answer(delta(content="half"), Break())
    with pytest.raises(openai.APIError) as caught:
        stream(client)
    assert "local" in caught.value.message
    backend.answer(delta(content="half"), Break())
    events = server.events({"model": "m", "input": "hi"})
    names = [event["type"] for event in events]
    assert names[-6:] == [
        "response.output_text.delta",
        "response.output_text.done",
        PART_DONE,
        DONE,
        "error",
        "response.failed",
    ]
    error, failed = events[-2], events[-1]["response"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert {key: error[key] for key in ("code", "message", "param")} == {
        key: error["error"][key] for key in ("code", "message", "param")
    }
    assert set(error["error"]) == {"type", "code", "message", "param"}
    assert failed["status"] == "failed"
    assert failed["error"]["message"] == error["message"]
    assert failed["error"]["code"] == "server_error"
    assert failed["output"][0]["status"] == "incomplete"
    assert failed["output"][0]["content"][0]["text"] == "half"


@covers("event:error", "event:response.failed")
def test_failure_before_the_first_token(server: Server, backend: FakeBackend) -> None:
    """Nothing was open, so nothing is closed; the body is whole, and its connection serves the next request."""
    for _ in range(3):
        backend.answer(Break())
        events = server.events({"model": "m", "input": "hi"})
        assert [event["type"] for event in events] == [*OPENING, "error", "response.failed"]
        assert events[-1]["response"]["output"] == []


@covers("event:response.failed")
def test_failure_in_the_stream_of_the_back_end(client: openai.OpenAI, backend: FakeBackend) -> None:
    """An error object in the middle keeps its words; without ``stream`` the Response says the same."""
    told = {"error": {"message": "the cache is on fire", "code": "server_error"}}
    backend.answer(delta(content="half"), told)
    response = client.responses.create(model="m", input="hi")
    assert response.status == "failed"
    assert response.error is not None
    assert "the cache is on fire" in response.error.message
    assert response.usage is not None
    assert response.output_text == "half"


@covers("event:response.reasoning.delta", "event:response.reasoning.done")
def test_open_responses_names(client: openai.OpenAI, server: Server, backend: FakeBackend) -> None:
    """In that dialect raw reasoning has its own event names, live and when the log is read again."""
    backend.answer(delta(reasoning_content="Hm."), *text("ok"))
    events = stream(client, extra_headers={"OpenResponses-Dialect": "2026-04-24"})
    names = types(events)
    assert {"response.reasoning.delta", "response.reasoning.done"} < set(names)
    assert not any(name.startswith("response.reasoning_text") for name in names)
    repeated = again(client, events[0].response.id)
    assert types(list(repeated)) == names


def test_bytes_of_a_stream(server: Server, backend: FakeBackend) -> None:
    """``event:`` equals ``type``, one JSON line each, ``[DONE]`` at the end, and headers that stop proxies waiting."""
    body = {"model": "m", "input": "hi", "stream": True}
    with server.http.stream("POST", "/v1/responses", json=body) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["x-accel-buffering"] == "no"
        assert reply.headers["x-request-id"].startswith("req_")
        content = reply.read().decode()
    frames = content.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    for frame in frames[:-2]:
        line, data = frame.split("\n")
        kind = line.removeprefix("event: ")
        assert data.startswith(f'data: {{"type":"{kind}","sequence_number":')


def test_the_accumulator_of_the_sdk_agrees(client: openai.OpenAI, backend: FakeBackend) -> None:
    """``responses.stream()`` checks order, ids and places, and reaches the same Response."""
    tools: Any = [
        {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": True}
    ]
    backend.answer(
        delta(reasoning_content="Hm."), delta(content="Well."), *tool_calls(("c1", "look", "{}"), ("c2", "look", "{}"))
    )
    with client.responses.stream(model="m", input="hi", tools=tools) as events:
        seen = list(events)
        final = events.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]
    kept = client.responses.retrieve(final.id)
    assert [dump(item)["id"] for item in kept.output] == [dump(item)["id"] for item in final.output]
    assert seen[-1].type == "response.completed"


@pytest.mark.anyio
async def test_async_client(async_client: openai.AsyncOpenAI, backend: FakeBackend) -> None:
    """The asynchronous client reads the same, and its stream ends with the response."""
    backend.answer(*text("a", "b"))
    events = await async_client.responses.create(model="m", input="hi", stream=True)
    kinds = [event.type async for event in events]
    assert kinds[-1] == "response.completed"
    assert (await async_client.responses.create(model="m", input="hi")).output_text == "ok"


def test_tokens_come_as_they_are_made(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The first token is read by the client while the back end has not made the second."""
    gate = Gate()
    backend.answer(delta(content="one"), gate, delta(content="two"), delta("stop"))
    with live(client) as events:
        first = next(event for event in events if event.type == "response.output_text.delta")
        gate.open()
        assert first.delta == "one"
        assert [event.type for event in events][-1] == "response.completed"
