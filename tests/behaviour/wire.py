"""A client made of one plain socket, which hangs up, reads slowly or not at all, exactly when the test wants."""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.upstreams import PATIENCE, Call

Json = dict[str, Any]

#: A hang-up must reach the back end within 100 ms; a busy machine gets more.
PROMPT = 1.0


class Caller:
    """``with Caller(server.root) as caller``: one connection, one request."""

    def __init__(self, root: str, *, buffer: int | None = None) -> None:
        """``buffer`` is the size of the receive buffer; small, so that a reader that stops reading is felt."""
        place = urlsplit(root)
        self._socket = socket.socket()
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect((place.hostname, place.port))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")
        self._frames = self._blocks()
        self._events = self._parsed()
        self.status = 0
        self.headers: dict[str, str] = {}

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, **body: Any) -> Caller:
        """Asks for a response of the model ``m``."""
        return self.send("POST", "/v1/responses", {"model": "m", "input": "hi", **body})

    def send(self, method: str, path: str, body: Json | None = None, *, version: str = "1.1", more: str = "") -> Caller:
        """Sends a request."""
        content = b"" if body is None else json.dumps(body).encode()
        described = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        self._socket.sendall(f"{method} {path} HTTP/{version}\r\nHost: x\r\n{described}{more}\r\n".encode() + content)
        return self

    def head(self) -> int:
        """Waits for the status line and headers; the status."""
        self.status = int(self._file.readline().split()[1])
        for line in iter(self._file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        return self.status

    def frames(self) -> Iterator[bytes]:
        """The blocks of the stream, comments and ``[DONE]`` included, as they come; each once."""
        return self._frames

    def events(self) -> Iterator[Json]:
        """The events, until ``[DONE]``, which must be the last; each once."""
        return self._events

    def _blocks(self) -> Iterator[bytes]:
        if not self.status:
            self.head()
        assert self.status == 200, self.status
        text = b""
        for data in self._body():
            text += data
            *whole, text = text.split(b"\n\n")
            yield from whole
        assert not text, "the stream ended inside an event"

    def _parsed(self) -> Iterator[Json]:
        done = False
        for frame in self._frames:
            assert not done, "nothing follows [DONE]"
            if frame == b"data: [DONE]":
                done = True
            elif not frame.startswith(b":"):
                yield event_of(frame)
        assert done, "the stream ended without [DONE]"

    def until(self, kind: str) -> Json:
        """Reads on to the next event of this type."""
        return next(event for event in self.events() if event["type"] == kind)

    def whole(self) -> bytes:
        """The whole body of a reply that is no stream."""
        self.head()
        return self._file.read(int(self.headers["content-length"]))

    def json(self) -> Json:
        """The whole JSON reply."""
        body: Json = json.loads(self.whole())
        return body

    def at_end(self) -> bool:
        """Whether the server has closed the connection; waits until it has, or until more comes."""
        try:
            return not self._file.read(1)
        except ConnectionError:
            return True

    def readable(self, seconds: float) -> bool:
        """Whether something comes within this time."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def close(self) -> None:
        """Hangs up."""
        self._file.close()
        self._socket.close()

    def reset(self) -> None:
        """Hangs up the hard way: the peer gets a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            while data := self._file.read1(65536):
                yield data
            return
        until = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < until, "the stream does not end"
            size = int(self._file.readline(), 16)
            data = self._file.read(size)
            assert self._file.readline() == b"\r\n"
            if not size:
                return
            yield data


def event_of(frame: bytes) -> Json:
    """One block of a stream as JSON; its ``event:`` line must say its type."""
    name, _, data = frame.partition(b"\n")
    event: Json = json.loads(data.removeprefix(b"data: "))
    assert name == b"event: " + event["type"].encode()
    return event


def hang_up(caller: Caller, call: Call) -> float:
    """Closes the client and waits until the back end has seen it. Milliseconds between the two."""
    began = time.perf_counter()
    caller.close()
    assert call.gone.wait(PROMPT), "the back end still has its connection"
    took = (time.perf_counter() - began) * 1000
    print(f"hang-up reached the back end after {took:.1f} ms")
    return took
