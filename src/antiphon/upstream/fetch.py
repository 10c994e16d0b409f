"""A file or page at a URL that a client or a model names, without lending either our place in the network.

Hosts are judged by ``upstream/egress``. Redirects are followed by hand, each target judged the same. Size and time are
bounded, and so is the number of files on their way at once.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from urllib.parse import urljoin

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.upstream.door import ExchangeFailed, Reply, Request, Transport, header, read_all
from antiphon.upstream.egress import BadTarget, Egress, Resolve, Target, target

MAX_BYTES = 32 * 1024 * 1024
SECONDS = 30.0
MAX_REDIRECTS = 5

_AT_ONCE = 16
_CONNECT_SECONDS = 5.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_CHARSET = re.compile(r"(?i);\s*charset\s*=\s*\"?([a-z0-9_.:-]{1,40})")

#: Why a host is not to be asked; None when it may be.
Refuse = Callable[[str], str | None]


class NotFetched(Exception):
    """Why not, in words that never hold more of the URL than its ``host`` (None where it has none): the rest may hold
    a key."""

    def __init__(self, host: str | None, reason: str) -> None:
        super().__init__(reason)
        self.host = host
        self.reason = reason


class Fetched(msgspec.Struct, frozen=True):
    """What was at a URL, and the URL at which it was after all redirects. ``charset`` as the server says it."""

    url: str
    media_type: str
    charset: str | None
    content: bytes


class _Wanted(msgspec.Struct, frozen=True):
    """How one file is to be got."""

    accept: str
    max_bytes: int
    seconds: float
    refuse: Refuse | None


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
        over: Callable[[Transport], Transport] | None = None,
    ) -> None:
        """``allow_private`` lets loopback and local networks be reached: for a server that only its own machine uses.

        ``max_bytes`` of one file; ``seconds`` for all of it, redirects included. ``over`` lays a transport over the
        guarded one (a recorder): it is asked before any host is looked up.
        """
        egress = Egress(door, allow_private=allow_private, resolve=resolve)
        self._way: Transport = egress if over is None else over(egress)
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, url: str) -> str:
        """The file as ``data:<media type>;base64,...``. Raises ``InvalidRequest`` with code ``invalid_file_url``.

        The error names the host and the reason; never the rest of the URL, which may hold a key.
        """
        try:
            got = await self.get(url)
        except NotFetched as failure:
            raise _invalid(failure) from None
        return f"data:{got.media_type};base64,{base64.b64encode(got.content).decode()}"

    async def get(
        self,
        url: str,
        *,
        accept: str = "*/*",
        max_bytes: int | None = None,
        seconds: float | None = None,
        refuse: Refuse | None = None,
    ) -> Fetched:
        """The file itself. Raises ``NotFetched``. ``max_bytes`` and ``seconds`` narrow this fetcher's own.

        ``refuse`` judges the host of the URL and of every redirect by name, before anybody is asked.
        """
        wanted = _Wanted(
            accept,
            self._max_bytes if max_bytes is None else min(max_bytes, self._max_bytes),
            self._seconds if seconds is None else min(seconds, self._seconds),
            refuse,
        )
        there = _target(url)
        async with self._slots:
            try:
                async with asyncio.timeout(wanted.seconds):
                    return await self._follow(there, wanted)
            except TimeoutError:
                raise NotFetched(there.host, f"it took longer than {wanted.seconds:g} s") from None

    async def _follow(self, there: Target, wanted: _Wanted) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self._ask(there, wanted)
            try:
                elsewhere = header(reply.headers, "location") if reply.status in _REDIRECTS else None
                if elsewhere is None:
                    return await self._read(there, reply, wanted.max_bytes)
            finally:
                await reply.aclose()
            there = _target(_joined(there, elsewhere))
        raise NotFetched(there.host, f"it redirected more than {MAX_REDIRECTS} times")

    async def _ask(self, there: Target, wanted: _Wanted) -> Reply:
        wrong = wanted.refuse(there.host) if wanted.refuse is not None else None
        if wrong is not None:
            raise NotFetched(there.host, wrong)
        headers = (("Accept", wanted.accept), ("User-Agent", "antiphon"))
        request = Request("GET", there.url, headers, b"", _CONNECT_SECONDS, wanted.seconds, max_connections=_AT_ONCE)
        try:
            return await self._way.send(request)
        except ExchangeFailed as failed:
            raise NotFetched(there.host, failed.message.rstrip(".")) from failed

    async def _read(self, there: Target, reply: Reply, max_bytes: int) -> Fetched:
        if reply.status != 200:
            raise NotFetched(there.host, f"it answered {reply.status}")
        length = header(reply.headers, "content-length")
        if length is not None and length.isdecimal() and int(length) > max_bytes:
            raise NotFetched(there.host, f"the file is longer than {max_bytes} bytes")
        try:
            content = await read_all(reply, max_bytes)
        except ExchangeFailed as failure:
            raise NotFetched(there.host, failure.message.rstrip(".")) from failure
        return Fetched(there.url, _media_type(reply), _charset(reply), content)


def _target(url: str) -> Target:
    try:
        return target(url)
    except BadTarget as wrong:
        raise NotFetched(wrong.host, wrong.reason) from None


def _joined(there: Target, elsewhere: str) -> str:
    try:
        return urljoin(there.url, elsewhere)
    except ValueError:
        raise NotFetched(there.host, "it redirected to what is not a URL") from None


def _media_type(reply: Reply) -> str:
    stated = (header(reply.headers, "content-type") or "").partition(";")[0].strip().lower()
    return stated if _MEDIA_TYPE.fullmatch(stated) else "application/octet-stream"


def _charset(reply: Reply) -> str | None:
    found = _CHARSET.search(header(reply.headers, "content-type") or "")
    return found[1].lower() if found else None


def _invalid(failure: NotFetched) -> InvalidRequest:
    host = failure.host
    what = "The file URL cannot be used" if host is None else f"The file at '{host}' could not be fetched"
    return InvalidRequest(f"{what}: {failure.reason}.", param="input", code="invalid_file_url")
