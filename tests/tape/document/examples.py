"""Exchanges as real ones are, and what the tests of the file ask of all of them."""

from __future__ import annotations

import json
from typing import Any

from antiphon.tape import document
from antiphon.tape.model import Exchange, HttpRequest, HttpResponse, JsonBody

EVENT_STREAM = (("content-type", "text/event-stream"),)
JSON = (("content-type", "application/json"),)


def nothing_beside(suffix: str) -> bytes:
    """For files that must not need another."""
    raise FileNotFoundError(2, "No such file", suffix)


def event(value: Any) -> bytes:
    """One event of a stream."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def chunk(content: str | None, finish: str | None = None) -> bytes:
    """A chunk of a chat stream."""
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    return event({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "choices": [choice]})


def chat_stream(words: list[str]) -> tuple[bytes, ...]:
    """A whole chat stream that says ``words``, with usage in its last chunk."""
    count = {"prompt_tokens": 11, "completion_tokens": len(words), "total_tokens": 11 + len(words)}
    usage = event({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "choices": [], "usage": count})
    return (*map(chunk, words), chunk(None, "stop"), usage, event("[DONE]"))


def chat(words: list[str], **response: Any) -> Exchange:
    """A streamed chat."""
    body = {"model": "gpt-x", "stream": True, "messages": [{"role": "user", "content": "Tell me of France."}]}
    answer = HttpResponse(200, EVENT_STREAM, chat_stream(words), **response)
    return Exchange(HttpRequest("POST", "/v1/chat/completions", body=JsonBody(body)), answer, provider="openai")


def answered(*reads: bytes, headers: tuple[tuple[str, str], ...] = JSON, status: int = 200) -> Exchange:
    """A call that was answered with these reads."""
    return Exchange(HttpRequest("POST", "/v1/x", body=JsonBody({"model": "m"})), HttpResponse(status, headers, reads))


def file_of(exchange: Exchange) -> str:
    """The text of its file, which stands alone, gives it back, and has no contradictions."""
    data, side = document.dump(exchange, timing="exact")
    assert not side
    back = document.load(data, nothing_beside)
    assert back.response == exchange.response
    assert back.request == exchange.request
    assert document.dump(back, timing="exact") == (data, {})
    assert not document.check(data, nothing_beside)
    return data.decode()
