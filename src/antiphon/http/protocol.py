"""uvicorn's HTTP protocol, with its connection shown to the application.

A streamed token must not wake a task, so a live stream writes to the transport itself (``http/sse``). For that it needs
three things that ASGI does not give: the transport, and word of a lost connection or a full buffer at the moment they
happen. They come as a ``Connection`` in the scope's extensions; under any other server there is none, and the stream
falls back to ``await send``.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, service_unavailable
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

EXTENSION = "antiphon.connection"

RawHeaders = Sequence[tuple[bytes, bytes]]

#: Requests of one connection that may wait for their turn before it is not read on.
_MAX_WAITING = 100
_INVALID = "Invalid HTTP request received."
#: Bytes read before a request's head is complete. More than one read, which may hold the end of a body too.
_MAX_HEAD = 1024 * 1024
_CLOSE = b"connection: close\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n\r\n"  # the last line of a head


class Writer(Protocol):
    """Who writes to the transport directly, and must hear when it is full."""

    def pause(self) -> None:
        """The buffer is over its high-water mark."""

    def resume(self) -> None:
        """The buffer has drained."""

    def tick(self) -> float:
        """Called now and then: whether there is something to say into a silence. When to be asked again."""


class Rounds:
    """Who writes to a connection at the moment, asked now and then.

    A timer that outlives the reply for which it was set serves the next one too: it asks no later than that one's own
    would, and is told by what it asks when to come again. So a reply costs no timer.
    """

    __slots__ = ("_timer", "loop", "writer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.writer: Writer | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, at: float) -> None:
        """Ask the writer at this time of the loop at the latest."""
        if self._timer is None:
            self._timer = self.loop.call_at(at, self._ask)

    def end(self) -> None:
        """The connection is lost."""
        self.writer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self._timer = None
        if self.writer is not None:
            self.ask(self.writer.tick())


def header_lines(headers: RawHeaders) -> bytes:
    """Headers as they are sent; names in lowercase. Raises ``ValueError`` for a value that would break out of its
    line."""
    lines = b""
    for name, value in headers:
        if not value.isalnum() and HEADER_VALUE_RE.search(value):
            raise ValueError("a header holds a control character")
        lines += b"%b: %b\r\n" % (name, value)
    return lines


def connection_of(scope: Mapping[str, Any]) -> Connection | None:
    """That of a request on our own protocol."""
    extensions = scope.get("extensions")
    return extensions.get(EXTENSION) if extensions else None


class Connection(RequestResponseCycle):
    """One request, its reply, and its view of the connection: uvicorn's own, in fewer steps.

    A reply may go to the transport itself, where nobody but uvicorn would see it on its way: in one write with its
    head, and without the price of uvicorn's ``send``, which is that of many tokens. An event is only made for who waits
    for more of the request, and its task is counted out without a callback.
    """

    chunked_encoding: bool | None = None
    expected_content_length = 0
    task: asyncio.Task[None] | None = None

    def __init__(self, protocol: AntiphonHttpProtocol, scope: Any, keep_alive: bool) -> None:
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.rounds = protocol.rounds
        self.logger = protocol.logger
        self.access_logger = protocol.access_logger
        self.access_log = protocol.access_log
        self.default_headers = protocol.server_state.default_headers
        self.message_event: Any = _NOBODY
        self.on_response = protocol.on_response_complete
        self.tasks = protocol.tasks
        self.pipeline = protocol.pipeline
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.parts: list[bytes] = []
        self.waiting = 0
        """Bytes of the body that came, and were not taken yet."""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._told = False  # the application has had the end of the body
        self._direct = False  # the reply was begun here
        self.corked: list[bytes] | None = None
        """What is to leave with the next write, in pieces, once something was begun."""
        self.on_lost: Callable[[], None] | None = None

    @property
    def gone(self) -> bool:
        """The peer has gone, or is being let go."""
        return self.disconnected or self.transport.is_closing()

    @property
    def full(self) -> bool:
        """Whether the buffer is over its high-water mark."""
        return bool(self.flow.write_paused)

    @property
    def chunked(self) -> bool:
        """Whether the body that was begun goes out in HTTP/1.1 chunks."""
        return bool(self.chunked_encoding) and not self.response_complete

    def whole_body(self, receive: object) -> bytes | None:
        """The whole body of the request, as it would come from ``receive``. None where that must be asked: it is not
        uvicorn's own, or not all of the body is here."""
        if getattr(receive, "__self__", None) is not self:
            return None
        if self.more_body or self.disconnected or self.response_complete:
            return None
        here: bytes = self.take()
        return here

    def takes(self, send: object) -> bool:
        """Whether a reply may be written here instead of to ``send``: that is uvicorn's own, which has nothing to wait
        for and nothing to add."""
        if getattr(send, "__self__", None) is not self or self.scope["method"] == "HEAD":
            return False
        waits = self.response_started or self.disconnected or self.flow.write_paused
        return not (waits or self.default_headers or self.access_log)

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """A whole reply, where it is taken; ``headers`` are lines, the length among them."""
        self.response_started = True
        self.waiting_for_100_continue = False
        closing = b"" if self.keep_alive else _CLOSE
        self.transport.write(b"".join((STATUS_LINE[status], headers, closing, b"\r\n", body)))
        self._complete()

    def begin(self, status: int, headers: bytes) -> None:
        """The head of a reply in chunks, where it is taken; it leaves with the first chunk. ``headers`` are lines."""
        self.response_started = self.chunked_encoding = self._direct = True
        self.waiting_for_100_continue = False
        self.corked = [STATUS_LINE[status], headers, b"" if self.keep_alive else _CLOSE, _CHUNKED]

    def uncork(self) -> None:
        """Write what waits for the next write."""
        parts, self.corked = self.corked, None
        if parts and not self.gone:
            self.transport.write(b"".join(parts))

    def put(self, body: bytes) -> bool:
        """A chunk of a reply that was begun here. False, and nothing was done, when it was not, or when its reader has
        to be waited for."""
        if not self._open or not body or self.flow.write_paused:
            return False
        self.uncork()
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def finish(self, body: bytes) -> bool:
        """The last chunk, where there is one more, and the end, in one write with what waits for it. False, and only
        the latter was written, when the reply was not begun here, or its reader has still to read."""
        if not self._open or self.transport.get_write_buffer_size():
            self.uncork()
            return False
        end = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        parts, self.corked = self.corked, None
        self.transport.write(b"".join([*parts, end]) if parts else end)
        self._complete()
        return True

    def lose(self) -> None:
        """The peer has gone. uvicorn tells only the last request that came, which may wait behind this one."""
        if not self.response_complete:
            self.disconnected = True
            self.message_event.set()
        if self.on_lost is not None:
            self.on_lost()
        self.release()

    def resume_reading(self) -> None:
        """A peer is only seen to go while its socket is read; a large request body may have paused that. But where too
        many requests wait behind this one, what is read would only join them."""
        if self.flow.read_paused and len(self.pipeline) < _MAX_WAITING:
            self.flow.resume_reading()

    def release(self) -> None:
        """The reply is over. Otherwise the request would lie in a circle, and the collector had to come for it."""
        self.on_lost = self.rounds.writer = None

    @property
    def _open(self) -> bool:
        """Whether a reply was begun here that its client may still get more of."""
        return self._direct and not (self.disconnected or self.response_complete)

    def _complete(self) -> None:
        """What uvicorn does once it has written the end of a reply."""
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    # -- as uvicorn calls it

    async def run_asgi(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
            if not (self.response_complete or self.disconnected):
                await super().run_asgi(_silent)  # which tells the log and the client
        except BaseException:
            self.logger.exception("Exception in ASGI application")
            if self.response_started:
                self.transport.close()
            else:
                await self.send_500_response()
        finally:
            self.on_response = _nothing
            self.scope["extensions"].clear()  # we are in there
            self.tasks.discard(self.task)

    async def receive(self) -> Any:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        while not (self.disconnected or self.response_complete):
            if self.parts or not (self.more_body or self._told):
                return {"type": "http.request", "body": self.take(), "more_body": self.more_body}
            self.resume_reading()
            event = self.message_event
            if event is _NOBODY:
                event = self.message_event = asyncio.Event()
            await event.wait()
            if self.message_event is event:  # else another already waits for what comes next
                self.message_event = _NOBODY
        return {"type": "http.disconnect"}

    def take(self) -> bytes:
        """What has come of the body since it was last asked for."""
        parts, self.parts, self.waiting = self.parts, [], 0
        self._told = not self.more_body
        return parts[0] if len(parts) == 1 else b"".join(parts)


#: Where the fields after a body go: nobody checked them, so they are no headers of the request.
_TRAILER: Any = collections.deque(maxlen=0)


class _Nobody:
    """Stands for the event of a request for whose rest nobody waits."""

    def set(self) -> None:
        """Nobody hears it."""


_NOBODY = _Nobody()


def _nothing() -> None:
    pass


async def _silent(scope: object, receive: object, send: object) -> None:
    pass


class AntiphonHttpProtocol(HttpToolsProtocol):
    """As uvicorn's, but each request's scope holds its ``Connection``, and a request takes fewer steps.

    Nothing is upgraded (``settings``). What a connection repeats is worked out once: a scope is a copy of the last one,
    whose client asked for the same path. And one timer serves all its pauses.
    """

    connection: Connection | None = None
    _upgrading = b""
    _head: int | None = None
    """How much was read of a head that is not complete."""
    _idle_since: float | None = None
    _last_url: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.rounds = Rounds(self.loop)
        self._last_scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            # What is replaced stands here too, for to add to a copy takes longer.
            **dict.fromkeys(("http_version", "method", "path", "raw_path", "query_string", "headers", "state")),
            "extensions": None,
        }

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(_INVALID)
            return
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on(data[upgrade.args[0] :])
        if self._head is not None:
            self._head += len(data)
            if self._head > _MAX_HEAD:
                self._refuse("The head of the request is too long.")

    def _read_on(self, rest: bytes) -> None:
        """A request to speak another protocol is read again without that wish: the parser has ended with its head, and
        would take a body for that protocol."""
        if self._upgrading.startswith(b"CONNECT "):
            self._refuse(_INVALID)
            return
        lines = header_lines([header for header in self.headers if header[0] != b"upgrade"])
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"%b%b\r\n%b" % (self._upgrading, lines, rest))

    def _refuse(self, why: str) -> None:
        self.logger.warning(why)
        connection = self.connection
        if connection is not None and connection.response_started and not connection.response_complete:
            self.transport.close()  # what would be written here would be taken for a part of the reply
        else:
            self.send_400_response(why)

    def on_message_begin(self) -> None:
        self.url, self._head = b"", 0
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        parser, repeated, self._head = self.parser, self._last_scope, None
        if self.url != self._last_url:
            repeated.update(self._parsed(self.url))
            self._last_url = self.url
        if parser.should_upgrade():
            self._upgrading = b"%b %b HTTP/%b\r\n" % (
                parser.get_method(),
                self.url,
                parser.get_http_version().encode(),
            )
            return
        scope = repeated.copy()
        http_version = scope["http_version"] = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        scope["headers"], self.headers = self.headers, _TRAILER
        scope["state"] = self.app_state.copy()
        before = self.cycle
        cycle = self.cycle = Connection(self, scope, http_version != "1.0" and parser.should_keep_alive())
        app = self.app if self.limit_concurrency is None else self._limited()
        self._idle_since = None  # this may have come with the end of a body that nobody wanted
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, app)
        else:  # it came before the reply to the one before
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def _parsed(self, url: bytes) -> dict[str, Any]:
        """What a scope says of a URL."""
        parsed = httptools.parse_url(url)
        path = parsed.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        return {
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + parsed.path,
            "query_string": parsed.query or b"",
        }

    def _limited(self) -> Any:
        """The application, or a refusal where there are too many requests."""
        if max(len(self.connections), len(self.tasks)) < (self.limit_concurrency or 0):
            return self.app
        self.logger.warning("Exceeded concurrency limit.")
        return service_unavailable

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.connection = cycle
        cycle.scope["extensions"] = {EXTENSION: cycle}
        # Not by the loop: uvloop's has each task make up a name before it is given its own.
        task = cycle.task = asyncio.Task(cycle.run_asgi(app), loop=self.loop, name="request")
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if cycle.response_complete:  # nobody wants it, and it must not pass for a request under way
            self._rest()
            return
        cycle.parts.append(body)
        cycle.waiting += len(body)
        if cycle.waiting > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        cycle = self.cycle
        if cycle.response_complete:
            self._rest()
            return
        cycle.more_body = False
        cycle.message_event.set()

    def on_response_complete(self) -> None:
        if self.connection is not None:
            self.connection.release()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:  # the next one reads on where it needs to
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        self._rest()

    def _rest(self) -> None:
        """The connection is idle from now on."""
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that was idle for all that time."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # ``_rest`` sets the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again(left)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _look_again(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        self.pipeline.clear()  # nobody waits for those, and they hold us
        if self.connection is not None:
            self.connection.lose()
        self.rounds.end()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.rounds.writer is not None:
            self.rounds.writer.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.rounds.writer is not None:
            self.rounds.writer.resume()


def settings(app: Callable[..., Any], **more: Any) -> uvicorn.Config:
    """uvicorn's settings for this protocol; logs and headers are the application's own. ``more`` adds to them."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=AntiphonHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        **more,
    )
