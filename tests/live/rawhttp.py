"""An HTTP/1.1 client made by hand that hides nothing: neither the chunks of a body nor what came of one that broke.

A body is read as it arrives. ``Body.frames`` are the chunks as the server framed them; ``Body.data`` is every byte so
far, those of a chunk that never became whole included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

#: How long anything may take that ought to happen at once. Seconds.
PATIENCE = 20.0


class Body:
    """What has come of a reply's body. ``whole`` once its end was seen."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.frames: list[bytes] = []
        self.whole = False
        self._chunked = headers.get("transfer-encoding") == "chunked"
        self._missing = int(headers.get("content-length", "0"))
        self._raw = bytearray()
        self._partial = b""

    @property
    def data(self) -> bytes:
        """All bytes so far."""
        return b"".join(self.frames) + self._partial

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.data)

    def feed(self, data: bytes) -> None:
        """The next bytes from the socket."""
        self._raw += data
        if self._chunked:
            while not self.whole and self._chunk():
                pass
        elif len(self._raw) >= self._missing:
            self.frames, self.whole = [bytes(self._raw)], True
        else:
            self._partial = bytes(self._raw)

    def _chunk(self) -> bool:
        """Takes one chunk off; false when it is not whole yet."""
        end = self._raw.find(b"\r\n")
        if end < 0:
            return False
        size = int(self._raw[:end], 16)
        start, stop = end + 2, end + 2 + size
        if len(self._raw) < stop + 2:
            self._partial = bytes(self._raw[start:stop])
            return False
        assert self._raw[stop : stop + 2] == b"\r\n", "a chunk ends with CRLF"
        if size:
            self.frames.append(bytes(self._raw[start:stop]))
        else:
            self.whole = True
            assert len(self._raw) == stop + 2, "nothing follows the end"
        self._partial = b""
        del self._raw[: stop + 2]
        return True


class Connection:
    """One kept connection to a server: ``await Connection.open(port)``, then request after request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.body = Body(0, {})
        """Of the latest request."""

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connects to loopback."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer)

    async def send(self, method: str, path: str, body: Any = None) -> Body:
        """Sends a request; returns with the head of the reply. Raises when the connection breaks before that."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + content)
        raw = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines = (line.partition(":") for line in raw[1:] if line)
        self.body = Body(int(raw[0].split()[1]), {name.lower(): value.strip() for name, _, value in lines})
        self.body.feed(b"")
        return self.body

    async def more(self) -> bool:
        """Reads what is there of the body; false at its end. Raises when the connection breaks before."""
        if self.body.whole:
            return False
        data = await self._reader.read(1 << 16)
        if not data:
            raise ConnectionResetError("the connection closed before the end of the body")
        self.body.feed(data)
        return True

    async def until(self, marker: bytes) -> None:
        """Until the body holds these bytes."""
        async with asyncio.timeout(PATIENCE):
            while marker not in self.body.data:
                assert await self.more(), f"the body ended without {marker!r}"

    async def rest(self) -> Body:
        """The body to its end."""
        async with asyncio.timeout(PATIENCE):
            while await self.more():
                pass
        return self.body

    async def ask(self, method: str, path: str, body: Any = None) -> Body:
        """A whole exchange."""
        await self.send(method, path, body)
        return await self.rest()

    async def close(self) -> None:
        """Lets go."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass  # it was broken already


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection for as long as the block takes."""
    connection = await Connection.open(port)
    try:
        yield connection
    finally:
        await connection.close()


def sse(data: bytes) -> list[bytes]:
    """The whole events of a stream, each with its blank line; comments are left out, and an event that was cut."""
    blocks = data.split(b"\n\n")[:-1]
    return [block + b"\n\n" for block in blocks if not block.startswith(b":")]


def payload(event: bytes) -> Any:
    """The JSON of one event; None for ``[DONE]``. Its ``event:`` line must say its type."""
    if event == b"data: [DONE]\n\n":
        return None
    name, data = event[:-2].split(b"\n")
    found = json.loads(data.removeprefix(b"data: "))
    assert name == b"event: " + found["type"].encode(), "event: equals type"
    return found
