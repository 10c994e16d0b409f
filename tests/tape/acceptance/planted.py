"""Forty secrets, five in each of the eight places of test 18. None of them opens anything."""

from __future__ import annotations

import base64
import json
from typing import Any

PLACES = ("header", "query", "body", "prompt", "cookie", "two chunks", "tool arguments", "error body")


def _drawn(place: int, length: int) -> str:
    """Letters and digits, others for each place."""
    return base64.b32encode(bytes((place * 41 + n * 37) % 251 for n in range(length))).decode()[:length]


def _claims(place: int) -> str:
    """The middle of a JWT."""
    return base64.urlsafe_b64encode(json.dumps({"sub": _drawn(place, 12)}).encode()).decode().rstrip("=")


#: Secrets by place: tokens of four shapes, and the value of a variable of the environment.
SECRETS: dict[str, list[str]] = {
    place: [
        f"sk-proj-{_drawn(n, 24).lower()}Q7w{n}",
        f"ghp_{_drawn(n + 50, 36)}",
        f"AKIA{_drawn(n + 100, 16)}",
        f"eyJhbGciOiJIUzI1NiJ9.{_claims(n)}.c2ln{_drawn(n, 12)}",
        f"variable-{_drawn(n + 150, 14).lower()}",
    ]
    for n, place in enumerate(PLACES)
}
ENVIRON = {f"{place.upper().replace(' ', '_')}_API_KEY": found[4] for place, found in SECRETS.items()}
ALL = [secret for found in SECRETS.values() for secret in found]


def question(kind: int, *, prompt: str | None = None) -> dict[str, Any]:
    """A chat request with the secrets of this kind in its body, its prompt and its tool's arguments."""
    call = {"id": "call_1", "type": "function", "function": {"name": "fetch", "arguments": ""}}
    call["function"]["arguments"] = json.dumps({"note": f"use {SECRETS['tool arguments'][kind]} now"})  # type: ignore[index]
    return {
        "model": "m",
        "stream": True,
        "metadata": {"password": SECRETS["body"][kind]},
        "messages": [
            {"role": "user", "content": prompt or f"kind {kind}: my key is {SECRETS['prompt'][kind]}, keep it"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ],
    }


def said(text: str) -> bytes:
    """An event of a streamed answer."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def called(text: str) -> bytes:
    """An event of a streamed tool call."""
    piece = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": text}}
    choice = {"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def refusal(text: str) -> bytes:
    """The body of an error that repeats what was sent."""
    return json.dumps(
        {"error": {"message": f"Incorrect key provided: {text} at all", "code": "invalid_api_key"}}
    ).encode()
