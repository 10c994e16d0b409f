"""The ``VectorStore`` over any database that can run the compiled statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from antiphon import ambient
from antiphon.storage.database import Database
from antiphon.storage.jobs.model import Claimed, NewJob
from antiphon.storage.jobs.store import json, packed
from antiphon.storage.model import CursorNotFound, Owner
from antiphon.storage.rows import Row
from antiphon.storage.vectors.model import (
    Batch,
    BatchRow,
    Between,
    Counts,
    FileRow,
    NewFile,
    Order,
    StoreChange,
    VectorStoreRow,
)

_DELETE = (
    "delete_vector_store",
    "cancel_jobs_of_store",
    "delete_vector_store_files",
    "delete_file_batches",
    "delete_file_batch_files",
)
_EXPIRE = ("expire_vector_store", "cancel_jobs_of_store", "cancel_files_of_store", "empty_files_of_store")
_OTHER: dict[Order, Order] = {"asc": "desc", "desc": "asc"}


class SqlVectors:
    """``model.VectorStore`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- stores

    async def create(self, row: VectorStoreRow) -> None:
        """Write it. Where ids are frozen, in place of an earlier run's."""
        values = {name: getattr(row, name) for name in row.__struct_fields__}
        first: tuple[str, ...] = ()
        if ambient.is_frozen():
            first = _DELETE
        await self._database.write((*first, "add_vector_store"), **values, store_id=row.id)

    async def get(self, owner: Owner, store_id: str) -> VectorStoreRow | None:
        """The row."""
        return _store(await self._database.fetch("vector_store", owner=owner, store_id=store_id))

    async def page(self, owner: Owner, between: Between) -> tuple[list[VectorStoreRow], bool]:
        """Some of them, and whether there are more."""
        found, more = await self._page("vector_stores", between, owner=owner)
        for cursor in (between.after, between.before):
            if not found and cursor is not None and await self.get(owner, cursor) is None:
                raise CursorNotFound(cursor)
        return [_store_row(row) for row in found], more

    async def change(self, owner: Owner, store_id: str, change: StoreChange) -> VectorStoreRow | None:
        """The row after it."""
        values: dict[str, Any] = {}
        for name, nothing in (("name", ""), ("metadata", "{}"), ("expires_days", None)):
            given = getattr(change, name)
            values |= {f"set_{name}": given is not UNSET, name: nothing if given is UNSET else given}
        return _store(await self._database.write(("change_vector_store",), owner=owner, store_id=store_id, **values))

    async def fix_dimensions(self, owner: Owner, store_id: str, dimensions: int) -> VectorStoreRow | None:
        """The row, with these dimensions where it had none."""
        values: dict[str, Any] = {"owner": owner, "store_id": store_id, "dimensions": dimensions}
        return _store(await self._database.write(("fix_dimensions",), **values))

    async def touch(self, owner: Owner, store_id: str, now: int) -> None:
        """It was used."""
        await self._database.write(("touch_vector_store",), owner=owner, store_id=store_id, now=now)

    async def delete(self, owner: Owner, store_id: str, job: NewJob) -> bool:
        """Gone with its files and batches, and a job owed."""
        found = await self._database.write((*_DELETE, "add_jobs"), owner=owner, store_id=store_id, jobs=packed([job]))
        return bool(found)

    async def counts(self, owner: Owner, store_ids: Sequence[str]) -> dict[str, Counts]:
        """Of each of them."""
        counts = {store_id: Counts() for store_id in store_ids}
        if counts:
            found = await self._database.fetch("vector_store_counts", owner=owner, store_ids=json(list(counts)))
            for store_id, status, many, size in found:
                setattr(counts[store_id], status, many)
                counts[store_id].usage_bytes += size
        return counts

    async def due(self, now: int, limit: int) -> list[tuple[Owner, str]]:
        """Stores of all owners that have expired and are not emptied yet."""
        found = await self._database.fetch("due_vector_stores", now=now, limit=limit)
        return [(owner, store_id) for owner, store_id in found]

    async def expire(self, owner: Owner, store_id: str) -> bool:
        """Mark it as expired for good."""
        return bool(await self._database.write(_EXPIRE, owner=owner, store_id=store_id))

    # -- files

    async def attach(
        self, owner: Owner, store_id: str, files: Sequence[NewFile], now: int, batch: Batch | None = None
    ) -> bool:
        """Rows, jobs and batch, or nothing."""
        names = ["lock_vector_store"]
        values: dict[str, Any] = {"owner": owner, "store_id": store_id, "now": now}
        if files:
            names += ["attach_files", "add_jobs"]
            values["files"] = json([(f.file_id, f.filename, f.attributes, f.chunking, f.job.id) for f in files])
            values["jobs"] = packed([f.job for f in files])
        if batch is not None:
            names += ["add_file_batch", "name_in_batch"]
            values |= {"batch_id": batch.id, "named": json([[file_id] for file_id in batch.file_ids])}
        return bool(await self._database.write(names, **values))

    async def file(self, owner: Owner, store_id: str, file_id: str) -> FileRow | None:
        """The row."""
        return _file(await self._database.fetch("file_of_store", owner=owner, store_id=store_id, file_id=file_id))

    async def files(self, owner: Owner, store_id: str, file_ids: Sequence[str]) -> dict[str, FileRow]:
        """Those of these that are there, by id."""
        if not file_ids:
            return {}
        place = {"owner": owner, "store_id": store_id, "file_ids": json(list(file_ids))}
        rows = [FileRow(*row) for row in await self._database.fetch("some_files_of_store", **place)]
        return {row.file_id: row for row in rows}

    async def page_of_files(
        self, owner: Owner, store_id: str, between: Between, *, status: str | None, batch_id: str | None = None
    ) -> tuple[list[FileRow], bool]:
        """Some of its files, or of a batch of it."""
        place: dict[str, Any] = {"owner": owner, "store_id": store_id, "status": status}
        name = "files_of_store"
        if batch_id is not None:
            name, place["batch_id"] = "files_of_batch", batch_id
        found, more = await self._page(name, between, **place)
        for cursor in (between.after, between.before):
            if not found and cursor is not None and await self.file(owner, store_id, cursor) is None:
                raise CursorNotFound(cursor)
        return [FileRow(*row) for row in found], more

    async def change_attributes(self, owner: Owner, store_id: str, file_id: str, attributes: str) -> FileRow | None:
        """The row after it."""
        place: dict[str, Any] = {"owner": owner, "store_id": store_id, "file_id": file_id, "attributes": attributes}
        return _file(await self._database.write(("change_attributes",), **place))

    async def detach(self, row: FileRow, job: NewJob) -> bool:
        """Gone, if it is still as it was, and a job owed; that does nothing where the file is still there."""
        names = ("delete_file_of_store", "forget_in_batches", "cancel_job", "add_jobs")
        place: dict[str, Any] = {"owner": row.owner, "store_id": row.store_id, "file_id": row.file_id}
        place |= {"version": row.version, "job_id": row.job_id, "jobs": packed([job])}
        return bool(await self._database.write(names, **place))

    async def stores_of(self, owner: Owner, file_id: str) -> list[str]:
        """Where this file is."""
        return [row[0] for row in await self._database.fetch("stores_of_file", owner=owner, file_id=file_id)]

    # -- what a job writes

    async def complete(self, job: Claimed, row: FileRow, usage_bytes: int) -> FileRow | None:
        """The row after it, where it was still as ``row`` and the job's."""
        values = {"version": row.version, "usage_bytes": usage_bytes}
        return _file(await self._database.write(("hold_job", "complete_file"), answer=1, **_work(job, row), **values))

    async def fail(self, job: Claimed, row: FileRow, code: str, message: str) -> FileRow | None:
        """The row after it, where it was still the job's."""
        values = {"error_code": code, "error_message": message.replace("\0", " ")}
        return _file(await self._database.write(("hold_job", "fail_file"), answer=1, **_work(job, row), **values))

    # -- batches

    async def batch(self, owner: Owner, store_id: str, batch_id: str) -> BatchRow | None:
        """The row."""
        found = await self._database.fetch("file_batch", owner=owner, store_id=store_id, batch_id=batch_id)
        if not found:
            return None
        name, of, created_at, cancelled = found[0]
        return BatchRow(name, of, created_at, bool(cancelled))

    async def batch_counts(self, owner: Owner, store_id: str, batch_id: str) -> Counts:
        """Of the files that it named."""
        counts = Counts()
        for status, many in await self._database.fetch(
            "file_batch_counts", owner=owner, store_id=store_id, batch_id=batch_id
        ):
            setattr(counts, status, many)
        return counts

    async def cancel_batch(self, owner: Owner, store_id: str, batch_id: str) -> bool:
        """What is not read yet is not read any more."""
        names = ("cancel_file_batch", "cancel_jobs_of_batch", "cancel_files_of_batch")
        return bool(await self._database.write(names, owner=owner, store_id=store_id, batch_id=batch_id))

    # -- small things

    async def _page(self, name: str, between: Between, **place: Any) -> tuple[Sequence[Row], bool]:
        """One page; what lies before a cursor is read backwards from there."""
        order, after, before = between.order, between.after, between.before
        backwards = before is not None and after is None
        if backwards:
            order, after, before = _OTHER[order], before, None
        cursors = {"after": after, "before": before, "limit": between.limit + 1}
        found = list(await self._database.fetch(f"{name}_{order}", **place, **cursors))
        more = len(found) > between.limit
        found = found[: between.limit]
        return found[::-1] if backwards else found, more


def _work(job: Claimed, row: FileRow) -> dict[str, Any]:
    place = {"owner": job.owner, "job_id": job.id, "token": job.token}
    return {**place, "store_id": row.store_id, "file_id": row.file_id}


def _store(found: Sequence[Row]) -> VectorStoreRow | None:
    return _store_row(found[0]) if found else None


def _store_row(row: Row) -> VectorStoreRow:
    values = dict(zip(VectorStoreRow.__struct_fields__, row, strict=True))
    return VectorStoreRow(**{**values, "expired": bool(values["expired"])})


def _file(found: Sequence[Row]) -> FileRow | None:
    return FileRow(*found[0]) if found else None
