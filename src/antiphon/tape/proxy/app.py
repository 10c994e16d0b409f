"""The proxy as an ASGI application: paths to upstreams and scopes, and everything between joined.

``/openai/...`` goes to the upstream of that name, ``/s/<scope>/openai/...`` does so within a scope, ``/_tape/...``
controls the tape. What a client sends is read to its end first, because a recording is found by the whole of it. The
client's credentials go to the upstream that the path names, and nowhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from antiphon.tape import scope as scopes
from antiphon.tape.engine import Tape
from antiphon.tape.outbound import Outgoing
from antiphon.tape.proxy import places
from antiphon.tape.proxy.body import HungUp, read_body
from antiphon.tape.proxy.control import PREFIX, control
from antiphon.tape.proxy.relay import Answer, Broken, Way, ending, relay
from antiphon.tape.scope import Receive, Scope, ScopeMiddleware, Send
from antiphon.tape.transport import TapeTransport

_log = logging.getLogger("antiphon.tape.proxy")


class Proxy:
    """A reverse proxy that keeps what passes on a tape. Its lifespan closes the transport and the tape."""

    def __init__(
        self,
        tape: Tape,
        upstreams: Mapping[str, str],
        way: Way,
        *,
        token: str | None = None,
    ) -> None:
        """``upstreams`` maps names to base URLs; ``way`` is how requests leave (``antiphon.tape.outbound`` has one).
        ``token`` opens the control endpoints to other machines.
        """
        self._tape = tape
        self._upstreams = dict(upstreams)
        self._transport = way.transport
        taped = TapeTransport(way.transport, tape, broken=Broken, ending=ending, provider=self._name)
        self._taped = Way(taped, way.failures)
        self._control = control(tape, token=token)
        self._scoped = ScopeMiddleware(self._dispatch, tape.within)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._scoped(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def aclose(self) -> None:
        """Cuts what is open, and writes what is outstanding."""
        await self._transport.aclose()
        self._tape.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        if raw_path.startswith(PREFIX):
            await self._control(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def send_seen(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._proxy(raw_path, scope, receive, send_seen)
        except Answer as answer:
            await answer.send(send_seen)
        except HungUp:
            pass
        finally:
            took = (time.perf_counter() - began) * 1000
            within = f" [{scopes.current()}]" if scopes.current() else ""
            _log.info("%s %s%s %d %.0f ms", scope["method"], unquote(raw_path), within, status, took)

    async def _proxy(self, raw_path: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            place = places.find(raw_path, scope["query_string"], self._upstreams)
        except places.Unplaced as why:
            raise Answer.error(404, "unknown_upstream", str(why)) from why
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        async with read_body(receive) as body:
            request = Outgoing(scope["method"], place.url, places.upstream_headers(headers), body)
            await relay(scope, receive, send, self._taped, request, place.name)

    def _name(self, url: str) -> str:
        """The upstream of a URL: the one with the longest base of those it begins with."""
        bases = sorted(self._upstreams.items(), key=lambda one: -len(one[1]))
        return next((name for name, base in bases if url.startswith(base.rstrip("/"))), "")
