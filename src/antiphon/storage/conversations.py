"""The ``ConversationStore`` over any database that can run the compiled statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from antiphon import ambient
from antiphon.storage import rows
from antiphon.storage.database import Database
from antiphon.storage.model import Claim, CursorNotFound, ItemPage, Owner, StoredConversation, StoredItem

_DROP = (
    "drop_conversation",
    "drop_conversation_items",
    "lock_blobs",
    "delete_blobs",
    "delete_item_blobs",
    "delete_items",
)
#: The lock first: what is counted after it cannot be counted by another as well.
_TAKE_OUT = (
    "lock_conversation",
    "uncount_item",
    "lock_item_blobs",
    "free_item_blobs",
    "take_out_item_blobs",
    "take_out_items",
    "take_out_conversation_items",
)


class SqlConversations:
    """``model.ConversationStore`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, conversation: StoredConversation, items: Sequence[StoredItem]) -> None:
        """Write it with its first items, or nothing. Where ids are frozen, in place of an earlier run's."""
        if ambient.is_frozen():
            await self.delete(conversation.owner, conversation.id)
        await self._database.commit(rows.pack_conversation(conversation, items))

    async def get(self, owner: Owner, conversation_id: str) -> StoredConversation | None:
        """The row."""
        found = await self._database.fetch("conversation", owner=owner, conversation_id=conversation_id)
        return rows.conversation(found[0]) if found else None

    async def update(self, owner: Owner, conversation_id: str, metadata: bytes) -> StoredConversation | None:
        """Put other metadata in place."""
        place = _place(owner, conversation_id)
        found = await self._database.write(("update_conversation",), **place, metadata=metadata)
        return rows.conversation(found[0]) if found else None

    async def delete(self, owner: Owner, conversation_id: str) -> bool:
        """Content that it holds itself goes, with the long strings that nothing else of this owner holds."""
        # It holds its items under its own id, as a response does.
        return bool(await self._database.write(_DROP, owner=owner, response_id=conversation_id))

    async def claim(self, owner: Owner, conversation_id: str, token: str, milliseconds: int) -> Claim | None:
        """The claim, unless another's is running."""
        place = _place(owner, conversation_id)
        found = await self._database.write(("claim",), **place, token=token, milliseconds=milliseconds)
        return Claim(conversation_id, token, *found[0]) if found else None

    async def renew(self, owner: Owner, claim: Claim, milliseconds: int) -> bool:
        """Hold it for so long from now on."""
        place = _place(owner, claim.conversation_id, token=claim.token)
        return bool(await self._database.write(("renew_claim",), **place, milliseconds=milliseconds))

    async def give_back(self, owner: Owner, claim: Claim) -> None:
        """Let the next one in. Nothing happens when it was lost."""
        place = _place(owner, claim.conversation_id, token=claim.token)
        await self._database.write(("give_claim_back",), **place)

    async def append(self, owner: Owner, claim: Claim, items: Sequence[StoredItem]) -> None:
        """Add items that belong to no response and give the claim back."""
        await self._database.commit(rows.pack_addition(owner, claim, items))

    async def history(self, owner: Owner, conversation_id: str) -> list[StoredItem]:
        """All its items, oldest first."""
        place = _place(owner, conversation_id)
        return rows.conversation_items(await self._database.fetch("conversation_history", **place))

    async def page(
        self, owner: Owner, conversation_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"]
    ) -> ItemPage:
        """Some of its items. Raises ``CursorNotFound``."""
        place = _place(owner, conversation_id)
        found = await self._database.fetch(f"conversation_{order}", **place, after=after, limit=limit + 1)
        page = rows.items(found)
        if not page and after is not None:
            named = await self._database.fetch("conversation_has_item", **place, item_id=after)
            if not named:
                raise CursorNotFound(after)
        return ItemPage(page[:limit], has_more=len(page) > limit)

    async def item(self, owner: Owner, conversation_id: str, item_id: str) -> StoredItem | None:
        """The newest item of this id."""
        place = _place(owner, conversation_id, item_id=item_id)
        found = rows.items(await self._database.fetch("conversation_item", **place))
        return found[0] if found else None

    async def delete_item(self, owner: Owner, conversation_id: str, item_id: str) -> StoredConversation | None:
        """Take every item of this id out; the row after it."""
        place = _place(owner, conversation_id, item_id=item_id)
        found = await self._database.write(_TAKE_OUT, answer=1, **place)
        return rows.conversation(found[0]) if found else None


def _place(owner: Owner, conversation_id: str, **more: str) -> dict[str, Any]:
    return {"owner": owner, "conversation_id": conversation_id, **more}
