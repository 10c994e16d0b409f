"""HTTP(S) over sockets, behind the door: aiohttp's connector and parser without its session.

The connector brings the pool, name resolution, TLS and proxies; the parser reads HTTP. The session between them would
cost more than both (measured: 92 against 43 microseconds a request), for cookies, redirects, middlewares and tracing
that are not wanted here: redirects are not followed, cookies not kept, netrc is not read, and proxies come from the
environment, once. One clock per connection watches for silence instead of a timer per read, and connections rest on a
shelf of our own.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from yarl import URL

from antiphon.upstream.door import ExchangeFailed, FailureKind, Headers, Reply, Request, Sink
from antiphon.upstream.plain import Heads
from antiphon.upstream.push import Push, PushingProtocol, taken
from antiphon.upstream.shelf import Shelf

#: How long the rest of a finished stream may take to arrive before its connection is given up. Seconds.
FINISH_SECONDS = 1.0

#: A kept connection that the peer closed meanwhile is replaced so often.
_ATTEMPTS = 3
_CACHED = 512
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class _Place:
    """A URL made ready: what the connector needs to connect, and the head of a request but for its method.

    ``shelves``: where its connections rest, by how many there may be. ``heads``: those of its answers.
    """

    __slots__ = ("_known", "absolute", "head", "heads", "key", "shelves")

    def __init__(
        self, url: URL, proxy: URL | None, loop: asyncio.AbstractEventLoop, address: str | None = None
    ) -> None:
        self.key = aiohttp.ClientRequest("GET", url, loop=loop, proxy=proxy)
        host = self.key.headers["Host"]
        if address is not None:
            self.key = aiohttp.ClientRequest("GET", url.with_host(address), loop=loop, server_hostname=url.host)
        self.absolute = proxy is not None and url.scheme == "http"  # such a proxy wants the whole URL, and its password
        target = str(url.with_fragment(None).with_user(None)) if self.absolute else url.raw_path_qs
        self.head = f" {target} HTTP/1.1\r\nHost: {host}\r\n"
        self.shelves: dict[int, Shelf] = {}
        self.heads = Heads()
        self._known: tuple[str, Headers, bytes] | None = None

    def start(self, method: str, headers: Headers) -> bytes:
        """The head of a request but for the length of its body. Raises ``ValueError`` for a header that would break
        out of its line. That of a back end's own headers, which are the same object every time, is made once."""
        known = self._known
        if known is not None and known[1] is headers and known[0] == method:
            return known[2]
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
            raise ValueError("a header holds a line break")
        start = f"{method}{self.head}{lines}{self.proxy_header()}".encode()
        self._known = method, headers, start
        return start

    def proxy_header(self) -> str:
        """The proxy's password as a header line; known to the connector once it has connected."""
        auth = self.key.headers.get("Proxy-Authorization") if self.absolute else None
        return f"Proxy-Authorization: {auth}\r\n" if auth else ""


class _Connector(aiohttp.TCPConnector):
    """A pool whose connections can hand over what they read from the first byte on."""

    def __init__(self, max_connections: int) -> None:
        super().__init__(limit=0, limit_per_host=max_connections, resolver=aiohttp.ThreadedResolver())
        self._factory = functools.partial(PushingProtocol, loop=self._loop)  # type: ignore[assignment]


