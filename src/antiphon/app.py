"""Where the concrete parts are chosen and joined. Nothing below knows which parts there are.

``create_app`` gives the ASGI application; its lifespan opens everything, and closes it in the order in which it is
needed: first the runs, which still want to write, then the store, then the door. ``serve`` runs it on uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.routing import Route
from starlette.routing import Router as Routes

from antiphon import ambient
from antiphon.config import Config, UpstreamConfig
from antiphon.config.mask import masked_url
from antiphon.http.exchange import Exchange
from antiphon.http.logs import log_to_stderr
from antiphon.http.middleware import Frame
from antiphon.http.models import Models
from antiphon.http.openapi import openapi
from antiphon.http.passthrough import Passthrough
from antiphon.http.peer import Receive, Scope, Send
from antiphon.http.protocol import AntiphonHttpProtocol
from antiphon.http.responses import Responses
from antiphon.responses.sealing import BadKey, Sealer, load_keys
from antiphon.responses.service import Service
from antiphon.storage import CannotOpen, Store, open_store
from antiphon.upstream.chat import Upstream
from antiphon.upstream.demo import DemoTransport, demo_upstream
from antiphon.upstream.discovery import Address, discover, is_own
from antiphon.upstream.door import Door
from antiphon.upstream.fetch import Fetcher
from antiphon.upstream.network import Network
from antiphon.upstream.routing import Router

_log = logging.getLogger("antiphon")

_KEY_FILE = "keys"
#: How often logs whose retention is over are dropped. Seconds.
_EXPIRY_SECONDS = 600.0
_BACKLOG = 2048
#: How long a stopped run has to tell its end and be stored before its connection is cut.
_CUT_SECONDS = 1.0
#: New objects between two looks of the garbage collector. A request makes a few hundred, nearly all without cycles.
_GC_THRESHOLD = 20_000
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Handler = Callable[[Exchange], Awaitable[None]]


class CannotStart(Exception):
    """The server cannot start, in a sentence for a person."""


class App:
    """The ASGI application: what it needs is opened and closed by its lifespan, or by who calls ``open`` and ``close``.

    ``own`` are the addresses it will listen on, so that it never takes itself for a back end.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], own: Sequence[Address]) -> None:
        self._config = config
        self._environ = environ
        self._own = own
        self._routes = Routes()
        self._framed = Frame(self._routes)
        self._stack = contextlib.AsyncExitStack()
        self._service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._framed(scope, receive, send)
            return
        await receive()
        try:
            await self.open()
        except CannotStart as why:
            await send({"type": "lifespan.startup.failed", "message": f"Cannot start: {why}."})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def open(self) -> None:
        """Everything opened, and its closing put on the stack. Raises ``CannotStart``."""
        config = self._config
        async with contextlib.AsyncExitStack() as stack:
            try:
                sealer = _sealer(config, self._environ)
                door = Door({"http": (network := Network()), "https": network, "demo": DemoTransport()})
                stack.push_async_callback(door.aclose)
                router = await _router(config, self._environ, self._own, door)
                store = await open_store(config.storage)
            except (CannotOpen, BadKey) as why:
                raise CannotStart(str(why)) from why
            stack.push_async_callback(store.close)
            fetcher = Fetcher(door, allow_private=config.server.host in _LOOPBACK)
            self._service = Service(config.responses, router, store, sealer, fetcher.fetch)
            stack.push_async_callback(self._service.close)
            expiry = asyncio.create_task(_expire(store, config.storage.journal_retention_seconds))
            stack.push_async_callback(_end, expiry)
            self._routes.routes[:] = _routes(config, self._service, router)
            self._stack = stack.pop_all()

    def stop_runs(self) -> None:
        """Begin no more runs, and end those that are under way: their streams are closed well, and stored."""
        if self._service is not None:
            self._service.stop()

    async def close(self) -> None:
        """Let go of everything, once what was accepted is stored."""
        await self._stack.aclose()


def create_app(config: Config, environ: Mapping[str, str], own: Sequence[Address] = ()) -> App:
    """The application for any ASGI server."""
    return App(config, environ, own)


