"""A mock chat-completions back end, cheap enough for two cores. ``python -m bench.upstream`` prints ``port N``.

A stream of N tokens leaves in exactly N writes, each at the stream's own moments, so that the server under test gets
one network read per token: the dearest honest case, because nothing can be merged. The head and the role travel with
the first token, the finish, the usage and ``[DONE]`` with the last. Its CPU is not counted: it runs in a process of
its own.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import math
import time
from collections.abc import Callable
from typing import Any, cast

import httptools
import msgspec
import uvloop

from bench.pace import Due, Pacer
from bench.script import Script, parse, token

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LISTED = ("bench-1", "bench-100")
# Successive streams start their second token at this fraction of a period (the golden ratio spreads any number of them
# evenly). Otherwise streams that started together would tick together, and how far they do would depend on the server.
_GOLDEN = 0.618033988749895


class _Message(msgspec.Struct):
    role: str
    content: Any = None


class _Ask(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = None


def _choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}


def _line(model: str, **fields: Any) -> bytes:
    chunk = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    return b"data: " + msgspec.json.encode(chunk | fields) + b"\n\n"


def _chunked(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


@functools.lru_cache(maxsize=32)
def writes(script: Script) -> tuple[bytes, ...]:
    """The N writes of a streamed answer, as they go on the wire."""
    model = script.model
    out = [_chunked(_line(model, choices=_choice({"content": token(k)}))) for k in range(script.tokens)]
    out[0] = _HEAD + _chunked(_line(model, choices=_choice({"role": "assistant", "content": ""}))) + out[0]
    end = _line(model, choices=_choice({}, "stop")) + _line(model, choices=[], usage=_usage(script.tokens))
    out[-1] += _chunked(end + b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return tuple(out)


def _json_reply(body: Any, status: bytes = b"200 OK") -> bytes:
    raw = msgspec.json.encode(body)
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(raw), raw)


@functools.lru_cache(maxsize=32)
def completion(script: Script) -> bytes:
    """The answer to a request that does not stream, as it goes on the wire."""
    message = {"role": "assistant", "content": script.text}
    return _json_reply(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": script.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": _usage(script.tokens),
        }
    )


class Upstream(asyncio.Protocol):
    """One connection; requests come one after the other."""

    streams = 0  # how many streams with moments of their own this process has begun

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer
        self.transport: asyncio.Transport
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.body = b""
        self.due: Due | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class, which is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self.due is not None:
            self.due.cancel()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url = self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.url.endswith(b"/models"):
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "bench"} for name in _LISTED]
            self.transport.write(_json_reply({"object": "list", "data": models}))
        elif self.url.endswith(b"/chat/completions"):
            self._answer(msgspec.json.decode(self.body, type=_Ask))
        else:
            error = {"message": "no such route", "type": "invalid_request_error", "param": None, "code": "not_found"}
            self.transport.write(_json_reply({"error": error}, b"404 Not Found"))

    def _answer(self, ask: _Ask) -> None:
        script = parse(ask.model)
        if script is None:
            error = {"message": f"no model {ask.model}", "type": "invalid_request_error", "code": "model_not_found"}
            self.transport.write(_json_reply({"error": error}, b"404 Not Found"))
        elif not ask.stream:
            self.transport.write(completion(script))
        else:
            self._step(writes(script), 0, 1.0 / script.rate, self._start(script))

    def _start(self, script: Script) -> float:
        """The moment all tokens but the first, which is not kept waiting, are counted from."""
        now, period = time.monotonic(), 1.0 / script.rate
        if script.step:
            return math.ceil(now / period) * period
        Upstream.streams += 1
        return now + (Upstream.streams * _GOLDEN % 1.0) * period

    def _step(self, parts: tuple[bytes, ...], k: int, period: float, start: float) -> None:
        self.transport.write(parts[k])
        following = k + 1
        if following < len(parts):
            # Counted from the start, not the last token: a late one is caught up and the mean rate holds.
            when = start + following * period
            self.due = self.pacer.at(when, lambda: self._step(parts, following, period, start))
        else:
            self.due = None


async def serve_forever(make: Callable[[], asyncio.Protocol]) -> None:
    """Listen on a free loopback port, print ``port N`` and serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, backlog=2048)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _main() -> None:
    pacer = Pacer(asyncio.get_running_loop())
    await serve_forever(lambda: Upstream(pacer))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m bench.upstream", description=__doc__).parse_args()
    uvloop.run(_main())
