"""The routes of ``/v1/vector_stores``."""

from __future__ import annotations

from antiphon.http.exchange import Exchange
from antiphon.http.pages import page_query
from antiphon.http.protocol import RawHeaders
from antiphon.knowledge.service import VectorStores as Service
from antiphon.storage.vectors.model import Between
from antiphon.wire.vector_store_requests import (
    parse_attributes,
    parse_batch,
    parse_search,
    parse_store_file,
    parse_store_update,
    parse_vector_store,
)

_STATUSES = {status: status for status in ("in_progress", "completed", "failed", "cancelled")}

#: How soon an SDK that polls is to ask again, in milliseconds: most files are in within a moment.
_POLL: RawHeaders = ((b"openai-poll-after-ms", b"250"),)


class VectorStores:
    """Handlers over the vector stores' own service. The header ``OpenAI-Beta`` is accepted and means nothing."""

    def __init__(self, service: Service) -> None:
        self._service = service

    # -- stores

    async def create(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores``."""
        request = parse_vector_store(await exchange.body())
        await exchange.json(await self._service.create(exchange.owner, request))

    async def list(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores``: a page, newest first unless asked otherwise."""
        await exchange.json(await self._service.page(exchange.owner, _between(exchange)))

    async def retrieve(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores/{id}``."""
        await exchange.json(await self._service.get(exchange.owner, _store(exchange)), headers=_poll(exchange))

    async def update(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores/{id}``: name, metadata, expiry."""
        request = parse_store_update(await exchange.body())
        await exchange.json(await self._service.update(exchange.owner, _store(exchange), request))

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /v1/vector_stores/{id}``."""
        await exchange.json(await self._service.delete(exchange.owner, _store(exchange)))

    async def search(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores/{id}/search``."""
        request = parse_search(await exchange.body())
        await exchange.json(await self._service.answer(exchange.owner, _store(exchange), request))

    # -- files of one

    async def attach(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores/{id}/files``."""
        request = parse_store_file(await exchange.body())
        shown = await self._service.files.attach(exchange.owner, _store(exchange), request)
        await exchange.json(shown, headers=_poll(exchange))

    async def list_files(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores/{id}/files``: a page, newest first unless asked otherwise."""
        status = exchange.query_choice("filter", _STATUSES, default=None)
        page = await self._service.files.page(exchange.owner, _store(exchange), _between(exchange), status=status)
        await exchange.json(page)

    async def retrieve_file(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores/{id}/files/{file}``."""
        shown = await self._service.files.get(exchange.owner, _store(exchange), _file(exchange))
        await exchange.json(shown, headers=_poll(exchange))

    async def update_file(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores/{id}/files/{file}``: other attributes."""
        attributes = parse_attributes(await exchange.body())
        shown = await self._service.files.update(exchange.owner, _store(exchange), _file(exchange), attributes)
        await exchange.json(shown)

    async def delete_file(self, exchange: Exchange) -> None:
        """``DELETE /v1/vector_stores/{id}/files/{file}``."""
        await exchange.json(await self._service.files.delete(exchange.owner, _store(exchange), _file(exchange)))

    async def file_content(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores/{id}/files/{file}/content``."""
        await exchange.json(await self._service.files.content(exchange.owner, _store(exchange), _file(exchange)))

    # -- batches of files

    async def create_batch(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores/{id}/file_batches``."""
        requests, params = parse_batch(await exchange.body())
        shown = await self._service.batches.create(exchange.owner, _store(exchange), requests, params)
        await exchange.json(shown, headers=_poll(exchange))

    async def retrieve_batch(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores/{id}/file_batches/{batch}``."""
        shown = await self._service.batches.get(exchange.owner, _store(exchange), _batch(exchange))
        await exchange.json(shown, headers=_poll(exchange))

    async def cancel_batch(self, exchange: Exchange) -> None:
        """``POST /v1/vector_stores/{id}/file_batches/{batch}/cancel``."""
        await exchange.json(await self._service.batches.cancel(exchange.owner, _store(exchange), _batch(exchange)))

    async def list_batch_files(self, exchange: Exchange) -> None:
        """``GET /v1/vector_stores/{id}/file_batches/{batch}/files``: a page, newest first unless asked otherwise."""
        status = exchange.query_choice("filter", _STATUSES, default=None)
        between, batch = _between(exchange), _batch(exchange)
        page = await self._service.batches.page(exchange.owner, _store(exchange), batch, between, status=status)
        await exchange.json(page)


def _store(exchange: Exchange) -> str:
    return exchange.path("vector_store_id")


def _file(exchange: Exchange) -> str:
    return exchange.path("file_id")


def _batch(exchange: Exchange) -> str:
    return exchange.path("batch_id")


def _between(exchange: Exchange) -> Between:
    query = page_query(exchange)
    return Between(query["after"] or None, exchange.query("before") or None, query["limit"], query["order"])


def _poll(exchange: Exchange) -> RawHeaders:
    return _POLL if exchange.header(b"x-stainless-poll-helper") else ()
