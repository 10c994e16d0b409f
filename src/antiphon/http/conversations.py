"""The routes of ``/v1/conversations``."""

from __future__ import annotations

from antiphon.conversations.service import Conversations as Service
from antiphon.http.exchange import Exchange
from antiphon.http.pages import page_json, page_query
from antiphon.wire.conversation_requests import parse_conversation, parse_items, parse_update


class Conversations:
    """Handlers over the conversations' own service. ``include`` is accepted: everything that is kept is shown."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, exchange: Exchange) -> None:
        """``POST /v1/conversations``."""
        items, metadata = parse_conversation(await exchange.body())
        await exchange.json(await self._service.create(exchange.owner, items, metadata))

    async def retrieve(self, exchange: Exchange) -> None:
        """``GET /v1/conversations/{id}``."""
        await exchange.json(await self._service.retrieve(exchange.owner, _id(exchange)))

    async def update(self, exchange: Exchange) -> None:
        """``POST /v1/conversations/{id}``: other metadata."""
        metadata = parse_update(await exchange.body())
        await exchange.json(await self._service.update(exchange.owner, _id(exchange), metadata))

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /v1/conversations/{id}``."""
        await self._service.delete(exchange.owner, _id(exchange))
        await exchange.json({"id": _id(exchange), "object": "conversation.deleted", "deleted": True})

    async def add_items(self, exchange: Exchange) -> None:
        """``POST /v1/conversations/{id}/items``: the items, as they were appended."""
        items = parse_items(await exchange.body())
        await exchange.json(page_json(await self._service.add(exchange.owner, _id(exchange), items)))

    async def list_items(self, exchange: Exchange) -> None:
        """``GET /v1/conversations/{id}/items``: a page, newest first unless asked otherwise."""
        page = await self._service.page(exchange.owner, _id(exchange), **page_query(exchange))
        await exchange.json(page_json(page))

    async def retrieve_item(self, exchange: Exchange) -> None:
        """``GET /v1/conversations/{id}/items/{item}``."""
        await exchange.json(await self._service.item(exchange.owner, _id(exchange), exchange.path("item_id")))

    async def delete_item(self, exchange: Exchange) -> None:
        """``DELETE /v1/conversations/{id}/items/{item}``: the conversation without it."""
        await exchange.json(await self._service.delete_item(exchange.owner, _id(exchange), exchange.path("item_id")))


def _id(exchange: Exchange) -> str:
    return exchange.path("conversation_id")
