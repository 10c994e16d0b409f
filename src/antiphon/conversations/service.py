"""What a client can do with conversations, for any owner: make, get, change and delete them, and their items.

Adding waits for the turn that is under way, because the order of items is what a conversation is. Reading, changing the
metadata and deleting do not wait: what is to be deleted goes at once, and a turn that was under way is told at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig
from antiphon.conversations.turns import Hold, Turns, unknown
from antiphon.errors import InvalidRequest, NotFound
from antiphon.storage.model import CursorNotFound, ItemPage, Owner, Store, StoredConversation, StoredItem
from antiphon.wire.listing import listed

ItemDict = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ItemDict).decode

_PATH = "conversation_id"


class Conversations:
    """The operations of ``/v1/conversations``, and what a response needs to be a turn of one."""

    def __init__(self, store: Store, turns: Turns, limits: ResponsesConfig) -> None:
        self._items = store
        self._store = store.conversations
        self._turns = turns
        self._limits = limits

    async def create(self, owner: Owner, items: Sequence[ItemDict], metadata: dict[str, str]) -> ItemDict:
        """A new conversation, with its first items."""
        kept = await self._kept(owner, items)
        made = StoredConversation(
            id=ambient.new_id("conversation"),
            owner=owner,
            created_at=int(ambient.now()),
            metadata=_encode(metadata),
        )
        await self._store.create(made, kept)
        return _shown(made)

    async def retrieve(self, owner: Owner, conversation_id: str) -> ItemDict:
        """The conversation. Raises ``NotFound``."""
        return _shown(await self._row(owner, conversation_id))

    async def update(self, owner: Owner, conversation_id: str, metadata: dict[str, str]) -> ItemDict:
        """Its metadata replaced. Raises ``NotFound``."""
        row = await self._store.update(owner, conversation_id, _encode(metadata))
        if row is None:
            raise unknown(conversation_id, _PATH)
        return _shown(row)

    async def delete(self, owner: Owner, conversation_id: str) -> None:
        """Gone at once, with every item that no response holds. Raises ``NotFound``."""
        if not await self._store.delete(owner, conversation_id):
            raise unknown(conversation_id, _PATH)

    async def add(self, owner: Owner, conversation_id: str, items: Sequence[ItemDict]) -> ItemPage:
        """The items as they were appended. Raises ``NotFound``, or a 409 when a turn takes too long."""
        kept = await self._kept(owner, items)
        hold = await self._turns.begin(owner, conversation_id, param=_PATH)
        try:
            await hold.append(kept)
        finally:
            await hold.release()
        return ItemPage(kept, has_more=False)

    async def page(
        self, owner: Owner, conversation_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"]
    ) -> ItemPage:
        """Some of its items. Raises ``NotFound``, or a 400 for a cursor that names nothing."""
        try:
            page = await self._store.page(owner, conversation_id, after=after, limit=limit, order=order)
        except CursorNotFound as nowhere:
            await self._row(owner, conversation_id)
            raise InvalidRequest(
                f"'after' names no item of conversation '{conversation_id}'.", param="after", code="invalid_cursor"
            ) from nowhere
        if not page.items:
            await self._row(owner, conversation_id)
        return page

    async def item(self, owner: Owner, conversation_id: str, item_id: str) -> bytes:
        """One item as JSON. Raises ``NotFound``."""
        found = await self._store.item(owner, conversation_id, item_id)
        if found is None:
            await self._row(owner, conversation_id)
            raise _unknown_item(conversation_id, item_id)
        return found.data

    async def delete_item(self, owner: Owner, conversation_id: str, item_id: str) -> ItemDict:
        """The conversation without it. Raises ``NotFound``."""
        row = await self._store.delete_item(owner, conversation_id, item_id)
        if row is None:
            await self._row(owner, conversation_id)
            raise _unknown_item(conversation_id, item_id)
        return _shown(row)

    # -- for a response that is a turn

    async def begin(self, owner: Owner, conversation_id: str) -> Hold:
        """The conversation, for one turn. Raises ``NotFound``, or a 409 when another takes too long."""
        return await self._turns.begin(owner, conversation_id, param="conversation")

    async def history(self, owner: Owner, conversation_id: str, hold: Hold | None) -> list[StoredItem]:
        """All its items, oldest first: as they stood when ``hold`` was taken, or now.

        Raises ``NotFound``, or a 400 for more than may be read at once.
        """
        at = hold.claim if hold is not None else await self._store.get(owner, conversation_id)
        if at is None:
            raise unknown(conversation_id, "conversation")
        limits = self._limits
        for what, there, limit in (
            ("items", at.item_count, limits.max_history_items),
            ("bytes", at.item_bytes, limits.max_history_bytes),
        ):
            if there > limit:
                raise InvalidRequest(
                    f"The conversation holds more than {limit} {what} (max_history_{what}). Delete items of it, or "
                    "start a new one with a summary.",
                    param="conversation",
                    code="history_too_long",
                )
        if not at.item_count:
            return []
        return await self._store.history(owner, conversation_id)

    # -- small things

    async def _row(self, owner: Owner, conversation_id: str) -> StoredConversation:
        row = await self._store.get(owner, conversation_id)
        if row is None:
            raise unknown(conversation_id, _PATH)
        return row

    async def _kept(self, owner: Owner, items: Sequence[ItemDict]) -> list[StoredItem]:
        """Items as they are kept. A reference becomes what it stands for; raises ``NotFound`` for one to nothing."""
        kept = []
        for n, item in enumerate(items):
            whole, seen = item, None
            if item["type"] == "item_reference":
                stored = await self._items.item(owner, item["id"])
                if stored is None:
                    raise NotFound(f"Item with id '{item['id']}' not found.", param=f"items[{n}].id")
                whole, seen = _decode(stored.data), stored.seen
            shown = listed(whole, ambient.new_id)
            kept.append(StoredItem(shown["id"], "in", n, _encode(shown), seen))
        return kept


def _shown(row: StoredConversation) -> ItemDict:
    return {
        "id": row.id,
        "object": "conversation",
        "created_at": row.created_at,
        "metadata": msgspec.Raw(row.metadata),
    }


def _unknown_item(conversation_id: str, item_id: str) -> NotFound:
    return NotFound(f"Item with id '{item_id}' not found in conversation '{conversation_id}'.", param="item_id")
