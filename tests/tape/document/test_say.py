"""What an answer says and what it cost, in the words of each API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.tape import document
from antiphon.tape.model import HttpResponse, ToolFailure, ToolResponse, Usage
from tests.shared import shared
from tests.tape.document.examples import EVENT_STREAM, JSON, event

CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a"'}}
MORE = {"index": 0, "function": {"arguments": ":1}"}}
COUNT = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
SHORT = {"input_tokens": 5, "output_tokens": 7}


def delta(**fields: Any) -> dict[str, Any]:
    """A chunk of a chat."""
    return {"choices": [{"index": 0, "delta": fields}], "usage": None}


CHAT = [
    delta(role="assistant", content=""),
    delta(content="Hi"),
    delta(content=" you"),
    {"choices": [], "usage": COUNT},
]
CALLS = [delta(content=None, tool_calls=[CALL]), delta(tool_calls=[MORE]), {"choices": [], "usage": COUNT}]
RESPONSES = [
    {"type": "response.created", "response": {"object": "response", "usage": None}},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": " you"},
    {
        "type": "response.output_item.done",
        "output_index": 1,
        "item": {"type": "function_call", "name": "look", "arguments": "{}"},
    },
    {"type": "response.completed", "response": {"object": "response", "usage": SHORT}},
]
MESSAGES = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi you"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "look", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
]
GEMINI = [
    {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}], "usageMetadata": {"promptTokenCount": 5}},
    {"candidates": [{"content": {"parts": [{"text": " you"}, {"functionCall": {"name": "look", "args": {"a": 1}}}]}}],
     "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}},
]  # fmt: skip
INTERACTION = [
    {"index": 1, "delta": {"text": "Hi you", "type": "text"}, "event_type": "content.delta"},
    {
        "interaction": {"usage": {"total_input_tokens": 5, "total_output_tokens": 7}},
        "event_type": "interaction.complete",
    },
]
OLLAMA = [{"message": {"content": "Hi"}}, {"message": {"content": " you"}, "prompt_eval_count": 5, "eval_count": 7}]
BOTH = "Hi you\nlook({%s})"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (CHAT, "Hi you"),
        (CALLS, 'look({"a":1})'),
        ([{"choices": [{"index": 0, "text": "Hi"}, {"index": 1, "text": "Ho"}], "usage": COUNT}], "Hi\nHo"),
        (RESPONSES, BOTH % ""),
        (MESSAGES, BOTH % '"a":1'),
        (GEMINI, BOTH % '"a":1'),
        (INTERACTION, "Hi you"),
    ],
)
def test_a_stream_says_its_text_and_calls(events: list[Any], said: str) -> None:
    """Deltas are put together by where they belong, and what was counted last counts."""
    response = HttpResponse(200, EVENT_STREAM, (*map(event, events), event("[DONE]")))
    assert document.say(response) == said
    assert document.usage(response) == Usage(5, 7)


@pytest.mark.parametrize(
    ("body", "said", "usage"),
    [
        ({"choices": [{"message": {"content": "Hi", "tool_calls": [CALL, CALL]}}], "usage": COUNT},
         'Hi\nlook({"a")\nlook({"a")', Usage(5, 7)),
        ({"choices": [{"index": 0, "message": {"refusal": "No."}}]}, "No.", None),
        ({"object": "response", "output": [{"content": [{"type": "output_text", "text": "Hi"}]}], "usage": SHORT},
         "Hi", Usage(5, 7)),
        ({"type": "message", "usage": SHORT,
          "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "name": "look", "input": {}}]},
         "Hi\nlook({})", Usage(5, 7)),
        ({"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 5, "total_tokens": 5}}, "", Usage(5)),
        ({"error": {"message": "Slow down."}}, "Slow down.", None),
        ({"error": "no such model"}, "no such model", None),
        ({"usage": {"prompt_tokens": None}}, "", None),
        ([{"usage": SHORT}, {"usage": {"output_tokens": 0}}], "", Usage(5, 0)),
        ([1, None, {"choices": 3, "output": [[]], "candidates": [{"content": 1}], "usage": []}], "", None),
    ],
)  # fmt: skip
def test_a_body_says_its_text_and_calls(body: Any, said: str, usage: Usage | None) -> None:
    """Whole answers are understood like streamed ones, and odd ones are passed over."""
    response = HttpResponse(200, JSON, (json.dumps(body, indent=2).encode(),))
    assert document.say(response) == said
    assert document.usage(response) == usage


def test_lines_and_tools_speak_too() -> None:
    """Lines of JSON are heard without events; a tool says how it failed."""
    lines = "".join(f"{json.dumps(line)}\n" for line in OLLAMA).encode()
    response = HttpResponse(200, (), (lines,))
    assert (document.say(response), document.usage(response)) == ("Hi you", Usage(5, 7))
    assert document.say(ToolResponse(error=ToolFailure("TimeoutError", "too slow", True))) == "TimeoutError: too slow"
    assert document.say(HttpResponse(200, EVENT_STREAM, (b"data: {\n\n\xff",))) == ""


def test_real_answers_are_understood() -> None:
    """Of the recorded chats with content, every one says that content."""
    heard = 0
    for path in sorted(shared("recordings").rglob("*.json")):
        recorded = json.loads(path.read_bytes()).get("response")
        if not isinstance(recorded, dict) or not recorded.get("is_streaming") or isinstance(recorded["body"][0], str):
            continue
        chunks = [chunk.get("__data__", chunk) for chunk in recorded["body"]]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", []) if "delta" in choice]
        content = "".join(delta["content"] or "" for delta in deltas)
        response = HttpResponse(200, EVENT_STREAM, tuple(map(event, chunks)))
        assert document.say(response).startswith(content)
        heard += bool(content)
    assert heard > 50
