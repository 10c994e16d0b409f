"""Batches: many files put into a vector store at once, counted together."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon import ambient
from antiphon.jobs.workers import Jobs
from antiphon.knowledge.files import StoreFiles
from antiphon.knowledge.lookup import Lookup
from antiphon.knowledge.shapes import Json, batch_shape
from antiphon.storage.model import Owner
from antiphon.storage.vectors.model import Between, VectorStore
from antiphon.wire.vector_store_requests import CreateVectorStoreFile


class Batches:
    """The operations of ``/v1/vector_stores/{id}/file_batches``."""

    def __init__(self, rows: VectorStore, files: StoreFiles, jobs: Jobs) -> None:
        self._rows = rows
        self._files = files
        self._jobs = jobs
        self._lookup = Lookup(rows)

    async def create(
        self, owner: Owner, store_id: str, requests: Sequence[CreateVectorStoreFile], params: Sequence[str]
    ) -> Json:
        """Have all of these read, or none; ``params`` is where the request names each. Raises ``NotFound``."""
        await self._lookup.usable(owner, store_id)
        batch_id = ambient.new_id("file_batch")
        await self._files.add(owner, store_id, requests, params, batch_id)
        return await self.get(owner, store_id, batch_id)

    async def get(self, owner: Owner, store_id: str, batch_id: str) -> Json:
        """The batch and what became of its files. Raises ``NotFound``."""
        row = await self._lookup.batch(owner, store_id, batch_id)
        return batch_shape(row, await self._rows.batch_counts(owner, store_id, batch_id))

    async def cancel(self, owner: Owner, store_id: str, batch_id: str) -> Json:
        """Read no more of its files; those that are there stay. Raises ``NotFound``."""
        row = await self._lookup.batch(owner, store_id, batch_id)
        counts = await self._rows.batch_counts(owner, store_id, batch_id)
        if counts.in_progress and not row.cancelled:
            await self._rows.cancel_batch(owner, store_id, batch_id)
            self._jobs.wake()
        return await self.get(owner, store_id, batch_id)

    async def page(self, owner: Owner, store_id: str, batch_id: str, between: Between, *, status: str | None) -> Json:
        """Some of its files. Raises ``NotFound``, or a 400 for a cursor that names nothing."""
        return await self._files.page(owner, store_id, between, status=status, batch_id=batch_id)
