"""The one door out of the process: a request goes in, a status line and a stream of reads come back.

Everything that leaves - chat streams, pass-through, model lists, start-up probes - leaves as a ``Request`` through a
``Transport``. A recorder wraps a ``Transport`` and sees all of it. The values know nothing of the library that moves
the bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import msgspec

#: Header names and values in the order they are sent.
Headers = tuple[tuple[str, str], ...]

FailureKind = Literal["connect", "timeout", "broken", "refused"]


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP exchange to start. Times in seconds.

    ``read_seconds`` is the longest silence allowed, before the status line and between two reads.
    ``max_connections`` bounds the connections open to one origin. ``address`` is the IP address to connect to, by no
    proxy, for who has looked the host up and judged it; the URL's host is still the one that is asked and that TLS
    verifies. ``repeatable``: where a kept connection breaks before anything came back on it, another one gets the
    request, which the peer may then have had twice.
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    connect_seconds: float = 10.0
    read_seconds: float = 600.0
    max_connections: int = 1000
    address: str | None = None
    repeatable: bool = True


class ExchangeFailed(Exception):
    """The exchange never began, or broke. ``kind`` says how; the text holds no header and no body.

    ``connect``: no connection; ``timeout``: silence; ``broken``: the peer went away or spoke nonsense;
    ``refused``: the door itself did not let it out.
    """

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message


class Reply(Protocol):
    """What came back. ``reads`` yields the body, one item per network read, and raises ``ExchangeFailed``."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Headers:
        """The headers, in the order and case they came."""

    @property
    def reads(self) -> AsyncIterator[bytes]:
        """The body; to be read once."""

    async def aclose(self, *, complete: bool = False) -> None:
        """Ends the exchange at once: a finished one gives its connection back, an unfinished one is cut.

        ``complete``: the reader has all it wants, and the last bytes may arrive for a moment without it, so that the
        connection can be kept.
        """


class Sink(Protocol):
    """Takes a reply's reads the moment they arrive. Must neither wait nor raise."""

    def read(self, data: bytes) -> None:
        """One network read, all of it."""

    def end(self) -> None:
        """The body is over; nothing follows."""

    def fail(self, failure: ExchangeFailed) -> None:
        """The exchange broke; nothing follows."""


class PushReply(Reply, Protocol):
    """A reply that can also call a sink with each read, which spares a task wake-up per token.

    A transport need not offer this: who reads a ``Reply`` asks for ``push`` and falls back to ``reads``.
    """

    def push(self, sink: Sink) -> None:
        """From here on instead of ``reads``: what is there already at once, then every read as it comes."""

    def pause(self) -> None:
        """No more reads until ``resume``; the peer is made to wait."""

    def resume(self) -> None:
        """Go on."""


class Transport(Protocol):
    """Moves a request out and a reply in. Raises ``ExchangeFailed``."""

    async def send(self, request: Request) -> Reply:
        """Returns once the status line and headers are here."""

    async def aclose(self) -> None:
        """Lets go of everything it holds open."""


class StaticReply:
    """A whole reply that is already here; for transports that do not leave the process, and for tests."""

    __slots__ = ("headers", "reads", "status")

    def __init__(self, status: int, headers: Headers, reads: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.reads = reads

    async def aclose(self, *, complete: bool = False) -> None:
        """Stops the generator behind ``reads``, if there is one."""
        close = getattr(self.reads, "aclose", None)
        if close is not None:
            await close()


class Door:
    """A transport that chooses another by the scheme of the URL."""

    def __init__(self, transports: Mapping[str, Transport]) -> None:
        self._transports = dict(transports)

    def send(self, request: Request) -> Coroutine[Any, Any, Reply]:
        """Sends it through the transport of its scheme; an unknown scheme is ``ExchangeFailed('refused')``."""
        scheme = request.url.partition(":")[0].lower()
        transport = self._transports.get(scheme)
        if transport is None:
            raise ExchangeFailed("refused", f"There is no way out for URLs of the scheme '{scheme}'.")
        return transport.send(request)

    async def aclose(self) -> None:
        """Closes each transport once."""
        for transport in {id(t): t for t in self._transports.values()}.values():
            await transport.aclose()


def header(headers: Headers, name: str) -> str | None:
    """The first value of a header, by lowercase name."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def host_of(url: str) -> str:
    """Host and port of a URL, without user, password, path or query: what may stand in an error text."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url.partition("?")[0]


async def read_all(reply: Reply, limit: int) -> bytes:
    """The whole body. Over ``limit`` bytes is ``ExchangeFailed('broken')``; the exchange is closed either way."""
    parts: list[bytes] = []
    size = 0
    try:
        async for data in reply.reads:
            size += len(data)
            if size > limit:
                raise ExchangeFailed("broken", f"The answer is longer than {limit} bytes.")
            parts.append(data)
    finally:
        await reply.aclose()
    return b"".join(parts)
