"""A transport of the Tape's own, for a proxy that is used without a server: aiohttp's session, made modest.

It follows no redirect, keeps no cookie and adds no header, so that what the client sent is what arrives. Bodies that
were spooled to a file are sent from the file. Proxies come from the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from antiphon.tape.model import BodyFile, Headers

if TYPE_CHECKING:
    import aiohttp

FailureKind = Literal["connect", "timeout", "broken", "refused"]

#: Headers that aiohttp would make up where the client sent none.
_OWN = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Outgoing(msgspec.Struct, frozen=True):
    """A request to send; ``headers`` without ``Host`` and ``Content-Length``. Times in seconds.

    ``read_seconds`` is the longest silence allowed, before the status line and between two reads. ``max_connections``
    and ``address`` are for transports that look at them.
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes | BodyFile = b""
    connect_seconds: float = 10.0
    read_seconds: float = 600.0
    max_connections: int = 1000
    address: str | None = None


class OutboundFailed(Exception):
    """The exchange never began, or broke. ``kind`` says how; the text holds no header, no body and no URL.

    ``connect``: no connection; ``timeout``: silence; ``broken``: the peer went away or spoke nonsense; ``refused``: the
    request itself is not valid.
    """

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message


class Outbound:
    """Moves requests out and replies in, over one session that is made at the first use."""

    def __init__(self, *, max_connections: int = 1000) -> None:
        """``max_connections`` bounds the connections open to one origin."""
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Outgoing) -> OutboundReply:
        """Returns once the status line is here. Raises ``OutboundFailed``."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, connect=request.connect_seconds, sock_read=request.read_seconds)
        headers = list(request.headers)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_failures(request))
            data: object = request.body or None
            if isinstance(request.body, BodyFile):
                # A part at a time, read in a thread; closed by aiohttp once it is sent, and by us in any case.
                data = stack.enter_context(await asyncio.to_thread(Path(request.body.path).open, "rb"))
                headers.append(("Content-Length", str(request.body.size)))
            response = await self._open().request(
                request.method,
                request.url,
                headers=headers,
                data=data,
                timeout=timeout,
                allow_redirects=False,
                skip_auto_headers=_OWN,
            )
        return OutboundReply(response, request)

    async def aclose(self) -> None:
        """Cuts every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._max_connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session


class OutboundReply:
    """A reply whose body is still coming."""

    def __init__(self, response: aiohttp.ClientResponse, request: Outgoing) -> None:
        self._response = response
        self._request = request
        self.status = response.status

    @property
    def headers(self) -> Headers:
        """The headers; without those that were true only of the coded body, when it came compressed."""
        headers = self._response.headers
        if "Content-Encoding" in headers:
            return tuple((k, v) for k, v in headers.items() if k.lower() not in ("content-encoding", "content-length"))
        return tuple(headers.items())

    @property
    def reads(self) -> AsyncIterator[bytes]:
        """The body, one item per network read; raises ``OutboundFailed``."""
        return self._reads()

    async def _reads(self) -> AsyncIterator[bytes]:
        content = self._response.content
        while True:
            with _failures(self._request):
                # aiohttp forgets what it has read once the connection has failed; it is handed over first.
                data = content.read_nowait() if content.total_bytes and _waiting(content) else await content.readany()
            if not data:
                return
            yield data

    async def aclose(self, *, complete: bool = False) -> None:
        """Gives the connection back when the body is over, and cuts it otherwise."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _waiting(content: aiohttp.StreamReader) -> bool:
    return bool(content._buffer)


def was_reset(failure: BaseException) -> bool:
    """Whether the peer reset the connection, from what a transport raised. aiohttp says so in the words only, when it
    was in the middle of a body.
    """
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ConnectionResetError) or "ConnectionResetError(" in str(cause):
            return True
        cause = cause.__cause__
    return False


@contextlib.contextmanager
def _failures(request: Outgoing) -> Iterator[None]:
    """aiohttp's exceptions as ours. Their own text may hold the URL, so only known words are used."""
    import aiohttp

    try:
        yield
    except aiohttp.ConnectionTimeoutError as failure:
        raise OutboundFailed("timeout", f"no connection within {request.connect_seconds:g} s.") from failure
    except TimeoutError as failure:
        raise OutboundFailed("timeout", f"silent for {request.read_seconds:g} s.") from failure
    except aiohttp.ClientConnectorDNSError as failure:
        raise OutboundFailed("connect", "the host name cannot be resolved.") from failure
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as failure:
        raise OutboundFailed("connect", "the TLS certificate or handshake was not accepted.") from failure
    except aiohttp.ClientConnectorError as failure:
        refused = isinstance(failure.os_error, ConnectionRefusedError)
        raise OutboundFailed("connect", "connection refused." if refused else "cannot connect.") from failure
    except (aiohttp.InvalidURL, ValueError) as failure:
        raise OutboundFailed("refused", "its URL, or a header for it, is not valid.") from failure
    except (aiohttp.ClientError, OSError) as failure:
        how = "was reset" if was_reset(failure) else "broke"
        raise OutboundFailed("broken", f"the connection {how} before the answer was complete.") from failure
