"""The floor: what carrying the bytes costs, and nothing else. ``python -m bench.forwarder PORT`` prints ``port N``.

Each client connection is paired with one upstream connection for as long as it lives, and what arrives on one side is
written to the other in ``data_received``: no task, no queue, no parsing. With clients that keep their connections, as
the load generator does, this is what haproxy's connection pool comes to (no connect per request), without paying for
a parser. The benchmark runs haproxy beside it where that is installed, so nobody has to take this program's word for
being a fair floor.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import uvloop

from bench.upstream import serve_forever


class _Side(asyncio.Protocol):
    """One end of a pair. ``peer`` is where its bytes go."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.peer: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class, which is not a subclass

    def data_received(self, data: bytes) -> None:
        assert self.peer is not None
        self.peer.transport.write(data)

    # Back-pressure: when this end cannot take more, the other end stops reading.
    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None:
            self.peer.transport.close()
            self.peer = None


class Client(_Side):
    """The end towards the client; it opens the other end, and stops reading while it waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        super().__init__()
        self.loop = loop
        self.port = port
        self.early = b""
        self.opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.opening = self.loop.create_task(self._open())

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.transport.write(data)
        else:
            # uvloop starts reading after connection_made whatever that said, so the first bytes may be too early.
            self.early += data
            self.transport.pause_reading()

    async def _open(self) -> None:
        try:
            _, other = await self.loop.create_connection(_Side, "127.0.0.1", self.port)
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            other.transport.close()
            return
        self.peer, other.peer = other, self
        if self.early:
            other.transport.write(self.early)
            self.early = b""
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.opening is not None:
            self.opening.cancel()
        super().connection_lost(exc)


async def _main(port: int) -> None:
    loop = asyncio.get_running_loop()
    await serve_forever(lambda: Client(loop, port))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.forwarder", description=__doc__)
    parser.add_argument("port", type=int, help="the port of the back end on 127.0.0.1")
    uvloop.run(_main(parser.parse_args().port))
