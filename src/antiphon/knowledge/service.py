"""What a client can do with vector stores, for any owner: everything of ``/v1/vector_stores``.

The rooms beside this one do the parts: ``files`` and ``batches`` what goes in, ``ingest`` the work that this owes,
``search`` what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from antiphon import ambient
from antiphon.errors import InvalidRequest
from antiphon.files.service import Files
from antiphon.jobs.workers import Jobs
from antiphon.knowledge import duties
from antiphon.knowledge.batches import Batches
from antiphon.knowledge.embedding.embedders import Embedders
from antiphon.knowledge.files import StoreFiles
from antiphon.knowledge.filters import Filter
from antiphon.knowledge.index.base import Index, Ranking
from antiphon.knowledge.lookup import Lookup, bad_cursor, expired, unknown_store
from antiphon.knowledge.search import DEFAULT_RESULTS, Found, Search
from antiphon.knowledge.shapes import Json, list_shape, store_shape, text_of
from antiphon.storage.jobs.model import JobStore
from antiphon.storage.model import CursorNotFound, Owner
from antiphon.storage.vectors.model import Between, StoreChange, VectorStore, VectorStoreRow
from antiphon.wire.vector_store_requests import (
    CreateVectorStore,
    CreateVectorStoreFile,
    ExpiresAfter,
    SearchVectorStore,
    UpdateVectorStore,
)

#: Stores whose expiry is taken up at once.
_AT_ONCE = 1000


class VectorStores:
    """The operations of ``/v1/vector_stores``; ``files`` and ``batches`` are those of its parts."""

    def __init__(
        self, rows: VectorStore, owed: JobStore, files: Files, jobs: Jobs, embedders: Embedders, index: Index
    ) -> None:
        self._rows = rows
        self._owed = owed
        self._jobs = jobs
        self._embedders = embedders
        self._index = index
        self._lookup = Lookup(rows)
        self._search = Search(rows, embedders, index)
        self.files = StoreFiles(rows, files, jobs, index)
        self.batches = Batches(rows, self.files, jobs)

    async def create(self, owner: Owner, request: CreateVectorStore) -> Json:
        """A new store, into which its files are being read. Raises ``NotFound`` for an unknown file or model."""
        embedder = await self._embedders.check(request.embedding_model)
        wanted, known = request.embedding_dimensions, embedder.dimensions
        if wanted is not None and known is not None and wanted != known:
            raise InvalidRequest(
                f"The model '{embedder.model}' makes vectors of {known} numbers, not {wanted}.",
                param="embedding_dimensions",
                code="invalid_value",
            )
        file_ids = list(dict.fromkeys(request.file_ids or ()))
        named = [CreateVectorStoreFile(one, None, request.chunking_strategy) for one in file_ids]
        params = [f"file_ids[{n}]" for n in range(len(named))]
        await self.files.known(owner, file_ids, params)
        now = int(ambient.now())
        row = VectorStoreRow(
            owner=owner,
            id=ambient.new_id("vector_store"),
            created_at=now,
            name=request.name or "",
            description=request.description,
            metadata=text_of(request.metadata or {}),
            expires_days=request.expires_after.days if request.expires_after else None,
            last_active_at=now,
            expired=False,
            embedding_model=embedder.model,
            dimensions=known if known is not None else wanted,
        )
        if ambient.is_frozen():
            await self._index.remove(owner, row.id, None)
        await self._rows.create(row)
        if named:
            await self.files.add(owner, row.id, named, params)
        return await self.get(owner, row.id)

    async def get(self, owner: Owner, store_id: str) -> Json:
        """The store. Raises ``NotFound``."""
        (shown,) = await self._shown(owner, [await self._lookup.store(owner, store_id)])
        return shown

    async def page(self, owner: Owner, between: Between) -> Json:
        """Some of them. Raises a 400 for a cursor that names nothing."""
        try:
            rows, more = await self._rows.page(owner, between)
        except CursorNotFound as nowhere:
            raise bad_cursor(between.after, str(nowhere)) from nowhere
        return list_shape(await self._shown(owner, rows), more=more)

    async def update(self, owner: Owner, store_id: str, request: UpdateVectorStore) -> Json:
        """The store after its change. Raises ``NotFound``, or a 400 for new days of one that has expired."""
        change = StoreChange(
            name=UNSET if request.name is UNSET or request.name is None else request.name,
            metadata=UNSET if request.metadata is UNSET else text_of(request.metadata or {}),
            expires_days=_days(request.expires_after),
        )
        if change.expires_days is not UNSET:
            await self._lookup.usable(owner, store_id)
        row = await self._rows.change(owner, store_id, change)
        if row is None:
            raise unknown_store(store_id)
        (shown,) = await self._shown(owner, [row])
        return shown

    async def delete(self, owner: Owner, store_id: str) -> Json:
        """Gone at once, with all that it held; the files themselves stay. Raises ``NotFound``."""
        if not await self._rows.delete(owner, store_id, duties.forget(store_id)):
            raise unknown_store(store_id)
        self._jobs.wake()
        return {"id": store_id, "object": "vector_store.deleted", "deleted": True}

    async def answer(self, owner: Owner, store_id: str, request: SearchVectorStore) -> Json:
        """A page of results. Raises ``NotFound``, or a 400."""
        return await self._search.answer(owner, store_id, request)

    async def search(
        self,
        owner: Owner,
        store_id: str,
        queries: Sequence[str],
        *,
        filters: Filter | None = None,
        limit: int = DEFAULT_RESULTS,
        ranking: Ranking = Ranking(),  # noqa: B008 - a constant
    ) -> list[Found]:
        """The best passages for any of these queries. Raises ``NotFound`` for an unknown store, and what went wrong."""
        return await self._search.search(owner, store_id, queries, filters=filters, limit=limit, ranking=ranking)

    async def sweep(self) -> int:
        """Owe the emptying of stores whose time is over; how many there were."""
        due = await self._rows.due(int(ambient.now()), _AT_ONCE)
        for owner, store_id in due:
            await self._owed.add(owner, [duties.expire(store_id)])
        if due:
            self._jobs.wake()
        return len(due)

    async def _shown(self, owner: Owner, rows: Sequence[VectorStoreRow]) -> list[Json]:
        counts = await self._rows.counts(owner, [row.id for row in rows])
        return [store_shape(row, counts[row.id], expired=expired(row)) for row in rows]


def _days(given: ExpiresAfter | msgspec.UnsetType | None) -> int | msgspec.UnsetType | None:
    if isinstance(given, ExpiresAfter):
        return given.days
    return given
