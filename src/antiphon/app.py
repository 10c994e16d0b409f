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

from starlette.routing import Route
from starlette.routing import Router as Routes

from antiphon import ambient
from antiphon.config import Config, UpstreamConfig
from antiphon.config.mask import masked_url
from antiphon.http.exchange import Exchange
from antiphon.http.logs import log_to_stderr
from antiphon.http.middleware import ASGIApp, Frame
from antiphon.http.models import Models
from antiphon.http.openapi import openapi
from antiphon.http.passthrough import Passthrough
from antiphon.http.peer import Receive, Scope, Send
from antiphon.http.responses import Responses
from antiphon.responses.sealing import Sealer, load_keys
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
#: New objects between two looks of the garbage collector. A request makes a few hundred, nearly all without cycles.
_GC_THRESHOLD = 20_000
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Handler = Callable[[Exchange], Awaitable[None]]


class CannotStart(Exception):
    """The server cannot start, in a sentence for a person."""


def create_app(config: Config, environ: Mapping[str, str], own: Sequence[Address] = ()) -> ASGIApp:
    """The application. ``own`` are the addresses it will listen on, so that it never takes itself for a back end."""
    routes = Routes()
    framed = Frame(routes)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await framed(scope, receive, send)
            return
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                routes.routes[:] = await _open(config, environ, own, stack)
            except (CannotStart, CannotOpen) as why:
                await send({"type": "lifespan.startup.failed", "message": f"Cannot start: {why}."})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return app


async def _open(
    config: Config, environ: Mapping[str, str], own: Sequence[Address], stack: contextlib.AsyncExitStack
) -> list[Route]:
    """Everything opened, and its closing put on the stack; the routes that use it."""
    door = Door({"http": (network := Network()), "https": network, "demo": DemoTransport()})
    stack.push_async_callback(door.aclose)
    router = await _router(config, environ, own, door)
    store = await open_store(config.storage)
    stack.push_async_callback(store.close)
    fetcher = Fetcher(door, allow_private=config.server.host in _LOOPBACK)
    sealer = functools.cache(functools.partial(_sealer, config, environ))
    service = Service(config.responses, router, store, sealer, fetcher.fetch)
    stack.push_async_callback(service.close)
    expiry = asyncio.create_task(_expire(store, config.storage.journal_retention_seconds))
    stack.push_async_callback(_end, expiry)
    return _routes(config, service, router)


def serve(config: Config, environ: Mapping[str, str]) -> None:
    """Listen and serve until told to stop. Exits with a sentence when it cannot start."""
    import uvicorn

    from antiphon.http.protocol import AntiphonHttpProtocol

    log_to_stderr(config.server.log_level, access_log=config.server.access_log)
    try:
        sock = _listen(config.server.host, config.server.port)
        own = [(config.server.host, sock.getsockname()[1])]
        app = create_app(config, environ, own)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=AntiphonHttpProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=max(1, round(config.server.shutdown_seconds)),
            )
        )
        host = f"[{own[0][0]}]" if ":" in own[0][0] else own[0][0]
        # What is here now stays: the collector need not look at it again, and may look less often at the rest.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        _log.info("Listening on http://%s:%d/v1", host, own[0][1])
        server.run(sockets=[sock])
    except CannotStart as why:
        sys.exit(f"antiphon: {why}")
    if not server.started:
        sys.exit(3)


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


def _sealer(config: Config, environ: Mapping[str, str]) -> Sealer:
    return Sealer(load_keys(environ.get("ANTIPHON_KEYS"), Path(config.storage.data_dir) / _KEY_FILE))


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
