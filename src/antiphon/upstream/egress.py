"""The way to hosts that a client or a model named, without lending them our place in the network.

A URL is taken apart once and put together again, so that everybody reads it alike. Its host is looked up once, every
address it has is judged (``upstream/addresses``), and the connection goes to one of the addresses that were judged, so
that a second answer of the name server changes nothing. Who follows redirects does so here again, for each target.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from urllib.parse import urlsplit

import msgspec

from antiphon.upstream.addresses import objection
from antiphon.upstream.door import ExchangeFailed, Reply, Request, Transport

#: Addresses of one host that are tried before it counts as unreachable.
_TRIES = 3
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
#: Parsers disagree about URLs that hold one of these.
_ODD = re.compile(r"[\x00-\x20\x7f\\]")

#: The addresses of a host, for a port. Raises ``OSError`` where there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Target(msgspec.Struct, frozen=True):
    """A URL in the one spelling that is used from here on, and where it leads."""

    url: str
    host: str
    port: int


class BadTarget(ValueError):
    """The URL cannot be used. ``host`` where it could be read; ``reason`` completes "it cannot be used: "."""

    def __init__(self, host: str | None, reason: str) -> None:
        super().__init__(reason)
        self.host = host
        self.reason = reason


def target(url: str) -> Target:
    """The URL read strictly. Raises ``BadTarget``, which repeats nothing of it but the host."""
    if _ODD.search(url):
        raise BadTarget(None, "it holds blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
        port = parts.port
    except ValueError:
        raise BadTarget(None, "it is not a URL") from None
    if parts.scheme not in _PORTS:
        raise BadTarget(None, "only http and https URLs are fetched")
    if not host or not _HOST.fullmatch(host):
        raise BadTarget(None, "it names no host")
    if "@" in parts.netloc:
        raise BadTarget(host, "a user name or password in it is not allowed")
    place = f"[{host}]" if ":" in host else host
    if port is not None:
        place += f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    whole = f"{parts.scheme}://{place}{parts.path or '/'}{query}"
    return Target(whole, host, _PORTS[parts.scheme] if port is None else port)


class Egress:
    """The policy, and the door behind it. ``allow_hosts`` are names whose private addresses may be reached as well."""

    def __init__(
        self,
        door: Transport,
        *,
        allow_private: bool,
        allow_hosts: Collection[str] = (),
        resolve: Resolve | None = None,
    ) -> None:
        """``allow_private`` lets loopback and local networks be reached: for a server only its own machine uses."""
        self._door = door
        self._allow_private = allow_private
        self._allow_hosts = frozenset(host.lower() for host in allow_hosts)
        self._resolve = look_up if resolve is None else resolve

    async def send(self, request: Request) -> Reply:
        """The whole way, as a transport: its host looked up, judged, and connected to. Raises ``ExchangeFailed``."""
        there = target(request.url)
        return await self.dial(request, await self.addresses(there.host, there.port))

    async def aclose(self) -> None:
        """The door is its owner's to close."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of the host. Raises ``ExchangeFailed('refused')`` when one of them is out of bounds: who mixes
        them is not to be trusted."""
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise ExchangeFailed("connect", "its name cannot be resolved.") from None
        if not found:
            raise ExchangeFailed("connect", "no address was found.")
        allow_private = self._allow_private or host.lower() in self._allow_hosts
        for address in found:
            wrong = objection(address, allow_private=allow_private)
            if wrong is not None:
                raise ExchangeFailed("refused", wrong + ".")
        return found

    async def dial(self, request: Request, addresses: Sequence[str]) -> Reply:
        """Sends it to the first of these addresses that can be connected to. Raises ``ExchangeFailed``."""
        tried = addresses[:_TRIES]
        for n, address in enumerate(tried, 1):
            try:
                return await self._door.send(msgspec.structs.replace(request, address=address))
            except ExchangeFailed as failed:
                if n == len(tried) or not _may_repeat(failed, request):
                    raise
        raise ExchangeFailed("connect", "no address was found.")


def _may_repeat(failed: ExchangeFailed, request: Request) -> bool:
    """Silence may mean that the request arrived; only one that changes nothing is then sent again."""
    return failed.kind == "connect" or (failed.kind == "timeout" and request.method == "GET")


async def look_up(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))
