"""The files of a vector store: put in, listed, changed, taken out, and their contents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon import ambient
from antiphon.errors import NotFound
from antiphon.files.service import Files
from antiphon.jobs.workers import Jobs
from antiphon.knowledge import duties
from antiphon.knowledge.index.base import Index
from antiphon.knowledge.lookup import Lookup, bad_cursor, unknown_store
from antiphon.knowledge.shapes import (
    Json,
    attributes_of,
    chunking_text,
    file_shape,
    list_shape,
    text_of,
)
from antiphon.storage.files.model import StoredFile
from antiphon.storage.model import CursorNotFound, Owner
from antiphon.storage.vectors.model import Batch, Between, FileRow, NewFile, VectorStore
from antiphon.wire.vector_store_requests import CreateVectorStoreFile

#: Files that are looked up together.
_TOGETHER = 32


class StoreFiles:
    """The operations of ``/v1/vector_stores/{id}/files``."""

    def __init__(self, rows: VectorStore, files: Files, jobs: Jobs, index: Index) -> None:
        self._rows = rows
        self._files = files
        self._jobs = jobs
        self._index = index
        self._lookup = Lookup(rows)

    async def attach(self, owner: Owner, store_id: str, request: CreateVectorStoreFile) -> Json:
        """Have this file read into the store, unless it is there already, cut as is asked now."""
        await self._lookup.usable(owner, store_id)
        await self.add(owner, store_id, [request], ["file_id"])
        return file_shape(await self._lookup.file(owner, store_id, request.file_id))

    async def get(self, owner: Owner, store_id: str, file_id: str) -> Json:
        """One of them. Raises ``NotFound``."""
        return file_shape(await self._lookup.file(owner, store_id, file_id))

    async def page(
        self, owner: Owner, store_id: str, between: Between, *, status: str | None, batch_id: str | None = None
    ) -> Json:
        """Some of them, or of a batch. Raises ``NotFound``, or a 400 for a cursor that names nothing."""
        try:
            rows, more = await self._rows.page_of_files(owner, store_id, between, status=status, batch_id=batch_id)
        except CursorNotFound as nowhere:
            await self._there(owner, store_id, batch_id)
            raise bad_cursor(between.after, str(nowhere)) from nowhere
        if not rows:
            await self._there(owner, store_id, batch_id)
        return list_shape([file_shape(row) for row in rows], more=more)

    async def update(self, owner: Owner, store_id: str, file_id: str, attributes: Mapping[str, Any]) -> Json:
        """Other attributes, which searches see when this returns. Raises ``NotFound``."""
        row = await self._rows.change_attributes(owner, store_id, file_id, text_of(attributes))
        if row is None:
            row = await self._lookup.file(owner, store_id, file_id)
        return file_shape(await self._indexed(row))

    async def delete(self, owner: Owner, store_id: str, file_id: str) -> Json:
        """Out of the store: no search finds it when this returns. The file itself stays. Raises ``NotFound``."""
        if not await self.detach(owner, store_id, file_id):
            await self._lookup.file(owner, store_id, file_id)
        return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}

    async def content(self, owner: Owner, store_id: str, file_id: str) -> Json:
        """Its text as it was read, chunk by chunk; nothing while there is none. Raises ``NotFound``."""
        row = await self._lookup.file(owner, store_id, file_id)
        texts = [] if row.document is None else await self._index.contents(owner, store_id, row.document)
        return {
            "object": "vector_store.file_content.page",
            "data": [{"type": "text", "text": text} for text in texts],
            "has_more": False,
            "next_page": None,
        }

    # -- for others of this room

    async def add(
        self,
        owner: Owner,
        store_id: str,
        requests: Sequence[CreateVectorStoreFile],
        params: Sequence[str],
        batch_id: str | None = None,
    ) -> None:
        """Have these files read into the store; ``params`` is where the request names each. All of it or nothing.

        One that is there, or on its way, and cut in the same way is not read again; its attributes change where some
        are given. Raises ``NotFound`` for an unknown file or store.
        """
        stored = await self.known(owner, [one.file_id for one in requests], params)
        there = await self._rows.files(owner, store_id, [one.file_id for one in requests])
        new, changed = [], []
        for request, file in zip(requests, stored, strict=True):
            row = there.get(file.id)
            chunking = chunking_text(request.chunking_strategy)
            given = None if request.attributes is None else text_of(request.attributes)
            if row is not None and row.status in ("in_progress", "completed") and row.chunking == chunking:
                if given not in (None, row.attributes):
                    changed.append(request)
                continue
            attributes = given if given is not None else row.attributes if row is not None else "{}"
            new.append(NewFile(file.id, file.filename, attributes, chunking, duties.read_file(store_id, file.id)))
        batch = None if batch_id is None else Batch(batch_id, [one.file_id for one in requests])
        now = int(ambient.now())
        if not await self._rows.attach(owner, store_id, new, now, batch):
            raise unknown_store(store_id)
        await self._rows.touch(owner, store_id, now)
        if new:
            self._jobs.wake()
        for request in changed:
            await self.update(owner, store_id, request.file_id, request.attributes or {})

    async def known(self, owner: Owner, file_ids: Sequence[str], params: Sequence[str]) -> list[StoredFile]:
        """These files. Raises ``NotFound`` that names the first which is not there."""
        found: list[StoredFile] = []
        for at in range(0, len(file_ids), _TOGETHER):
            some = (self._files.get(owner, file_id) for file_id in file_ids[at : at + _TOGETHER])
            for one in await asyncio.gather(*some, return_exceptions=True):
                if isinstance(one, NotFound):
                    name, param = file_ids[len(found)], params[len(found)]
                    raise NotFound(f"No file found with id '{name}'.", param=param) from one
                if isinstance(one, BaseException):
                    raise one
                found.append(one)
        return found

    async def detach(self, owner: Owner, store_id: str, file_id: str) -> bool:
        """Take it out, whatever is being done with it. False when it was not there."""
        while (row := await self._rows.file(owner, store_id, file_id)) is not None:
            if await self._rows.detach(row, duties.forget(store_id, [row.document, row.replaced])):
                self._jobs.wake()
                return True
        return False

    async def detach_everywhere(self, owner: Owner, file_id: str) -> None:
        """The file itself has gone: take it out of every store."""
        for store_id in await self._rows.stores_of(owner, file_id):
            await self.detach(owner, store_id, file_id)

    async def _indexed(self, row: FileRow) -> FileRow:
        """Tell the index the attributes, until they are those of the row that stands."""
        while row.document is not None:
            await self._index.attributes(row.owner, row.store_id, row.document, attributes_of(row))
            now = await self._lookup.file(row.owner, row.store_id, row.file_id)
            if (now.document, now.attributes) == (row.document, row.attributes):
                return now
            row = now
        return row

    async def _there(self, owner: Owner, store_id: str, batch_id: str | None) -> None:
        if batch_id is not None:
            await self._lookup.batch(owner, store_id, batch_id)
        else:
            await self._lookup.store(owner, store_id)