class _Server(uvicorn.Server):
    """uvicorn's, with an end in steps: nobody new is let in; at the end of ``grace``, or at a second signal, the runs
    are stopped; and ``_CUT_SECONDS`` later what still holds a connection loses it.

    It opens and closes the application itself, so that a start that fails is one sentence of ours.
    """

    def __init__(self, config: uvicorn.Config, app: App, grace: float) -> None:
        super().__init__(config)
        self._app = app
        self._grace = grace
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await self._app.open()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        patience = asyncio.get_running_loop().call_later(self._grace, self._hurry)
        try:
            await super().shutdown(sockets)
        finally:
            patience.cancel()
            await self._app.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal. uvicorn would raise it again in the end, and the exit code would say that we were killed."""
        if self.should_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self._hurry)
        self.should_exit = True

    def _hurry(self) -> None:
        self._app.stop_runs()
        asyncio.get_running_loop().call_later(_CUT_SECONDS, self._cut)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def serve(config: Config, environ: Mapping[str, str]) -> None:
    """Listen and serve until told to stop. Exits with a sentence when it cannot start."""
    log_to_stderr(config.server.log_level, access_log=config.server.access_log)
    try:
        sock = _listen(config.server.host, config.server.port)
        own = [(config.server.host, sock.getsockname()[1])]
        app = create_app(config, environ, own)
        settings = uvicorn.Config(
            app,
            http=AntiphonHttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
        )
        host = f"[{own[0][0]}]" if ":" in own[0][0] else own[0][0]
        # What is here now stays: the collector need not look at it again, and may look less often at the rest.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        _log.info("Listening on http://%s:%d/v1", host, own[0][1])
        _Server(settings, app, config.server.shutdown_seconds).run(sockets=[sock])
    except CannotStart as why:
        logging.shutdown()  # what was said before the end is written before it
        sys.exit(f"antiphon: cannot start: {why}")


def _routes(config: Config, service: Service, router: Router) -> list[Route]:
    responses = Responses(service, config)
    passthrough, models = Passthrough(router, stall_seconds=config.responses.reader_stall_seconds), Models(router)
    table: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/responses", responses.create),
        ("POST", "/v1/responses/input_tokens", responses.input_tokens),
        ("GET", "/v1/responses/{response_id}", responses.retrieve),
        ("DELETE", "/v1/responses/{response_id}", responses.delete),
        ("POST", "/v1/responses/{response_id}/cancel", responses.cancel),
        ("GET", "/v1/responses/{response_id}/input_items", responses.input_items),
        ("POST", "/v1/chat/completions", passthrough.chat),
        ("POST", "/v1/completions", passthrough.completions),
        ("POST", "/v1/embeddings", passthrough.embeddings),
        ("GET", "/v1/models", models.list),
        ("GET", "/v1/models/{model:path}", models.get),
        ("GET", "/health", _health),
        ("GET", "/openapi.json", openapi),
    ]
    limit = config.server.max_body_bytes
    return [Route(path, _Endpoint(handler, limit), methods=[method]) for method, path, handler in table]


class _Endpoint:
    """A handler as the ASGI application that Starlette routes to."""

    __slots__ = ("_handler", "_max_body_bytes")

    def __init__(self, handler: Handler, max_body_bytes: int) -> None:
        self._handler = handler
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._handler(Exchange(scope, receive, send, max_body_bytes=self._max_body_bytes))


async def _health(exchange: Exchange) -> None:
    await exchange.json({"status": "ok"})


async def _router(config: Config, environ: Mapping[str, str], own: Sequence[Address], door: Door) -> Router:
    """The back ends: those configured, else those found; and always the demo model."""
    chosen: dict[str, UpstreamConfig] = dict(config.upstreams)
    default = config.default_upstream
    for name, upstream in chosen.items():
        if await is_own(upstream.url, own):
            raise CannotStart(f"the upstream '{name}' ({masked_url(upstream.url)}) is this server itself")
        _log.info("Upstream '%s': configured.", name)
    if not chosen and config.discover:
        for finding in await discover(environ, own, door):
            _log.info("%s", finding.sentence)
            if finding.config is not None:
                chosen[finding.name] = finding.config
    if default is not None and default not in chosen:
        raise CannotStart(f"default_upstream is '{default}', and there is no upstream of that name")
    if default is None and (len(chosen) == 1 or not config.upstreams):
        default = next(iter(chosen), None)
    if default is not None:
        _log.info("Default upstream: '%s'.", default)
    else:
        _log.info("No default upstream: models are found by the lists of the upstreams and by 'name/model'.")
    _log.info("The built-in model 'demo' is served by that name.")
    upstreams = {name: Upstream(name, upstream, door) for name, upstream in chosen.items()}
    return Router(upstreams, default, demo_upstream(door))


def _sealer(config: Config, environ: Mapping[str, str]) -> Callable[[], Sealer]:
    """Makes the sealer at its first use. Raises ``BadKey`` now for keys that are there and cannot be used."""
    configured, key_file = environ.get("ANTIPHON_KEYS"), Path(config.storage.data_dir) / _KEY_FILE
    if key_file.exists():
        load_keys(configured, key_file)
    return functools.cache(lambda: Sealer(load_keys(configured, key_file)))


async def _expire(store: Store, retention: int) -> None:
    """Drop event logs whose time is over, now and then."""
    while True:
        await asyncio.sleep(_EXPIRY_SECONDS)
        try:
            gone = await store.expire_journals(int(ambient.now()) - retention)
        except Exception:  # noqa: BLE001 - a database that is away for a while must not end the housekeeping
            _log.exception("Expired event logs could not be dropped; the next try is in %d s.", _EXPIRY_SECONDS)
        else:
            if gone:
                _log.info("Dropped the event logs of %d responses.", gone)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else: who calls early waits in its queue instead of being refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    sock.listen(_BACKLOG)
    return sock
