"""The ``Store`` over any database that can run the compiled statements.

What a method means is said here, once; ``sqlite`` and ``postgres`` only know how to send a statement, how to write a
response, and how to run several statements as one transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal

from antiphon import ambient
from antiphon.storage import rows
from antiphon.storage.chunks.model import ChunkStore
from antiphon.storage.chunks.store import SqlChunks
from antiphon.storage.conversations import SqlConversations
from antiphon.storage.database import Database
from antiphon.storage.files.model import FileStore, UploadStore
from antiphon.storage.files.store import SqlFiles, SqlUploads
from antiphon.storage.jobs.model import JobStore
from antiphon.storage.jobs.store import SqlJobs
from antiphon.storage.model import (
    ConversationStore,
    CursorNotFound,
    Finished,
    ItemPage,
    Owner,
    Segment,
    Step,
    StoredItem,
    StoredResponse,
)
from antiphon.storage.vectors.model import VectorStore
from antiphon.storage.vectors.store import SqlVectors

_CONTENT = ("lock_blobs", "delete_blobs", "delete_item_blobs", "delete_items", "delete_steps", "delete_journal")
_BURIAL = ("bury", *_CONTENT)
#: The same for a response of a conversation, which keeps what it shows.
_BURIAL_IN_CONVERSATION = (
    "bury",
    "lock_conversation",
    "adopt_items",
    "adopt_item_blobs",
    "adopt_conversation_items",
    *_CONTENT,
)

#: Journals dropped in one transaction: few enough that a commit behind it does not wait long.
_EXPIRED_AT_ONCE = 200


class SqlStore:
    """``model.Store`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = SqlConversations(database)
        self._files = SqlFiles(database)
        self._jobs = SqlJobs(database)
        self._vectors = SqlVectors(database)
        self._uploads = SqlUploads(database)
        self._chunks = SqlChunks(database)
        self._closed = False

    @property
    def conversations(self) -> ConversationStore:
        """The conversations, in the same database."""
        return self._conversations

    @property
    def chunks(self) -> ChunkStore:
        """What vector stores hold, in the same database."""
        return self._chunks

    @property
    def files(self) -> FileStore:
        """The files' rows, in the same database."""
        return self._files

    @property
    def uploads(self) -> UploadStore:
        """The uploads' rows, in the same database."""
        return self._uploads

    @property
    def jobs(self) -> JobStore:
        """Work that is owed, in the same database."""
        return self._jobs

    @property
    def vectors(self) -> VectorStore:
        """Vector stores, their files and batches, in the same database."""
        return self._vectors

    def commit(self, finished: Finished) -> Awaitable[object]:
        """Write all of it or nothing; ``Conflict`` when the id is taken."""
        if ambient.is_frozen():
            return self._commit_again(finished)
        return self._database.commit(rows.pack(finished))

    async def _commit_again(self, finished: Finished) -> None:
        """Where ids are frozen, what is there under this id is an earlier run's: it goes, and this takes its place."""
        row = finished.response
        await self.delete(row.owner, row.id)
        await self._database.write(("unbury",), owner=row.owner, response_id=row.id)
        await self._database.commit(rows.pack(finished))

    async def response(self, owner: Owner, response_id: str) -> StoredResponse | None:
        """The row, a tombstone included."""
        found = await self._database.fetch("response", owner=owner, response_id=response_id)
        return rows.response(found[0]) if found else None

    async def output(self, owner: Owner, response_id: str) -> list[StoredItem]:
        """The output items in order."""
        return rows.items(await self._database.fetch("output", owner=owner, response_id=response_id, direction="out"))

    async def history(self, owner: Owner, response_id: str, *, max_items: int, max_bytes: int) -> list[StoredItem]:
        """The items of the chain, oldest first. Raises ``ChainBroken`` or ``ChainTooLong``."""
        # A response holds at least one item, but for freaks: no honest chain has more responses than items.
        limits = {"max_items": max_items, "max_bytes": max_bytes, "max_depth": max_items + 1}
        found = await self._database.fetch("history", owner=owner, response_id=response_id, **limits)
        return rows.history(found, response_id, **limits)

    async def input_items(
        self, owner: Owner, response_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"]
    ) -> ItemPage:
        """One page of the input. Raises ``CursorNotFound``."""
        place = {"owner": owner, "response_id": response_id, "direction": "in", "after": after}
        page = rows.items(await self._database.fetch(f"input_{order}", **place, limit=limit + 1))
        if not page and after is not None and not await self._database.fetch("has_item", **place):
            raise CursorNotFound(after)
        return ItemPage(page[:limit], has_more=len(page) > limit)

    async def item(self, owner: Owner, item_id: str) -> StoredItem | None:
        """The item of this id, as the newest response that holds it has it."""
        found = rows.items(await self._database.fetch("item", owner=owner, item_id=item_id))
        return found[0] if found else None

    async def segments(self, owner: Owner, response_id: str) -> list[Segment]:
        """The journal."""
        return rows.segments(await self._database.fetch("segments", owner=owner, response_id=response_id))

    async def steps(self, owner: Owner, response_id: str) -> list[Step]:
        """The finished steps in order."""
        return rows.steps(await self._database.fetch("steps", owner=owner, response_id=response_id))

    async def delete(self, owner: Owner, response_id: str) -> bool:
        """Content goes, with the long strings that nothing else of this owner holds; a tombstone stays."""
        row = await self.response(owner, response_id)
        if row is None:
            return False
        values: dict[str, Any] = {"owner": owner, "response_id": response_id, "empty": b""}
        if row.conversation_id is None:
            return bool(await self._database.write(_BURIAL, **values))
        values["conversation_id"] = row.conversation_id
        return bool(await self._database.write(_BURIAL_IN_CONVERSATION, **values))

    async def expire_journals(self, before: int) -> int:
        """Drop the journals of responses created before this time; of how many responses."""
        total = 0
        while True:
            gone = await self._database.write(("expire",), before=before, limit=_EXPIRED_AT_ONCE)
            total += len({(owner, response_id) for owner, response_id in gone})
            if not gone:
                return total

    async def close(self) -> None:
        """Finish what was accepted, then let go. A second time it does nothing."""
        if not self._closed:
            self._closed = True
            await self._database.close()
