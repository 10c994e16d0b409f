"""What is asked and what is answered, by number: both ends of the benchmark know it, so no wrong answer is measured.

The body of a question has 1.4 kB, two and a half times the median of real recordings: a system prompt, one tool and a
question that no other number has. A long one has 20 kB of conversation before it.
"""

from __future__ import annotations

import json
from typing import Any

PATH = "/v1/chat/completions"
#: Where recorded questions were asked. Nobody listens there: what is not replayed fails.
RECORDED_URL = f"http://127.0.0.1:9{PATH}"
#: The scope of all recordings but those of pytest, where a test is one.
SCOPE = "bench"

_SYSTEM = "You are a careful assistant who answers in one sentence. " * 15
_TURN = "So far we have said this about it, and it may well be said once more in other words. " * 11
_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks up what is known about a subject. " * 7,
        "parameters": {"type": "object", "properties": {"subject": {"type": "string"}}},
    },
}


def question(number: int, *, long: bool = False, stream: str = "") -> dict[str, Any]:
    """The JSON body; ``stream`` is the model of `bench.script` that streams the answer."""
    turns = [{"role": ("user", "assistant")[k % 2], "content": _TURN} for k in range(20 if long else 0)]
    ask = f"Question {number}: what has {number * 7919 % 1_000_003} in common with {number * 31}?"
    body: dict[str, Any] = {
        "model": stream or "bench-1",
        "messages": [{"role": "system", "content": _SYSTEM}, *turns, {"role": "user", "content": ask}],
        "tools": [_TOOL],
        "temperature": 0.5,
    }
    return body | {"stream": True} if stream else body


def said(number: int) -> str:
    """What a recorded answer to a question holds."""
    return f"Answer-{number}."


#: What a live answer holds: the first token of `bench.script`.
SAID_LIVE = " word0"


def answer(number: int) -> bytes:
    """The body of a recorded answer."""
    message = {"role": "assistant", "content": said(number)}
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    return json.dumps(
        {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "bench-1",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage,
        },
        separators=(",", ":"),
    ).encode()
