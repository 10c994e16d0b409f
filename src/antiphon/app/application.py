"""Where the concrete parts are chosen and joined. Nothing below knows which parts there are.

``create_app`` gives the ASGI application; its lifespan opens everything, and closes it in the order in which it is
needed: first the runs, which still want to write, then the store, then the door, then the tape.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Route
from starlette.routing import Router as Routes

from antiphon import ambient
from antiphon.app.filing import Filing
from antiphon.app.knowledge import Knowledge
from antiphon.app.published import CannotLoad, kits_of_others
from antiphon.app.tooling import own_kits, tooling
from antiphon.config import Config, UpstreamConfig
from antiphon.config.mask import masked_url
from antiphon.conversations.service import Conversations
from antiphon.conversations.turns import Turns
from antiphon.http.conversations import Conversations as ConversationRoutes
from antiphon.http.exchange import Exchange
from antiphon.http.files import Files as FileRoutes
from antiphon.http.middleware import Frame, exact
from antiphon.http.models import Models
from antiphon.http.openapi import openapi
from antiphon.http.passthrough import Passthrough
from antiphon.http.peer import Receive, Scope, Send
from antiphon.http.responses import Responses
from antiphon.http.uploads import Uploads as UploadRoutes
from antiphon.http.vector_stores import VectorStores as VectorStoreRoutes
from antiphon.responses.attachments import Attachments
from antiphon.responses.sealing import BadKey, Sealer, load_keys
from antiphon.responses.service import Service
from antiphon.storage import CannotOpen, Store, open_store
from antiphon.tools.base import Kit
from antiphon.upstream.chat import Upstream
from antiphon.upstream.demo import DemoTransport, demo_upstream
from antiphon.upstream.discovery import Address, discover, is_own
from antiphon.upstream.door import Door, Headers, Transport
from antiphon.upstream.fetch import Fetcher
from antiphon.upstream.network import Network
from antiphon.upstream.routing import Router

if TYPE_CHECKING:
    from antiphon.app.taping import Taping

_log = logging.getLogger("antiphon")

_KEY_FILE = "keys"
#: How often logs whose retention is over are dropped. Seconds.
_EXPIRY_SECONDS = 600.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Handler = Callable[[Exchange], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class CannotStart(Exception):
    """The server cannot start, in a sentence for a person."""


class App:
    """The ASGI application: what it needs is opened and closed by its lifespan, or by who calls ``open`` and ``close``.

    ``own`` are the addresses it will listen on, so that it never takes itself for a back end. ``kits`` are tools that
    it gets from outside, beside its own.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], own: Sequence[Address], kits: Sequence[Kit] = ()
    ) -> None:
        self._config = config
        self._environ = environ
        self._own = own
        self._kits = kits
        self._routes = Routes()
        self._exact: dict[tuple[str, str], ASGIApp] = {}
        self.http = _bound(Frame(self._routes, self._exact))
        """The application without its lifespan: for a server that calls ``open`` and ``close``."""
        self._taping: Taping | None = None
        if config.tape.dir is not None:
            from antiphon.app.taping import Taping  # a server without a tape never loads it

            self._taping = Taping(config.tape, environ, near=config.server.host in _LOOPBACK)
            self.http = self._taping.scoped(self.http)
        self._stack = contextlib.AsyncExitStack()
        self._service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.http(scope, receive, send)
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
                others = kits_of_others(config.tools.kits)
                for kit in others:
                    stack.push_async_callback(kit.aclose)
                door = Door({"http": (network := Network()), "https": network, "demo": DemoTransport()})
                stack.push_async_callback(door.aclose)
                out: Transport = door
                if self._taping is not None:
                    self._taping.say()
                    out = self._taping.on(door)
                    stack.push_async_callback(self._taping.close)
                router = await _router(config, self._environ, self._own, door, out)
                if self._taping is not None:
                    self._taping.name({name: one.url for name, one in router.upstreams.items()})
                store = await open_store(config.storage)
            except (CannotOpen, CannotLoad, BadKey) as why:
                raise CannotStart(str(why)) from why
            stack.push_async_callback(store.close)
            filing = Filing(config, store)
            stack.push_async_callback(filing.parsers.aclose)
            over = self._taping.over if self._taping is not None else None
            fetcher = Fetcher(door, allow_private=config.server.host in _LOOPBACK, over=over)
            turns = Turns(store.conversations, config.conversations.wait_seconds)
            conversations = Conversations(store, turns, config.responses)
            knowledge = Knowledge(config, store, filing.files, filing.parsers, router)
            stack.push_async_callback(knowledge.aclose)
            for housekeeping in (filing.keep_house(), knowledge.keep_house()):
                stack.push_async_callback(_end, asyncio.create_task(housekeeping))
            tape = self._taping.tape if self._taping is not None else None
            kits = own_kits(
                config,
                self._environ,
                door,
                fetcher,
                knowledge.stores,
                allow_private=config.server.host in _LOOPBACK,
                replays=tape is not None and tape.mode_of("tools") == "replay",
            )
            for kit in kits:
                stack.push_async_callback(kit.aclose)
            outside = self._taping.outside if self._taping is not None else None
            tools = tooling(config, [*kits, *others, *self._kits], outside)
            attachments = Attachments(filing.showing)
            self._service = Service(
                config.responses,
                router,
                store,
                conversations,
                sealer,
                fetcher.fetch,
                attachments,
                tools,
                _kept if config.storage.keep_exchanges else None,
            )
            stack.push_async_callback(self._service.close)
            expiry = asyncio.create_task(_expire(store, config.storage.journal_retention_seconds))
            stack.push_async_callback(_end, expiry)
            self._routes.routes[:] = _routes(config, self._service, conversations, router, filing)
            self._routes.routes += _file_routes(config, filing) + _vector_store_routes(config, knowledge)
            self._exact.update({key: _bound(endpoint) for key, endpoint in exact(self._routes.routes).items()})
            if self._taping is not None:
                self._routes.routes.append(self._taping.control())
            self._stack = stack.pop_all()

    def stop_runs(self) -> None:
        """Begin no more runs, and end those that are under way: their streams are closed well, and stored."""
        if self._service is not None:
            self._service.stop()

    async def close(self) -> None:
        """Let go of everything, once what was accepted is stored."""
        await self._stack.aclose()