class Network:
    """The transport for ``http`` and ``https``. Connectors are made on first use, inside the running loop."""

    def __init__(self, *, proxies: Mapping[str, str] | None = None) -> None:
        """``proxies`` maps a scheme (or ``no``) to a proxy, as ``urllib`` reads it; None reads the environment now."""
        self._proxies = dict(urllib.request.getproxies() if proxies is None else proxies)
        self._connectors: dict[int, aiohttp.TCPConnector] = {}
        self._places: dict[str, _Place] = {}
        self._shelves: dict[tuple[int, ConnectionKey], Shelf] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._lingering: set[NetworkReply] = set()
        self._closed = False

    async def send(self, request: Request) -> Reply:
        """One exchange. Raises ``ExchangeFailed``; when cancelled, the connection is cut at once."""
        try:
            if request.address is not None:
                place = _Place(_http_url(request.url), None, asyncio.get_running_loop(), request.address)
            else:
                place = self._places.get(request.url) or self._place(request.url)
        except ValueError as failure:
            raise _failed(failure, request) from failure
        shelf = place.shelves.get(request.max_connections) or self._shelf(request, place)
        broken: ExchangeFailed | None = None
        attempt = 1
        while True:
            connection = None if shelf is None else shelf.take()
            if connection is None:
                try:
                    connection = await self._connect(request, place, shelf)
                except ExchangeFailed as failure:
                    if broken is None:
                        raise
                    raise broken from failure  # the peer was there, and may have the request
            protocol: PushingProtocol = connection.protocol  # type: ignore[assignment]  # see _Connector
            reply = NetworkReply(connection, protocol, shelf, request, self._lingering)
            reused = protocol.used
            try:
                await reply.start(place)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError) as failure:
                # The peer may close a kept connection just as we reach for it: another one gets the request. But a
                # peer that died over it looks the same, and has had the request.
                broken = _failed(failure, request)
                if not (reused and request.repeatable) or attempt == _ATTEMPTS:
                    raise broken from failure
                attempt += 1
            except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, ValueError) as failure:
                raise _failed(failure, request) from failure
            else:
                return reply

    async def aclose(self) -> None:
        """Cuts every connection."""
        self._closed = True
        for reply in list(self._lingering):
            await reply.aclose()
        self._clear_shelves()
        connectors, self._connectors = self._connectors, {}
        for connector in connectors.values():
            await connector.close()

    async def _connect(self, request: Request, place: _Place, shelf: Shelf | None) -> Connection:
        if self._closed:
            raise ExchangeFailed("refused", "the server is closing.")
        connector = self._connectors.get(request.max_connections)
        if connector is None:
            connector = self._connectors[request.max_connections] = _Connector(request.max_connections)
        if shelf is not None:
            shelf.waiting += 1
        try:
            while True:
                connection = await connector.connect(place.key, [], self._timeout(request.connect_seconds))
                protocol = cast("PushingProtocol", connection.protocol)
                if not (protocol.used and protocol.should_close):
                    return connection
                connection.close()  # something came on it since, which would be taken for the answer
        except TimeoutError as failure:
            raise ExchangeFailed("timeout", f"no connection within {request.connect_seconds:g} s.") from failure
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise _failed(failure, request) from failure
        finally:
            if shelf is not None:
                shelf.waiting -= 1

    def _shelf(self, request: Request, place: _Place) -> Shelf | None:
        """Where connections to this place rest; None for an address that was found for one request, and for a proxy
        whose password only connecting tells."""
        if request.address is not None or place.absolute:
            return None
        origin = request.max_connections, place.key.connection_key
        shelf = self._shelves.get(origin)
        if shelf is None:
            if len(self._shelves) >= _CACHED:
                self._clear_shelves()
            shelf = self._shelves[origin] = Shelf()
        place.shelves[request.max_connections] = shelf
        return shelf

    def _clear_shelves(self) -> None:
        for shelf in self._shelves.values():
            shelf.close()
        self._shelves.clear()
        self._places.clear()  # they know the shelves

    def _place(self, text: str) -> _Place:
        if len(self._places) >= _CACHED:
            self._places.clear()
        url = _http_url(text)
        place = self._places[text] = _Place(url, self._proxy(url), asyncio.get_running_loop())
        return place

    def _proxy(self, url: URL) -> URL | None:
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if not proxy or url.host is None or url.host in _LOCAL:
            return None
        if urllib.request.proxy_bypass_environment(url.host, self._proxies):  # type: ignore[attr-defined]
            return None
        return URL(proxy)

    def _timeout(self, seconds: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            if len(self._timeouts) >= _CACHED:
                self._timeouts.clear()
            # "connect" also bounds the wait for a free connection of the pool.
            timeout = self._timeouts[seconds] = aiohttp.ClientTimeout(connect=seconds, sock_connect=seconds)
        return timeout


def _http_url(text: str) -> URL:
    url = URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not an HTTP URL")
    return url


def _bytes(request: Request, place: _Place) -> bytes:
    """The request as it is sent."""
    start, body = place.start(request.method, request.headers), request.body
    if body or request.method != "GET":
        return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), body)
    return start + b"\r\n"


