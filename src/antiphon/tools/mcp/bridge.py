"""The MCP package's HTTP client, led through our door. Only ``session`` imports this: it loads ``httpx2``.

The package is told the server's bare address; path parameters and credentials are put on here, so that nothing it logs
or raises can hold them. Every request goes to the server's own origin and, where the egress policy is for it, to the
addresses that were judged when the connection began.

What the package would make of a failing request depends on where it happens, and mostly forgets the status. So a
request that carries a JSON-RPC message and fails is answered here with a JSON-RPC error, which carries the failure.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from antiphon.tools.mcp.failures import CONNECTION_CLOSED, NO_ANSWER, Failed, answered
from antiphon.tools.mcp.server import Server
from antiphon.upstream.door import ExchangeFailed, Reply, Request, Transport
from antiphon.upstream.egress import Egress

#: Key of a JSON-RPC error's ``data`` under which a failure stands. No server can know it.
MARK = f"antiphon-{uuid.uuid4().hex}"

_CONNECT_SECONDS = 10.0
#: A stream of events may be silent for as long as it likes; what waits for an answer has its own clock.
_SILENCE_SECONDS = 86_400.0
_AT_ONCE = 512
#: Set for the connection as it is, not as the package would have it.
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "user-agent"})
_OWN_HEADERS = (("Accept-Encoding", "gzip, deflate"), ("User-Agent", "antiphon"))
_PORTS = {"http": 80, "https": 443}
_STREAM = "text/event-stream"


class Bridge(httpx2.AsyncBaseTransport):
    """One connection's requests. ``failure`` is the last that mattered; ``on_failure`` is told of each of those.

    ``events``: the connection is one long stream of events, which must not fail. Otherwise a stream that is asked for
    (GET) is one that the server may well not have.
    """

    def __init__(
        self, server: Server, door: Transport, egress: Egress, max_bytes: int, *, events: bool = False
    ) -> None:
        assert server.url is not None
        self.failure: Failed | None = None
        self.on_failure: Callable[[], None] | None = None
        self._events = events
        self._server = server
        self._url = server.url
        self._door = door
        self._egress = egress
        self._max_bytes = max_bytes
        self._addresses: Sequence[str] | None = None

    @property
    def url(self) -> str:
        """The address without its query, for the package."""
        return self._url.url.partition("?")[0]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One exchange; never raises for a failed one."""
        try:
            reply = await self._send(request)
        except ExchangeFailed as failed:
            about = "was not reached" if failed.kind in ("connect", "refused") else "gave no answer"
            return self._failed(request, Failed("http_error", NO_ANSWER, f"The server {about}: {failed.message}"))
        if reply.status >= 400:
            return await self._refused(request, reply)
        kind = _header(reply, "content-type").lower()
        limit = None if kind.startswith(_STREAM) else self._max_bytes  # the package bounds events one by one
        return httpx2.Response(reply.status, headers=list(reply.headers), stream=_Body(reply, limit))

    async def _send(self, request: httpx2.Request) -> Reply:
        body = await request.aread()
        outgoing = Request(
            request.method,
            self._real(request.url),
            (*self._headers(request), *_OWN_HEADERS),
            body,
            _CONNECT_SECONDS,
            _SILENCE_SECONDS,
            max_connections=_AT_ONCE,
            repeatable=not _is_call(body),
        )
        if self._server.exempt:
            return await self._door.send(outgoing)
        if self._addresses is None:
            self._addresses = await self._egress.addresses(self._url.host, self._url.port)
        return await self._egress.dial(outgoing, self._addresses)

    def _headers(self, request: httpx2.Request) -> list[tuple[str, str]]:
        ours = {name.lower() for name, _ in self._server.headers}
        theirs = [(name, value) for name, value in request.headers.items() if name not in _OURS and name not in ours]
        return [*theirs, *((name, value) for name, value in self._server.headers if name.lower() not in _OURS)]

    def _real(self, url: httpx2.URL) -> str:
        """The URL with the server's own parameters. Raises for another origin: credentials are for this one."""
        asked, own = urlsplit(str(url)), urlsplit(self._url.url)
        if (asked.scheme, asked.hostname, asked.port or _PORTS[own.scheme]) != (
            own.scheme,
            own.hostname,
            self._url.port,
        ):
            raise ExchangeFailed("refused", "it led to another place.")
        if asked.path == own.path and own.query and not asked.query:
            return self._url.url
        return str(url)

    async def _refused(self, request: httpx2.Request, reply: Reply) -> httpx2.Response:
        """A status that is an error; a server may have put a JSON-RPC error behind it, which says more."""
        body = httpx2.Response(reply.status, stream=_Body(reply, self._max_bytes))
        try:
            content = await body.aread()
        except httpx2.StreamError:
            content = b""
        finally:
            await reply.aclose()
        if reply.status == 404 and request.headers.get("mcp-session-id"):
            return self._failed(request, answered(reply.status), lost=True)
        if reply.status not in (401, 403) and _is_rpc_error(content):
            kind = (("content-type", "application/json"),)
            return httpx2.Response(reply.status, headers=list(kind), content=content)
        return self._failed(request, answered(reply.status))

    def _failed(self, request: httpx2.Request, failure: Failed, *, lost: bool = False) -> httpx2.Response:
        if request.method == "POST" or self._events:
            self.failure = failure
            if self.on_failure is not None:
                self.on_failure()
        data = {MARK: {**failure.error(), "lost": lost}}
        error = {"code": CONNECTION_CLOSED, "message": failure.message, "data": data}
        return httpx2.Response(failure.code, json={"jsonrpc": "2.0", "id": None, "error": error})


class _Body(httpx2.AsyncByteStream):
    """A reply's body as the package reads it. Its failures are of a kind that the package answers for."""

    def __init__(self, reply: Reply, limit: int | None) -> None:
        self._reply = reply
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for data in self._reply.reads:
                size += len(data)
                if self._limit is not None and size > self._limit:
                    raise httpx2.StreamError(f"the answer is longer than {self._limit} bytes")
                yield data
        except ExchangeFailed as failed:
            raise httpx2.StreamError(failed.message) from failed

    async def aclose(self) -> None:
        await self._reply.aclose()


def _header(reply: Reply, name: str) -> str:
    return next((value for key, value in reply.headers if key.lower() == name), "")


class _Message(msgspec.Struct):
    method: str = ""


def _is_call(body: bytes) -> bool:
    """Whether it calls a tool: nobody knows what a second call would do."""
    return bool(body) and msgspec.json.decode(body, type=_Message).method == "tools/call"


def _is_rpc_error(content: bytes) -> bool:
    try:
        said: Any = json.loads(content)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("jsonrpc") == "2.0" and isinstance(said.get("error"), dict)