def create_app(
    config: Config, environ: Mapping[str, str], own: Sequence[Address] = (), kits: Sequence[Kit] = ()
) -> App:
    """The application for any ASGI server. ``kits`` are tools of others; whoever made them closes them."""
    return App(config, environ, own, kits)


def _routes(
    config: Config, service: Service, conversations: Conversations, router: Router, filing: Filing
) -> list[Route]:
    responses, talks = Responses(service, config), ConversationRoutes(conversations)
    passthrough = Passthrough(router, filing.showing, stall_seconds=config.responses.reader_stall_seconds)
    models = Models(router)
    table: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/responses", responses.create),
        ("POST", "/v1/responses/input_tokens", responses.input_tokens),
        ("GET", "/v1/responses/{response_id}", responses.retrieve),
        ("DELETE", "/v1/responses/{response_id}", responses.delete),
        ("POST", "/v1/responses/{response_id}/cancel", responses.cancel),
        ("GET", "/v1/responses/{response_id}/input_items", responses.input_items),
        ("POST", "/v1/conversations", talks.create),
        ("GET", "/v1/conversations/{conversation_id}", talks.retrieve),
        ("POST", "/v1/conversations/{conversation_id}", talks.update),
        ("DELETE", "/v1/conversations/{conversation_id}", talks.delete),
        ("POST", "/v1/conversations/{conversation_id}/items", talks.add_items),
        ("GET", "/v1/conversations/{conversation_id}/items", talks.list_items),
        ("GET", "/v1/conversations/{conversation_id}/items/{item_id}", talks.retrieve_item),
        ("DELETE", "/v1/conversations/{conversation_id}/items/{item_id}", talks.delete_item),
        ("POST", "/v1/chat/completions", passthrough.chat),
        ("POST", "/v1/completions", passthrough.completions),
        ("POST", "/v1/embeddings", passthrough.embeddings),
        ("GET", "/v1/models", models.list),
        ("GET", "/v1/models/{model:path}", models.get),
        ("GET", "/health", _health),
        ("GET", "/openapi.json", openapi),
    ]
    return _endpoints(config, table)