class NetworkReply:
    """A reply whose body is still coming. It is its own ``reads``."""

    __slots__ = (
        "_connection",
        "_held",
        "_lingering",
        "_message",
        "_over",
        "_payload",
        "_protocol",
        "_push",
        "_request",
        "_shelf",
        "_since",
        "_time",
        "_timer",
        "status",
    )

    def __init__(
        self,
        connection: Connection,
        protocol: PushingProtocol,
        shelf: Shelf | None,
        request: Request,
        lingering: set[NetworkReply],
    ) -> None:
        self._connection = connection
        self._shelf = shelf
        # None once the connection has been given back: it may serve another by then.
        self._protocol: PushingProtocol | None = protocol
        self._request = request
        self._lingering = lingering
        self._time = protocol._loop.time
        self._since: float | None = self._time()  # since when we wait for the peer; None while we do not
        self._timer: asyncio.TimerHandle | None = None
        self._payload: aiohttp.StreamReader | None = None  # None while the parser knows nothing of the answer
        self._held = b""  # what came of the body without the parser
        self._over = False  # the last byte of the body is here
        self._push: Push | None = None
        self._message: RawResponseMessage | None = None
        self.status = 0

    async def start(self, place: _Place) -> None:
        """Sends the request and waits for the status line. On any failure the connection is cut."""
        request, protocol = self._request, self._protocol
        assert protocol is not None
        try:
            heads = None if request.method == "HEAD" else place.heads
            protocol.ask(self, _bytes(request, place), request.read_seconds, heads)
            while True:
                message: RawResponseMessage
                body: Any
                message, body = await protocol.read()
                if message.code >= 200:
                    break
        except BaseException:
            self._cut()
            raise
        self._since = None
        self._message = message
        self.status = message.code
        # Not before the message was read may the connection serve another, which would read it.
        if type(body) is not tuple:
            self.parsed_by(body)
        else:
            self._held, over = body
            if over:
                self.ended()
            elif self._payload is not None:
                self._payload.on_eof(self.ended)
        if protocol.transport is None:
            self.lost()

    def parsed_by(self, payload: aiohttp.StreamReader) -> None:
        """The library's reader of the body, or of what is still to come of it."""
        self._payload = payload
        if self._message is not None:
            payload.on_eof(self.ended)

    def lost(self) -> None:
        """The connection is gone. A body that is not HTTP ends here: the library tells nobody of that."""
        payload = self._payload
        if payload is not None and not self._over and payload.exception() is None:
            payload.set_exception(aiohttp.ClientPayloadError())

    @property
    def headers(self) -> Headers:
        """The headers; without those that were true only of the coded body, when it came compressed."""
        assert self._message is not None
        headers = self._message.headers
        if "Content-Encoding" in headers:
            return tuple((k, v) for k, v in headers.items() if k.lower() not in ("content-encoding", "content-length"))
        return tuple(headers.items())

    @property
    def reads(self) -> AsyncIterator[bytes]:
        """The body, one item per network read."""
        return self

    def __aiter__(self) -> NetworkReply:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            data, self._held = self._held, b""
            return data
        payload = self._payload
        if payload is None:
            if self._over:
                raise StopAsyncIteration
            payload = self._parsed()
        self._since = self._time()
        try:
            # The library forgets what it has read once the connection has failed; we hand it over first.
            data = taken(payload) or await payload.readany()
        except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, RuntimeError) as failure:
            self._cut()
            # The reader keeps it, and its traceback would hold us, who hold the reader.
            raise _failed(failure, self._request) from failure.with_traceback(None)
        self._since = None
        if not data:
            raise StopAsyncIteration
        return data

    def push(self, sink: Sink) -> None:
        """Call the sink with what is here, then with every read in the moment it is parsed."""
        payload, protocol = self._payload, self._protocol
        held, self._held = self._held, b""
        self._since = self._time()
        if protocol is None or self._over:
            data = held if payload is None else held + taken(payload)
            if data:
                sink.read(data)
            sink.end()
            return
        plain = self._message is not None and not self._message.compression
        self._push = Push(protocol, payload, sink, self._broke, plain=plain, held=held)

    def _parsed(self) -> aiohttp.StreamReader:
        """The reader of what is still to come, made now where it must be."""
        if self._payload is None:
            assert self._protocol is not None
            self._protocol.parse()
        assert self._payload is not None
        return self._payload

    def _broke(self, failure: BaseException) -> ExchangeFailed:
        self._cut()
        failed = _failed(failure, self._request)
        failed.__cause__ = failure  # as after a "raise ... from"
        return failed

    def pause(self) -> None:
        """Let the peer wait."""
        self._since = None
        if self._protocol is not None:
            self._protocol.hold()

    def resume(self) -> None:
        """Go on reading."""
        self._since = self._time()
        if self._protocol is not None:
            self._protocol.resume_reading()

    async def aclose(self, *, complete: bool = False) -> None:
        """Cuts the connection, unless the body has come to its end: then it has been given back already.

        With ``complete`` the end has ``FINISH_SECONDS`` to come.
        """
        if self._over:
            return
        if complete and self._protocol is not None:
            self._parsed()  # which drops what nobody takes
        if self._push is not None:
            self._push.detach()
        if complete and self._protocol is not None:
            self._protocol.dismiss()
            self._timer = self._protocol._loop.call_later(FINISH_SECONDS, self._cut)
            self._lingering.add(self)  # nobody else holds us now, and the loop may end before the timer
        else:
            self._cut()

    def ended(self) -> None:
        """The last byte of the body is here: the connection may serve another."""
        self._over = True
        protocol = self._let_go()
        if protocol is None:
            return
        protocol.used = True
        if self._shelf is None:
            self._connection.release()
        else:
            self._shelf.put(self._connection)

    def _cut(self) -> None:
        if self._push is not None:
            self._push.detach()
        if self._let_go() is None:
            return
        if self._payload is not None and not self._over:
            self._payload._eof_callbacks.clear()  # they hold us, and we hold it
        self._connection.close()

    def _let_go(self) -> PushingProtocol | None:
        """The connection, which this reply has no more to do with; None the second time."""
        if self._timer is not None:
            self._timer.cancel()
            self._lingering.discard(self)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.dismiss()
        return protocol

    def patience(self) -> float:
        """How long the peer may still be silent; only while we wait for it does that time pass."""
        since, limit = self._since, self._request.read_seconds
        if since is None:
            return limit
        if self._push is not None:
            since = max(since, self._push.read_at)
        return limit - (self._time() - since)

    def silent(self) -> None:
        """Gives the peer up."""
        silence = aiohttp.SocketTimeoutError()
        if self._message is not None:
            self._parsed().set_exception(silence)
        elif self._protocol is not None:
            self._protocol.set_exception(silence)


