"""A file at a URL that a client names (``input_file.file_url``), without lending the client our place in the network.

A host is looked up once, every address it has is judged (``upstream/addresses``), and the connection goes to one of the
addresses that were judged, so that a second answer of the name server changes nothing. Redirects are followed by hand,
each target judged the same. Size and time are bounded, and so is the number of files on their way at once.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urljoin, urlsplit

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.upstream.addresses import objection
from antiphon.upstream.door import ExchangeFailed, Headers, Reply, Request, Transport, header, read_all

MAX_BYTES = 32 * 1024 * 1024
SECONDS = 30.0
MAX_REDIRECTS = 5

_AT_ONCE = 16
_CONNECT_SECONDS = 5.0
#: Addresses of one host that are tried before it counts as unreachable.
_TRIES = 3
_HEADERS: Headers = (("Accept", "*/*"), ("User-Agent", "antiphon"))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
#: Parsers disagree about URLs that hold one of these.
_ODD = re.compile(r"[\x00-\x20\x7f\\]")

#: The addresses of a host, for a port. Raises ``OSError`` where there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class _Target(msgspec.Struct, frozen=True):
    """A URL taken apart and put together again, so that everybody after this reads it alike."""

    url: str
    host: str
    port: int


class Fetcher:
    """Gets files. One for the whole server."""

    def __init__(
        self,
        door: Transport,
        *,
        allow_private: bool,
        max_bytes: int = MAX_BYTES,
        seconds: float = SECONDS,
        resolve: Resolve | None = None,
    ) -> None:
        """``allow_private`` lets loopback and local networks be reached: for a server that only its own machine uses.

        ``max_bytes`` of one file; ``seconds`` for all of it, redirects included.
        """
        self._door = door
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._resolve = _look_up if resolve is None else resolve
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, url: str) -> str:
        """The file as ``data:<media type>;base64,...``. Raises ``InvalidRequest`` with code ``invalid_file_url``.

        The error names the host and the reason; never the rest of the URL, which may hold a key.
        """
        target = _target(url)
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds):
                    media_type, content = await self._follow(target)
            except TimeoutError:
                raise _failed(target.host, f"it took longer than {self._seconds:g} s") from None
        return f"data:{media_type};base64,{base64.b64encode(content).decode()}"

    async def _follow(self, target: _Target) -> tuple[str, bytes]:
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self._ask(target)
            try:
                elsewhere = header(reply.headers, "location") if reply.status in _REDIRECTS else None
                if elsewhere is None:
                    return await self._read(target, reply)
            finally:
                await reply.aclose()
            target = _target(_joined(target, elsewhere))
        raise _failed(target.host, f"it redirected more than {MAX_REDIRECTS} times")

    async def _ask(self, target: _Target) -> Reply:
        failure: ExchangeFailed | None = None
        for address in (await self._addresses(target))[:_TRIES]:
            request = Request(
                "GET",
                target.url,
                _HEADERS,
                b"",
                _CONNECT_SECONDS,
                self._seconds,
                max_connections=_AT_ONCE,
                address=address,
            )
            try:
                return await self._door.send(request)
            except ExchangeFailed as failed:
                failure = failed
                if failed.kind not in ("connect", "timeout"):
                    break
        raise _failed(
            target.host, "no address was found" if failure is None else failure.message.rstrip(".")
        ) from failure

    async def _addresses(self, target: _Target) -> Sequence[str]:
        """All addresses of the host. Raises when one of them is out of bounds: who mixes them is not to be trusted."""
        try:
            addresses = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            raise _failed(target.host, "its name cannot be resolved") from None
        for address in addresses:
            wrong = objection(address, allow_private=self._allow_private)
            if wrong is not None:
                raise _failed(target.host, wrong)
        return addresses

    async def _read(self, target: _Target, reply: Reply) -> tuple[str, bytes]:
        if reply.status != 200:
            raise _failed(target.host, f"it answered {reply.status}")
        length = header(reply.headers, "content-length")
        if length is not None and length.isdecimal() and int(length) > self._max_bytes:
            raise _failed(target.host, f"the file is longer than {self._max_bytes} bytes")
        try:
            content = await read_all(reply, self._max_bytes)
        except ExchangeFailed as failure:
            raise _failed(target.host, failure.message.rstrip(".")) from failure
        return _media_type(reply), content


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _target(url: str) -> _Target:
    if _ODD.search(url):
        raise _failed(None, "it holds blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        host = (
            (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname
        )
        port = parts.port
    except ValueError:
        raise _failed(None, "it is not a URL") from None
    if parts.scheme not in _PORTS:
        raise _failed(None, "only http and https URLs are fetched")
    if not host or not _HOST.fullmatch(host):
        raise _failed(None, "it names no host")
    if "@" in parts.netloc:
        raise _failed(host, "a user name or password in it is not allowed")
    place = f"[{host}]" if ":" in host else host
    if port is not None:
        place += f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return _Target(
        f"{parts.scheme}://{place}{parts.path or '/'}{query}", host, _PORTS[parts.scheme] if port is None else port
    )


def _joined(target: _Target, elsewhere: str) -> str:
    try:
        return urljoin(target.url, elsewhere)
    except ValueError:
        raise _failed(target.host, "it redirected to what is not a URL") from None


def _media_type(reply: Reply) -> str:
    stated = (header(reply.headers, "content-type") or "").partition(";")[0].strip().lower()
    return stated if _MEDIA_TYPE.fullmatch(stated) else "application/octet-stream"


def _failed(host: str | None, reason: str) -> InvalidRequest:
    what = "The file URL cannot be used" if host is None else f"The file at '{host}' could not be fetched"
    return InvalidRequest(f"{what}: {reason}.", param="input", code="invalid_file_url")
