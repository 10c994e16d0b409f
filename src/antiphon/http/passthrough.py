"""``/v1/chat/completions``, ``/v1/completions`` and ``/v1/embeddings``: the back end's own answer, as it comes.

Of the request only ``model`` is read. Its bytes go on unchanged where the route keeps the name, else with that one
value replaced; and a file that a chat names by an id of ours is put in its place (``http/chat_files``). Of the reply
each network read is one write; status and body stay as they are, and of the headers those that clients act on. The
query string stays here: these endpoints have no parameter in it, and some clients carry keys there.

How it ends when it cannot go well:

- *Refused by the back end*: its status and its body, when that is an error as OpenAI writes them and holds no secret;
  else the same in that form.
- *Broken before the first byte* of a body that is no event stream: an HTTP error (502, 504), which clients try again.
- *Broken later*: what came stays; a last event ``data: {"error": ...}`` follows where an event stream was between two
  events, for that is what OpenAI's SDKs raise with the reason in it. Then the connection closes without the end of the
  body, because a clean end is taken for success by clients that know no such event, and by all for a body cut short.
- *The client hangs up*: the back end's connection is cut at once. *It does not read*: the back end is paused, and after
  ``stall_seconds`` the client is let go.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from antiphon.errors import InvalidRequest, UpstreamError
from antiphon.files.showing import Showing, reads
from antiphon.http.chat_files import may_hold_files, with_files
from antiphon.http.exchange import ClientGone, Exchange
from antiphon.http.peer import Peer
from antiphon.http.protocol import RawHeaders, header_lines
from antiphon.http.sending import Sending
from antiphon.storage.model import Owner
from antiphon.upstream.chat import MAX_ERROR_BYTES, Upstream
from antiphon.upstream.door import ExchangeFailed, Reply, header, host_of, read_all
from antiphon.upstream.errors import refusal, scrub, unreachable
from antiphon.upstream.routing import Route, Router
from antiphon.wire.reading import convert, decode_object, missing_parameter

_log = logging.getLogger("antiphon.http")


class _Message(msgspec.Struct):
    message: str


class _Error(msgspec.Struct):
    """The least that makes a body an error to OpenAI's clients; what else it holds is kept."""

    error: _Message


_decode_error = msgspec.json.Decoder(_Error).decode
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_CHAT = "/chat/completions"
#: Reply headers that go back to the client, beside those that begin with the prefix.
_KEPT = frozenset(
    {"content-type", "content-length", "openai-version", "retry-after", "retry-after-ms", "x-should-retry"}
)
#: Of those, the ones that an error of ours has itself.
_BODY_HEADERS = frozenset({"content-type", "content-length"})
_KEPT_PREFIX = "x-ratelimit-"
_LENGTH = b"content-length"
#: Headers that tell proxies to let events through one by one.
_UNBUFFERED = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))

#: Bytes after which an event stream stands between two events.
_EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")

#: How long a broken connection may take to hand over what was written to it. Seconds.
_FLUSH_SECONDS = 5.0


Fields = dict[str, msgspec.Raw]


class Passthrough:
    """Handlers over one ``Router``."""

    def __init__(self, router: Router, showing: Showing | None = None, *, stall_seconds: float = 60.0) -> None:
        """A client that takes nothing for ``stall_seconds`` is let go. Without ``showing`` there are no files here."""
        self._router = router
        self._showing = showing
        self._stall_seconds = stall_seconds

    async def chat(self, exchange: Exchange) -> None:
        """``POST /v1/chat/completions``, streamed or not."""
        await self._pass(exchange, _CHAT)

    async def completions(self, exchange: Exchange) -> None:
        """``POST /v1/completions``, streamed or not."""
        await self._pass(exchange, "/completions")

    async def embeddings(self, exchange: Exchange) -> None:
        """``POST /v1/embeddings``; numbers or base64, as the back end answers."""
        await self._pass(exchange, "/embeddings")

    async def _pass(self, exchange: Exchange, path: str) -> None:
        began = time.perf_counter()
        body = await exchange.body()
        fields, model = read_model(body)
        with exchange as peer:
            try:
                async with asyncio.timeout(None) as scope:
                    peer.on_gone(lambda: scope.reschedule(0))
                    route = await self._router.resolve(model)
                    told = fields
                    if path == _CHAT and may_hold_files(body):
                        told = await self._with_files(fields, exchange.owner, route)
                    if told is not fields or route.model != model:
                        body = _encode({**told, "model": route.model})
                    reply = await route.upstream.forward("POST", path, body, exchange.headers())
                    relay = _Relay(
                        exchange, peer, route.upstream, reply, stall_seconds=self._stall_seconds, began=began
                    )
                    try:
                        await relay.run()
                    finally:
                        await reply.aclose()
            except TimeoutError:
                if not scope.expired():
                    raise
                # The client has gone: nobody is left to be told.

    async def _with_files(self, fields: Fields, owner: Owner, route: Route) -> Fields:
        """The body with the files that its messages name; the same object where they name none."""
        messages = fields.get("messages")
        if messages is None or self._showing is None:
            return fields
        model_reads = reads(route.upstream.config, route.model)
        told = await with_files(bytes(messages), owner, self._showing, model_reads)
        return fields if told is None else {**fields, "messages": msgspec.Raw(told)}


