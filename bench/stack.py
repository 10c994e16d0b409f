"""What the libraries cost: the least server on them. ``python -m bench.stack PORT`` prints ``port N``.

It answers every ``POST`` as a one-token stream of a Response: reads the request, asks the back end over our door, waits
for the end of the answer and writes a fixed one. No routes, no checks, no translation, no events, no log, no store. So
of what a request costs the server, this much is uvicorn's and aiohttp's, and the rest is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
from collections.abc import Callable
from typing import Any, cast

import msgspec
import uvicorn

from antiphon.http.protocol import EXTENSION, Connection, settings
from antiphon.upstream.door import ExchangeFailed, PushReply, Request
from antiphon.upstream.network import Network
from bench.script import Script

_DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"%b"}\n\n'
_END = b'event: response.completed\ndata: {"type":"response.completed","text":"%b"}\n\ndata: [DONE]\n\n'
_TEXT = Script(1).text.encode()
_ANSWER = _DELTA % _TEXT + _END % _TEXT
_HEADERS = (("content-type", "application/json"),)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class _End:
    """A sink that waits for the end of an answer."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def read(self, data: bytes) -> None:
        pass

    def end(self) -> None:
        self.over.set_result(None)

    def fail(self, failure: ExchangeFailed) -> None:
        self.over.set_exception(failure)


class _Least:
    """The application."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._network = Network()

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        connection: Connection = scope["extensions"][EXTENSION]
        asked = _decode(connection.whole_body(receive) or (await receive())["body"])
        messages = [{"role": "user", "content": asked["input"]}]
        body = _encode({"model": asked["model"], "messages": messages, "stream": True})
        reply = cast("PushReply", await self._network.send(Request("POST", self._url, _HEADERS, body)))
        end = _End()
        reply.push(end)
        await end.over
        connection.begin(200, b"content-type: text/event-stream\r\n")
        connection.finish(_ANSWER)


def _main(port: int) -> None:
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print("port", sock.getsockname()[1], flush=True)
    app = _Least(f"http://127.0.0.1:{port}/v1")
    gc.collect()
    gc.freeze()
    uvicorn.Server(settings(app, lifespan="off")).run(sockets=[sock])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.stack", description=__doc__)
    parser.add_argument("port", type=int, help="the port of the back end on 127.0.0.1")
    _main(parser.parse_args().port)
