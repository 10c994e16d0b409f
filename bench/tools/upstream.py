"""A mock model that calls tools: ``python -m bench.tools.upstream`` prints ``port N``.

``calls-10-add`` answers a user with ten calls of ``add`` at once, and their results with a word; ``bench-1`` says the
word at once. Its CPU is not counted: it runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any, cast

import httptools
import msgspec
import uvloop

from bench.upstream import serve_forever

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_MODELS = b'{"object":"list","data":[{"id":"bench-1","object":"model","created":1,"owned_by":"bench"}]}'
_CALLS = re.compile(r"calls-(\d+)-(\w+)")
_USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}


def chunks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the model says: calls to a user, else a word."""
    asked = _CALLS.fullmatch(body["model"])
    if asked is not None and body["messages"][-1]["role"] == "user":
        for n in range(int(asked[1])):
            function = {"name": asked[2], "arguments": f'{{"n": {n}}}'}
            yield _choice({"tool_calls": [{"index": n, "id": f"call_{n}", "type": "function", "function": function}]})
        yield _choice({}, "tool_calls")
    else:
        yield _choice({"content": " word0"})
        yield _choice({}, "stop")
    yield {"choices": [], "usage": _USAGE}


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _answer(body: dict[str, Any]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    lines = [b"data: " + msgspec.json.encode(chunk | one) + b"\n\n" for one in chunks(body)]
    payload = b"".join([*lines, b"data: [DONE]\n\n"])
    return _HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)


class _Connection(asyncio.Protocol):
    """One client's requests, one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._parser: Any = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._body:
            self._transport.write(_answer(msgspec.json.decode(self._body)))
        else:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_MODELS)
            self._transport.write(head + _MODELS)


if __name__ == "__main__":
    uvloop.run(serve_forever(_Connection))