def _file_routes(config: Config, filing: Filing) -> list[Route]:
    stall_seconds = config.responses.reader_stall_seconds
    files = FileRoutes(filing.files, max_bytes=config.files.max_file_bytes, stall_seconds=stall_seconds)
    uploads = UploadRoutes(filing.uploads)
    table: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/files", files.create),
        ("GET", "/v1/files", files.list),
        ("GET", "/v1/files/{file_id}", files.retrieve),
        ("DELETE", "/v1/files/{file_id}", files.delete),
        ("GET", "/v1/files/{file_id}/content", files.content),
        ("POST", "/v1/uploads", uploads.create),
        ("POST", "/v1/uploads/{upload_id}/parts", uploads.add_part),
        ("POST", "/v1/uploads/{upload_id}/complete", uploads.complete),
        ("POST", "/v1/uploads/{upload_id}/cancel", uploads.cancel),
    ]
    return _endpoints(config, table)


def _vector_store_routes(config: Config, knowledge: Knowledge) -> list[Route]:
    stores, one = VectorStoreRoutes(knowledge.stores), "/v1/vector_stores/{vector_store_id}"
    file, batch = f"{one}/files/{{file_id}}", f"{one}/file_batches/{{batch_id}}"
    table: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/vector_stores", stores.create),
        ("GET", "/v1/vector_stores", stores.list),
        ("GET", one, stores.retrieve),
        ("POST", one, stores.update),
        ("DELETE", one, stores.delete),
        ("POST", f"{one}/search", stores.search),
        ("POST", f"{one}/files", stores.attach),
        ("GET", f"{one}/files", stores.list_files),
        ("GET", file, stores.retrieve_file),
        ("POST", file, stores.update_file),
        ("DELETE", file, stores.delete_file),
        ("GET", f"{file}/content", stores.file_content),
        ("POST", f"{one}/file_batches", stores.create_batch),
        ("GET", batch, stores.retrieve_batch),
        ("POST", f"{batch}/cancel", stores.cancel_batch),
        ("GET", f"{batch}/files", stores.list_batch_files),
    ]
    return _endpoints(config, table)


def _endpoints(config: Config, table: Sequence[tuple[str, str, Handler]]) -> list[Route]:
    limit = config.server.max_body_bytes
    return [Route(path, _Endpoint(handler, limit), methods=[method]) for method, path, handler in table]


class _Endpoint:
    """A handler as the ASGI application that Starlette routes to."""

    __slots__ = ("_handler", "_max_body_bytes")

    def __init__(self, handler: Handler, max_body_bytes: int) -> None:
        self._handler = handler
        self._max_body_bytes = max_body_bytes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange(scope, receive, send, self._max_body_bytes)
        return self._handler(exchange) if exchange.connection is not None else self._elsewhere(exchange)

    async def _elsewhere(self, exchange: Exchange) -> None:
        """Under a server that is not ours, where a task may have watched the client."""
        try:
            await self._handler(exchange)
        finally:
            await exchange.unwatched()


def _bound(app: Any) -> ASGIApp:
    """An application as a bound method, because to call an object takes several times the steps."""
    bound: ASGIApp = app.__call__
    return bound


def _kept(status: int, headers: Headers, reads: Sequence[bytes]) -> bytes:
    """An answer of a model in the tape's coding. Of its headers only what says how to read it."""
    from antiphon.tape.document.kept import dump_response  # a server that keeps none never loads it
    from antiphon.tape.model import HttpResponse

    described = tuple((name, value) for name, value in headers if name.lower() == "content-type")
    return dump_response(HttpResponse(status, described, tuple(reads)))


async def _health(exchange: Exchange) -> None:
    await exchange.json({"status": "ok"})


async def _router(
    config: Config, environ: Mapping[str, str], own: Sequence[Address], door: Door, out: Transport
) -> Router:
    """The back ends: those configured, else those found; and always the demo model.

    What is asked at start goes through the bare ``door``: it belongs to no scope, and to no recording.
    """
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
    upstreams = {name: Upstream(name, upstream, out) for name, upstream in chosen.items()}
    return Router(upstreams, default, demo_upstream(out))


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
