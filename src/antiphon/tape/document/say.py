"""What an answer says, for whoever reviews it: its text put together, then its tool calls, one a line.

Derived from the stream and written beside it, never read for replay. Each API has a listener of its own; an answer
of an API that none knows says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from antiphon.tape.document.heard import objects
from antiphon.tape.model import HttpResponse, Json, Response


class _Said:
    """Text and calls by where in the answer they belong, in the order of their first piece."""

    def __init__(self) -> None:
        self.texts: dict[object, list[str]] = {}
        self.calls: dict[object, tuple[list[str], list[str]]] = {}

    def text(self, place: object, text: object) -> None:
        if isinstance(text, str):
            self.texts.setdefault(place, []).append(text)

    def call(self, place: object, name: object, arguments: object) -> None:
        names, given = self.calls.setdefault(place, ([], []))
        if isinstance(name, str):
            names.append(name)
        if isinstance(arguments, str):
            given.append(arguments)
        elif arguments is not None:
            given.append(json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))

    def __str__(self) -> str:
        texts = [text for pieces in self.texts.values() if (text := "".join(pieces))]
        calls = [f"{''.join(names)}({''.join(given)})" for names, given in self.calls.values()]
        return "\n".join(texts + calls)


def say(response: Response) -> str:
    """The text and the tool calls of an answer; of a failed call what the error says. Empty when there is neither."""
    if not isinstance(response, HttpResponse):
        return "" if response.error is None else f"{response.error.type}: {response.error.message}"
    said = _Said()
    for item in objects(response):
        for listen in _LISTENERS:
            listen(item, said)
    return str(said)


def _dicts(value: Json) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _dict(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _chat(item: dict[str, Any], said: _Said) -> None:
    """Chat completions and completions, streamed or not, and the lines of Ollama, which have no choices."""
    for choice in _dicts(item.get("choices")) or [{"message": item.get("message"), "text": item.get("response")}]:
        place = choice.get("index", 0)
        said.text(place, choice.get("text"))
        message = _dict(choice.get("delta") or choice.get("message"))
        said.text(place, message.get("content") if message.get("content") is not None else message.get("refusal"))
        for number, call in enumerate(_dicts(message.get("tool_calls"))):
            function = _dict(call.get("function"))
            at = call.get("index", 0) if "delta" in choice else number
            said.call((place, at), function.get("name"), function.get("arguments"))


def _responses(item: dict[str, Any], said: _Said) -> None:
    """The Responses API: text by its deltas, calls when they are done; a whole response by its output."""
    kind = item.get("type")
    if kind in ("response.output_text.delta", "response.refusal.delta"):
        said.text((item.get("output_index"), item.get("content_index")), item.get("delta"))
    elif kind == "response.output_item.done":
        _output_call(_dict(item.get("item")), item.get("output_index"), said)
    elif item.get("object") == "response":
        for number, output in enumerate(_dicts(item.get("output"))):
            for at, part in enumerate(_dicts(output.get("content"))):
                if part.get("type") in ("output_text", "refusal"):
                    said.text((number, at), part.get("text", part.get("refusal")))
            _output_call(output, number, said)


def _output_call(output: dict[str, Any], place: object, said: _Said) -> None:
    if isinstance(output.get("name"), str):
        said.call(place, output["name"], output.get("arguments", output.get("input")))


def _messages(item: dict[str, Any], said: _Said) -> None:
    """Anthropic's messages, and Gemini's interactions, whose events are alike."""
    kind, place = item.get("type") or item.get("event_type"), item.get("index")
    if kind == "content_block_start":
        block = _dict(item.get("content_block"))
        said.text(place, block.get("text"))
        if isinstance(block.get("name"), str):
            said.call(place, block["name"], block.get("input") or None)
    elif kind in ("content_block_delta", "content.delta"):
        delta = _dict(item.get("delta"))
        if delta.get("type") in ("text_delta", "text"):
            said.text(place, delta.get("text"))
        elif delta.get("type") == "input_json_delta":
            said.call(place, None, delta.get("partial_json"))
        elif isinstance(delta.get("name"), str):
            said.call(place, delta["name"], delta.get("arguments"))
    elif kind == "message":
        for number, block in enumerate(_dicts(item.get("content"))):
            said.text(number, block.get("text"))
            if block.get("type") == "tool_use":
                said.call(number, block.get("name"), block.get("input"))


def _gemini(item: dict[str, Any], said: _Said) -> None:
    for place, candidate in enumerate(_dicts(item.get("candidates"))):
        for part in _dicts(_dict(candidate.get("content")).get("parts")):
            said.text(place, part.get("text"))
            call = _dict(part.get("functionCall") or part.get("function_call"))
            if call:
                said.call((place, len(said.calls)), call.get("name"), call.get("args"))


def _error(item: dict[str, Any], said: _Said) -> None:
    error = item.get("error")
    said.text("error", error if isinstance(error, str) else _dict(error).get("message"))


_LISTENERS: tuple[Callable[[dict[str, Any], _Said], None], ...] = (_chat, _responses, _messages, _gemini, _error)
