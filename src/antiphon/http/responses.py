"""The routes of ``/v1/responses``."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from antiphon.config import Config
from antiphon.errors import InvalidRequest
from antiphon.http.exchange import Exchange
from antiphon.http.pages import page_json, page_query
from antiphon.http.protocol import RawHeaders
from antiphon.http.sse import StreamLimits, send_entries, send_stream
from antiphon.responses.journal import Journal
from antiphon.responses.run import Run
from antiphon.responses.service import Service
from antiphon.wire.encode import Dialect
from antiphon.wire.requests import parse_create, parse_input_tokens

_log = logging.getLogger("antiphon.http")
_encode = msgspec.json.Encoder().encode


class Responses:
    """Handlers over one ``Service``."""

    def __init__(self, service: Service, config: Config) -> None:
        self._service = service
        self._dialect: Dialect = config.responses.dialect
        self._forwards = any(u.forward_auth or u.forward_headers for u in config.upstreams.values())
        self._limits = StreamLimits(
            keepalive_seconds=config.server.keepalive_seconds,
            lag_bytes=config.responses.reader_lag_bytes,
            stall_seconds=config.responses.reader_stall_seconds,
        )

    async def create(self, exchange: Exchange) -> None:
        """``POST /v1/responses``: a run, streamed or read to its end."""
        began = time.perf_counter()
        request = parse_create(await exchange.body())
        headers = exchange.headers() if self._forwards else ()
        service = self._service
        with exchange as peer:
            run = await service.start(request, exchange.owner, self._dialect_of(exchange), headers)
            peer.on_gone(lambda: service.hang_up(run, dropped=peer.dropped))
            try:
                await run.opened()
            except BaseException:
                del run  # it holds the failure, whose traceback holds this frame
                raise
            told = _told(run, began)
            if request.stream and not peer.gone:
                stored = run.plan.response.store
                await send_stream(
                    peer, exchange.send, run.journal, headers=told, limits=self._limits, sole_reader=not stored
                )
            if not peer.dropped:
                await run.finished()
            if not request.stream and not peer.gone:
                await exchange.json(_encode(run.response), headers=told)

    async def retrieve(self, exchange: Exchange) -> None:
        """``GET /v1/responses/{id}``: the Response, or its events again with ``?stream=true``."""
        response_id = exchange.path("response_id")
        after = exchange.query_int("starting_after", -1, low=-1, high=2**53)
        exchange.query_flag("include_obfuscation")  # padding is never sent; a wrong value is still told
        if not exchange.query_flag("stream"):
            await exchange.json(await self._service.retrieve(exchange.owner, response_id))
            return
        log = await self._service.follow(exchange.owner, response_id)
        with exchange as peer:
            if isinstance(log, Journal):
                await send_stream(peer, exchange.send, log, headers=(), limits=self._limits, after=after)
            else:
                await send_entries(peer, exchange.send, log[after + 1 :], headers=(), limits=self._limits)

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /v1/responses/{id}``."""
        response_id = exchange.path("response_id")
        await self._service.delete(exchange.owner, response_id)
        await exchange.json({"id": response_id, "object": "response", "deleted": True})

    async def cancel(self, exchange: Exchange) -> None:
        """``POST /v1/responses/{id}/cancel``."""
        await exchange.json(await self._service.cancel(exchange.owner, exchange.path("response_id")))

    async def input_items(self, exchange: Exchange) -> None:
        """``GET /v1/responses/{id}/input_items``: a page of what was sent, newest first unless asked otherwise."""
        page = await self._service.input_items(exchange.owner, exchange.path("response_id"), **page_query(exchange))
        await exchange.json(page_json(page))

    async def input_tokens(self, exchange: Exchange) -> None:
        """``POST /v1/responses/input_tokens``: how large the rendered request is. A header says how sure we are."""
        request = parse_input_tokens(await exchange.body())
        if not request.model:
            raise InvalidRequest(
                "Missing required parameter: 'model': which tokenizer counts depends on it.",
                param="model",
                code="missing_required_parameter",
            )
        count = await self._service.count(request, exchange.owner)
        body = {"object": "response.input_tokens", "input_tokens": count.tokens}
        how = b"exact" if count.exact else b"estimate"
        await exchange.json(body, headers=[(b"antiphon-token-count", how)])

    def _dialect_of(self, exchange: Exchange) -> Dialect:
        """Open Responses when the client names a version of it; OpenAI's when it says ``openai``."""
        asked = exchange.header(b"openresponses-dialect")
        if not asked:
            return self._dialect
        return "openai" if asked.strip().lower() == "openai" else "open-responses"


def _told(run: Run, began: float) -> RawHeaders:
    """What the reply's headers say of the run."""
    headers: list[Any] = [(b"openai-processing-ms", b"%d" % ((time.perf_counter() - began) * 1000))]
    if run.plan.unserved:
        names = ", ".join(name if name.isascii() and name.isprintable() else ascii(name) for name in run.plan.unserved)
        _log.warning("response %s: tools not served and not offered to the model: %s", run.plan.response.id, names)
        headers.append((b"antiphon-unserved-tools", names.encode()))
    return headers