def read_model(body: bytes) -> tuple[dict[str, msgspec.Raw], str]:
    """The top level of a body, its values as they were sent, and the model it names.

    Raises ``InvalidRequest``: not a JSON object (with the position), no model, or one that is not a string.
    """
    try:
        fields = _decode(body)
        if not body.isascii():
            body.decode()  # the parser does not look into what it leaves as it is
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        decode_object(body)  # knows where it is broken
        raise InvalidRequest(
            f"We could not parse the JSON body of your request: {failure}.", code="invalid_json"
        ) from failure
    sent = fields.get("model")
    model = None if sent is None else decode_object(b'{"model":%b}' % bytes(sent))["model"]
    if model is None or model == "":
        raise missing_parameter("model")
    return fields, convert(model, str, "model")


class _Relay:
    """One reply on its way from the back end to the client."""

    __slots__ = ("_began", "_events", "_exchange", "_peer", "_reply", "_stall_seconds", "_tail", "_upstream")

    def __init__(
        self, exchange: Exchange, peer: Peer, upstream: Upstream, reply: Reply, *, stall_seconds: float, began: float
    ) -> None:
        self._exchange = exchange
        self._peer = peer
        self._upstream = upstream
        self._reply = reply
        self._stall_seconds = stall_seconds
        self._began = began
        media = header(reply.headers, "content-type") or ""
        self._events = media.lower().startswith("text/event-stream")
        self._tail = b"\n\n"  # the last bytes that were sent; as if an event had just ended

    async def run(self) -> None:
        """Until all of it has gone on. Raises ``UpstreamError`` while the client can still be told by a status."""
        if 200 <= self._reply.status < 300:
            await self._answer()
        else:
            await self._refusal()

    async def _answer(self) -> None:
        reads = self._reply.reads
        try:
            # A stream says at once that it has begun; anything else can still fail with a status.
            first = b"" if self._events else await anext(reads, b"")
            whole = bool(first) and header(self._reply.headers, "content-length") == str(len(first))
            if whole:
                await anext(reads, b"")  # nothing, but who records what goes by is to see the end
        except ExchangeFailed as failure:
            raise self._broken(failure) from failure
        headers = [*self._headers(_KEPT - {"content-length"} if self._events else _KEPT)]
        if whole:
            await self._exchange.reply(self._reply.status, first, [one for one in headers if one[0] != _LENGTH])
            return
        if self._events:
            headers += _UNBUFFERED
        await self._begin(headers)
        try:
            if first:
                await self._put(first)
            async for data in reads:
                await self._put(data)
        except ExchangeFailed as failure:
            await self._break_off(self._broken(failure))
        else:
            connection = self._peer.connection
            if connection is None or not connection.finish(b""):
                await self._exchange.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, headers: RawHeaders) -> None:
        """The head, at once."""
        send, connection, status = self._exchange.send, self._peer.connection, self._reply.status
        direct = self._events and isinstance(send, Sending) and send.begin(status, header_lines(headers))
        if direct and connection is not None:
            connection.uncork()
        else:
            await send({"type": "http.response.start", "status": status, "headers": headers})

    async def _refusal(self) -> None:
        reply, upstream = self._reply, self._upstream
        try:
            body = await read_all(reply, MAX_ERROR_BYTES)
        except ExchangeFailed:
            body = b""  # the status alone still tells the client enough
        secrets = (upstream.config.key,) if upstream.config.key else ()
        error = refusal(upstream.name, reply.status, reply.headers, body, secrets)
        status = reply.status if 400 <= reply.status < 600 else 502
        as_sent = status == reply.status and _is_error(body) and _is_clean(body, secrets)
        shown = body if as_sent else error.body()
        await self._exchange.json(shown, status=status, headers=self._headers(_KEPT - _BODY_HEADERS))

    async def _put(self, data: bytes) -> None:
        """One read, one write. Waits for the client; raises ``ClientGone`` when it takes nothing for too long."""
        self._tail = (self._tail + data[-4:])[-4:]
        connection = self._peer.connection
        if connection is not None and connection.put(data):
            return
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._exchange.send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            if connection is not None:
                connection.transport.abort()
            raise ClientGone from None

    async def _break_off(self, error: UpstreamError) -> None:
        """An ending that nobody takes for a good one."""
        _log.warning("a reply that had begun broke off: %s", error.message)
        if self._events and self._tail.endswith(_EVENT_ENDS):
            await self._put(b"data: %b\n\n" % _encode(error.body()))
        connection = self._peer.connection
        if connection is None:
            raise error  # makes the server close the connection
        for end in (connection.transport.close, connection.transport.abort):
            end()  # the first still hands over what was written, if the client takes it
            await asyncio.sleep(_FLUSH_SECONDS)  # over as soon as the connection is: that is a hang-up like any other

    def _broken(self, failure: ExchangeFailed) -> UpstreamError:
        return unreachable(self._upstream.name, host_of(self._upstream.url), failure)

    def _headers(self, kept: frozenset[str]) -> list[tuple[bytes, bytes]]:
        took = int((time.perf_counter() - self._began) * 1000)
        headers = [(b"openai-processing-ms", str(took).encode())]
        for name, value in self._reply.headers:
            lower = name.lower()
            if lower in kept or lower.startswith(_KEPT_PREFIX):
                headers.append((lower.encode("latin-1"), value.encode("utf-8", "surrogateescape")))
        return headers


def _is_error(body: bytes) -> bool:
    """Whether this is an error as OpenAI's clients read it."""
    try:
        return bool(_decode_error(body).error.message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _is_clean(body: bytes, secrets: tuple[str, ...]) -> bool:
    text = body.decode()
    return scrub(text, secrets, len(text)) == text
