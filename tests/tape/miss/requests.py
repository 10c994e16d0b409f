"""Requests and recordings to miss."""

from __future__ import annotations

import random
from typing import Any

from antiphon.tape.miss import Candidate
from antiphon.tape.model import HttpRequest, JsonBody, Request

_WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "rt", "ll", "sk", "m", "", "st")]


def prose(size: int, seed: int = 1) -> str:
    """Text of about so many characters, with line breaks."""
    draw, words, length = random.Random(seed), [], 0
    while length < size:
        words.append(draw.choice(_WORDS) + draw.choice([" ", " ", " ", ", ", ".\n"]))
        length += len(words[-1])
    return "".join(words)


def chat(*messages: Any, path: str = "/v1/chat/completions", **fields: Any) -> HttpRequest:
    """A chat request; a string is what the user says."""
    said = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    return HttpRequest("POST", path, body=JsonBody({"model": "small", "messages": said, **fields}))


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def called(call_id: str, name: str = "get_weather") -> dict[str, Any]:
    function = {"name": name, "arguments": "{}"}
    return {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]}


def result(call_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def tool(name: str, description: str = "Does it.") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description}}


def recorded(request: Request, path: str = "a/one.json", scope: str = "a", **fields: Any) -> Candidate:
    return Candidate(request, scope, 1, path, **fields)
