"""The demo model's answers on the wire: whole completions, chunks, and the events of a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from antiphon import ambient
from antiphon.upstream.demo.answer import Answer
from antiphon.upstream.demo.prompt import Prompt, pieces

#: Characters of arguments in one chunk.
_ARGUMENT_PIECE = 8

_encode = msgspec.json.encode


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + _encode(data) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def usage_of(prompt: Prompt, answers: list[Answer]) -> dict[str, Any]:
    """Usage in Chat Completions' shape, in the demo model's tokens."""
    thought = sum(len(pieces(a.reasoning)) for a in answers)
    told = sum(len(pieces(a.text)) + len(pieces(a.refusal)) for a in answers)
    called = sum(len(pieces(c.name)) + len(pieces(c.arguments)) for a in answers for c in a.calls)
    read, written = prompt.tokens(), thought + told + called
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def head(prompt: Prompt, kind: str) -> dict[str, Any]:
    """The fields every chunk and completion begins with. The id is a digest of the request."""
    digest = hashlib.sha256(_encode(prompt.body, order="deterministic")).hexdigest()
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": kind,
        "created": int(ambient.now()),
        "model": prompt.body.get("model"),
        "system_fingerprint": "demo",
    }


def completion(prompt: Prompt, answers: list[Answer]) -> dict[str, Any]:
    """The answer to ``stream: false``."""
    choices = []
    for index, answer in enumerate(answers):
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.refusal:
            message["refusal"] = answer.refusal
        elif not answer.calls:
            message["content"] = answer.text
        if answer.reasoning:
            message[answer.reasoning_field] = answer.reasoning
        if answer.calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in answer.calls
            ]
        choice = {"index": index, "message": message, "finish_reason": answer.finish, "logprobs": None}
        if prompt.body.get("logprobs"):
            tokens = [_logprob(t, prompt) for t in pieces(answer.text)]
            choice["logprobs"] = {"content": tokens, "refusal": None}
        choices.append(choice)
    return {**head(prompt, "chat.completion"), "choices": choices, "usage": usage_of(prompt, answers)}


def stream(prompt: Prompt, answers: list[Answer]) -> Iterator[dict[str, Any]]:
    """The chunks of a stream, one token each; a last one with usage where it was asked for."""
    start = head(prompt, "chat.completion.chunk")
    options = prompt.body.get("stream_options") or {}
    last: dict[str, Any] = {"usage": None} if options.get("include_usage") else {}
    for index, answer in enumerate(answers):
        for delta, token in _deltas(answer):
            choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": None, "logprobs": None}
            if prompt.body.get("logprobs") and token is not None:
                choice["logprobs"] = {"content": [_logprob(token, prompt)], "refusal": None}
            yield {**start, "choices": [choice], **last}
        yield {**start, "choices": [{"index": index, "delta": {}, "finish_reason": answer.finish}], **last}
    if last:
        yield {**start, "choices": [], "usage": usage_of(prompt, answers)}


def _deltas(answer: Answer) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Each delta, and the token of text in it for which there are log probabilities."""
    yield {"role": "assistant", "content": None if answer.calls else ""}, None
    for token in pieces(answer.reasoning):
        yield {answer.reasoning_field: token}, None
    for token in pieces(answer.refusal):
        yield {"refusal": token}, None
    for token in pieces(answer.text):
        yield {"content": token}, token
    for n, call in enumerate(answer.calls):
        opening = {"index": n, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [opening]}, None
        for at in range(0, len(call.arguments), _ARGUMENT_PIECE):
            piece = call.arguments[at : at + _ARGUMENT_PIECE]
            yield {"tool_calls": [{"index": n, "function": {"arguments": piece}}]}, None


def _logprob(token: str, prompt: Prompt) -> dict[str, Any]:
    top = prompt.body.get("top_logprobs") or 0
    others = [token, *(f"{token}~{n}" for n in range(1, int(top)))][: int(top)]
    entry = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
    ranked = [{"token": t, "logprob": -0.25 - n, "bytes": list(t.encode())} for n, t in enumerate(others)]
    return {**entry, "top_logprobs": ranked}
