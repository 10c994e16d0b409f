"""Rows of vector stores as requests name them, and the refusals for those that are not there."""

from __future__ import annotations

from antiphon import ambient
from antiphon.errors import InvalidRequest, NotFound
from antiphon.storage.model import Owner
from antiphon.storage.vectors.model import BatchRow, FileRow, VectorStore, VectorStoreRow


def expired(row: VectorStoreRow) -> bool:
    """Whether its time is over."""
    return row.expired or (row.expires_at is not None and ambient.now() >= row.expires_at)


class Lookup:
    """Finds rows, or raises."""

    def __init__(self, rows: VectorStore) -> None:
        self._rows = rows

    async def store(self, owner: Owner, store_id: str) -> VectorStoreRow:
        """The store. Raises ``NotFound``."""
        row = await self._rows.get(owner, store_id)
        if row is None:
            raise unknown_store(store_id)
        return row

    async def usable(self, owner: Owner, store_id: str) -> VectorStoreRow:
        """A store that has not expired. Raises ``NotFound`` or a 400."""
        row = await self.store(owner, store_id)
        if expired(row):
            raise InvalidRequest(
                f"The vector store '{store_id}' has expired. Make a new one from its files, which are still listed.",
                param="vector_store_id",
                code="vector_store_expired",
            )
        return row

    async def file(self, owner: Owner, store_id: str, file_id: str) -> FileRow:
        """A file of a store. Raises ``NotFound``, for whichever of the two is not there."""
        row = await self._rows.file(owner, store_id, file_id)
        if row is None:
            await self.store(owner, store_id)
            raise NotFound(f"No file found with id '{file_id}' in vector store '{store_id}'.", param="file_id")
        return row

    async def batch(self, owner: Owner, store_id: str, batch_id: str) -> BatchRow:
        """A batch of a store. Raises ``NotFound``."""
        row = await self._rows.batch(owner, store_id, batch_id)
        if row is None:
            await self.store(owner, store_id)
            raise NotFound(f"No file batch found with id '{batch_id}' in vector store '{store_id}'.", param="batch_id")
        return row


def unknown_store(store_id: str) -> NotFound:
    """There is no such store, or it is another's."""
    return NotFound(f"No vector store found with id '{store_id}'.", param="vector_store_id")


def bad_cursor(between_after: str | None, cursor: str) -> InvalidRequest:
    """A cursor that names nothing of the list."""
    name = "after" if cursor == between_after else "before"
    return InvalidRequest(f"'{name}' names nothing in this list.", param=name, code="invalid_cursor")