def _failed(failure: BaseException, request: Request) -> ExchangeFailed:
    """The library's exception as ours. Its own text may hold the URL with a password, so only known words are used."""
    kind: FailureKind = "connect"
    if isinstance(failure, TimeoutError):
        kind, text = "timeout", f"silent for {request.read_seconds:g} s."
    elif isinstance(failure, aiohttp.ClientConnectorDNSError):
        text = "the host name cannot be resolved."
    elif isinstance(failure, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError)):
        text = "the TLS certificate or handshake was not accepted."
    elif isinstance(failure, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        text = "the proxy does not let us through."
    elif isinstance(failure, aiohttp.ClientConnectorError):
        text = f"cannot connect ({_os_words(failure.os_error)})."
    elif isinstance(failure, (aiohttp.InvalidURL, ValueError)):
        kind, text = "refused", "its URL, or a header for it, is not valid."
    elif isinstance(failure, aiohttp.ServerDisconnectedError):
        kind, text = "broken", "it closed the connection without an answer."
    elif isinstance(failure, aiohttp.ClientPayloadError):
        kind, text = "broken", "it closed the connection before the answer was complete."
    elif isinstance(failure, HttpProcessingError):
        kind, text = "broken", "it does not speak HTTP."
    else:
        kind, text = "broken", f"the connection broke ({type(failure).__name__})."
    return ExchangeFailed(kind, text)


def _os_words(error: Any) -> str:
    """What the system says of a failed connection, without the address: the caller names the place."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "timed out"
    return type(error).__name__
