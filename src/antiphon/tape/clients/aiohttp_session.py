"""aiohttp's client session on the tape, by a middleware that stands innermost, next to the connection.

There it sees each hop of a redirect as a call of its own, and answers stay aiohttp's own responses: their body is a
reader of aiohttp's kind that pulls from our source. What it asks for is pulled as the other side sent it, chunk by
chunk, so that a recording does not depend on how fast the reader was.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from antiphon.tape.clients import call as calls
from antiphon.tape.clients.call import Gate, Place, Spool, let_through
from antiphon.tape.clients.coding import plain
from antiphon.tape.clients.endings import is_timeout, words_of
from antiphon.tape.clients.httpx_like import Patch
from antiphon.tape.clients.source import AsyncBody, Played, Relayed
from antiphon.tape.model import BodyFile, End, Headers, HttpCall
from antiphon.tape.refusal import Refusal
from antiphon.tape.steps import Live, Play, Wait

if TYPE_CHECKING:
    import aiohttp

_Handler = Callable[["aiohttp.ClientRequest"], Awaitable["aiohttp.ClientResponse"]]


def patches(module: ModuleType, gate: Gate) -> list[Patch]:
    """What to put in place. Raises ``RuntimeError`` for an aiohttp that has no client middlewares (before 3.12)."""
    original = module.ClientSession._request
    if "middlewares" not in inspect.signature(original).parameters:
        raise RuntimeError(f"recording needs aiohttp 3.12 or later, and this is {module.__version__}")

    async def _request(self: Any, method: str, url: Any, **options: Any) -> Any:
        own = options.get("middlewares")
        outer = self._middlewares if own is None else own
        options["middlewares"] = (*outer, _Middleware(gate, self, options))
        return await original(self, method, url, **options)

    return [(module.ClientSession, "_request", _request)]


class _Middleware:
    """The tape's place in one request of a session."""

    def __init__(self, gate: Gate, session: Any, options: dict[str, Any]) -> None:
        self._gate = gate
        decompress = options.get("auto_decompress")
        self._decompressed = session._auto_decompress if decompress is None else decompress
        timeout = options.get("timeout")
        self._patience = getattr(timeout if hasattr(timeout, "sock_read") else session._timeout, "sock_read", None)

    async def __call__(self, request: aiohttp.ClientRequest, handler: _Handler) -> aiohttp.ClientResponse:
        from antiphon.tape.clients.aiohttp_reader import Reader, whole

        place = self._gate(str(request.url))
        if place is None or request.headers.get("Upgrade", "").lower() == "websocket":
            with let_through():
                return await handler(request)
        call = await _call(request)
        try:
            step = place.begin(call)
            step = await step.step_async() if isinstance(step, Wait) else step
        except Refusal as refusal:
            return _answer(request, refusal.status, refusal.headers, whole(refusal.body, request._timer))
        place.decided(call, step)
        if isinstance(step, Play):
            body = AsyncBody(Played(place, step), _failure, self._patience)
            return _answer(request, step.http.status, step.http.headers, Reader(body, request._timer))
        if step.recorder is not None:
            request.headers["Accept-Encoding"] = "identity"
        try:
            with let_through():
                response = await handler(request)
        except BaseException:
            if step.recorder is not None:
                step.recorder.abandon()
            raise
        return await self._relay(place, step, response)

    async def _relay(self, place: Place, live: Live, response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
        from antiphon.tape.clients.aiohttp_reader import Reader

        if live.recorder is None and live.filter is None:
            return response
        headers: Headers = tuple(response.headers.items())
        if live.recorder is not None:
            coded = self._decompressed and "Content-Encoding" in response.headers
            live.recorder.begin(response.status, plain(headers) if coded else headers)
        body = AsyncBody(Relayed(place, live), _failure, self._patience, _Chunks(response.content))
        if response.status >= 400 and "event-stream" not in response.headers.get("Content-Type", ""):
            try:
                await body.read_ahead()
            except BaseException:
                body.closed()  # nobody gets the response, so nobody else would
                response.close()
                raise
        response.content = Reader(body, response._timer)
        return response


class _Chunks:
    """What the other side sent, a chunk of its transfer coding at a time, else as it came."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        content = self._content
        while True:
            if content.exception() is not None and content._buffer:
                # aiohttp forgets what has come once the connection has failed; a recording does not.
                return content._read_nowait(-1)
            data, _ = await content.readchunk()
            if data:
                return data
            if content.at_eof():
                raise StopAsyncIteration


# -- requests


async def _call(request: aiohttp.ClientRequest) -> HttpCall:
    body = await _read(request)
    coded_by_client = bool(request.compress)  # on its way only: what is compared is the text
    headers = tuple(
        (name, value)
        for name, value in request.headers.items()
        if not (coded_by_client and name.lower() == "content-encoding")
    )
    return calls.to_call(request.method, str(request.url), headers, body)


async def _read(request: aiohttp.ClientRequest) -> bytes | BodyFile:
    """The body, read to its end; what is sent afterwards is what was read."""
    from aiohttp.payload import BytesPayload

    payload: Any = request.body
    if isinstance(payload, BytesPayload):
        return await payload.as_bytes()
    if not payload:
        return b""
    collector = _Collector()
    await payload.write_with_length(collector, None)
    body = collector.spool.body()
    if isinstance(body, bytes):
        await request.update_body(body)
    else:
        file = Path(body.path).open("rb")  # noqa: SIM115, ASYNC230 - aiohttp closes it once it is sent
        await request.update_body(file)
        calls.keep_with(request, body)
    return body


class _Collector:
    """Stands where a request body is written to the connection."""

    def __init__(self) -> None:
        self.spool = Spool()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.spool.add(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.spool.add(chunk)

    async def drain(self) -> None:
        """It is never full."""

    def enable_chunking(self) -> None:
        """Parts of a form may ask for it; it is a matter of the connection."""

    def enable_compression(self, *_: Any, **__: Any) -> None:
        """The same."""


# -- answers


def _failure(end: End, error: str) -> Exception:
    import aiohttp

    name, message = words_of(error)
    found = getattr(aiohttp, name, None) if name else None
    if isinstance(found, type) and issubclass(found, aiohttp.ClientError):
        try:
            return found(message)
        except TypeError:  # one of those that tell of a host or a request
            pass
    if is_timeout(name):
        return aiohttp.SocketTimeoutError(message)
    return aiohttp.ClientPayloadError(message)


def _answer(request: aiohttp.ClientRequest, status: int, headers: Headers, content: Any) -> aiohttp.ClientResponse:
    """A response as its session would have made it, without a connection."""
    from aiohttp import http
    from multidict import CIMultiDict, CIMultiDictProxy

    known = inspect.signature(request.response_class.__init__).parameters
    options = {
        "writer": None,
        "continue100": None,
        "timer": request._timer,
        "request_info": request.request_info,
        "traces": request._traces,
        "loop": request.loop,
        "session": request._session,
        "stream_writer": SimpleNamespace(output_size=0),
    }
    make: Any = request.response_class
    response: Any = make(
        request.method, request.original_url, **{name: value for name, value in options.items() if name in known}
    )
    response.version = http.HttpVersion11
    response.status = status
    response.reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    response._headers = CIMultiDictProxy(CIMultiDict(headers))
    response._raw_headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    response._raw_cookie_headers = tuple(response._headers.getall("Set-Cookie", ())) or None
    response._closed = False
    response.content = content
    response.content.on_eof(response._response_eof)
    return response  # type: ignore[no-any-return]
