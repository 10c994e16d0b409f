"""httpx and httpx2, which have one shape: their network transports, sync and async, on the tape.

Only the two transports that open sockets are touched. Transports of the user's own (ASGI, WSGI, mocks) are no network,
and what is built on another library is caught there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from antiphon.tape.clients import call as calls
from antiphon.tape.clients.call import Gate, Place, Spool, let_through
from antiphon.tape.clients.coding import decoder, plain
from antiphon.tape.clients.endings import is_timeout, words_of
from antiphon.tape.clients.source import AsyncBody, Failure, Played, Relayed, SyncBody
from antiphon.tape.model import BodyFile, End, Headers, HttpCall
from antiphon.tape.refusal import Refusal
from antiphon.tape.steps import Live, Play, Wait

if TYPE_CHECKING:
    from httpx2 import Request, Response

#: A class, the name of a method of it, and what is to stand in its place.
Patch = tuple[type, str, Callable[..., Any]]


def patches(module: ModuleType, gate: Gate) -> list[Patch]:
    """What to put in place for this family, ``httpx`` or ``httpx2``."""
    family = _Family(module)
    sync, asynchronous = module.HTTPTransport, module.AsyncHTTPTransport
    return [
        (sync, "handle_request", _sync(family, gate, sync.handle_request)),
        (asynchronous, "handle_async_request", _async(family, gate, asynchronous.handle_async_request)),
    ]


class _Family:
    """The classes of one of the twins."""

    def __init__(self, module: ModuleType) -> None:
        self.response: Callable[..., Response] = module.Response
        self._request_error: type[Exception] = module.RequestError
        self._module = module
        # Each family insists on its own base classes.
        sync_base, async_base = module.SyncByteStream, module.AsyncByteStream
        self.plain: Any = module.ByteStream
        self.of_file: Any = type("FileStream", (_FileStream, sync_base, async_base), {})
        self.sync_stream: Any = type("SyncStream", (_SyncStream, sync_base), {})
        self.async_stream: Any = type("AsyncStream", (_AsyncStream, async_base), {})

    def failure(self, end: End, error: str) -> Exception:
        """The exception with which this family tells such an end."""
        name, message = words_of(error)
        found = getattr(self._module, name, None) if name else None
        if not (isinstance(found, type) and issubclass(found, self._request_error)):
            found = self._module.ReadTimeout if is_timeout(name) else self._module.ReadError
        made: Exception = found(message)
        return made

    def refused(self, refusal: Refusal) -> Response:
        """The answer to a call that the tape does not let through."""
        return self.response(refusal.status, headers=list(refusal.headers), stream=self.plain(refusal.body))


def _sync(family: _Family, gate: Gate, original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_request(self: Any, request: Request) -> Response:
        url = str(request.url)
        place = gate(url)
        if place is None:
            with let_through():
                return original(self, request)  # type: ignore[no-any-return]
        call = _call(request, url, _read(family, request))
        try:
            step = place.begin(call)
            step = step.step() if isinstance(step, Wait) else step
        except Refusal as refusal:
            return family.refused(refusal)
        place.decided(call, step)
        if isinstance(step, Play):
            body = SyncBody(Played(place, step), family.failure, _patience(request))
            return _answer(family, step.http.status, step.http.headers, family.sync_stream(body))
        _want_plain(request, step)
        try:
            with let_through():
                response = original(self, request)
        except BaseException:
            _abandon(step)
            raise
        return _relay_sync(family, place, step, request, response)

    return handle_request


def _relay_sync(family: _Family, place: Place, live: Live, request: Request, response: Response) -> Response:
    if live.recorder is None and live.filter is None:
        return response
    stream: Any = response.stream
    source = _relayed(place, live, response)
    body = SyncBody(source, family.failure, _patience(request), iter(stream))
    relayed = response.stream = family.sync_stream(body, stream)
    if _is_refusal(response):
        try:
            body.read_ahead()
        except BaseException:
            relayed.close()  # nobody gets the response, so nobody else would
            raise
    return response


def _async(family: _Family, gate: Gate, original: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def handle_async_request(self: Any, request: Request) -> Response:
        url = str(request.url)
        place = gate(url)
        if place is None:
            with let_through():
                return await original(self, request)  # type: ignore[no-any-return]
        call = _call(request, url, await _aread(family, request))
        try:
            step = place.begin(call)
            step = await step.step_async() if isinstance(step, Wait) else step
        except Refusal as refusal:
            return family.refused(refusal)
        place.decided(call, step)
        if isinstance(step, Play):
            body = AsyncBody(Played(place, step), family.failure, _patience(request))
            return _answer(family, step.http.status, step.http.headers, family.async_stream(body))
        _want_plain(request, step)
        try:
            with let_through():
                response = await original(self, request)
        except BaseException:
            _abandon(step)
            raise
        return await _relay_async(family, place, step, request, response)

    return handle_async_request


async def _relay_async(family: _Family, place: Place, live: Live, request: Request, response: Response) -> Response:
    if live.recorder is None and live.filter is None:
        return response
    stream: Any = response.stream
    source = _relayed(place, live, response)
    body = AsyncBody(source, family.failure, _patience(request), aiter(stream))
    relayed = response.stream = family.async_stream(body, stream)
    if _is_refusal(response):
        try:
            await body.read_ahead()
        except BaseException:
            await relayed.aclose()  # nobody gets the response, so nobody else would
            raise
    return response


# -- requests


def _call(request: Request, url: str, body: bytes | BodyFile) -> HttpCall:
    headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw])
    return calls.to_call(request.method, url, headers, body)


def _read(family: _Family, request: Request) -> bytes | BodyFile:
    """The body of a request, read to its end; what is sent afterwards is what was read."""
    spool = Spool()
    for part in request.stream:  # type: ignore[union-attr]
        spool.add(part)
    return _resend(family, request, spool.body())


async def _aread(family: _Family, request: Request) -> bytes | BodyFile:
    spool = Spool()
    async for part in request.stream:  # type: ignore[union-attr]
        spool.add(part)
    return _resend(family, request, spool.body())


def _resend(family: _Family, request: Request, body: bytes | BodyFile) -> bytes | BodyFile:
    if isinstance(body, BodyFile):
        request.stream = family.of_file(body)
        calls.keep_with(request.stream, body)
    elif not isinstance(request.stream, family.plain):
        request.stream = family.plain(body)
    return body


def _want_plain(request: Request, live: Live) -> None:
    """What is recorded is to be readable: no compression is asked for."""
    if live.recorder is not None:
        request.headers["accept-encoding"] = "identity"


def _patience(request: Request) -> float | None:
    timeout = request.extensions.get("timeout")
    read = timeout.get("read") if isinstance(timeout, dict) else None
    return float(read) if isinstance(read, (int, float)) else None


# -- answers


def _answer(family: _Family, status: int, headers: Headers, stream: Any) -> Response:
    return family.response(status, headers=list(headers), stream=stream, extensions={"http_version": b"HTTP/1.1"})


def _relayed(place: Place, live: Live, response: Response) -> Relayed:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    decoding = decoder(headers) if live.recorder is not None else None
    if decoding is not None:
        headers = plain(headers)
        for name in ("content-encoding", "content-length"):
            response.headers.pop(name, None)
    if live.recorder is not None:
        live.recorder.begin(response.status_code, headers)
    return Relayed(place, live, decoding)


def _is_refusal(response: Response) -> bool:
    return response.status_code >= 400 and "event-stream" not in response.headers.get("content-type", "")


def _abandon(live: Live) -> None:
    if live.recorder is not None:
        live.recorder.abandon()


class _FileStream:
    """A long request body, from its file."""

    def __init__(self, body: BodyFile) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield from calls.pieces(self._body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in calls.pieces(self._body):
            yield piece


class _SyncStream:
    """The body of an answer; ``under`` is the live stream that it is read from."""

    def __init__(self, body: SyncBody, under: Any = None) -> None:
        self._body = body
        self._under = under

    def __iter__(self) -> Iterator[bytes]:
        return self._body

    def close(self) -> None:
        try:
            if self._under is not None:
                self._under.close()
        finally:
            self._body.closed()


class _AsyncStream:
    """The same for a loop."""

    def __init__(self, body: AsyncBody, under: Any = None) -> None:
        self._body = body
        self._under = under

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def aclose(self) -> None:
        try:
            if self._under is not None:
                await self._under.aclose()
        finally:
            self._body.closed()


__all__ = ["Failure", "Patch", "patches"]
