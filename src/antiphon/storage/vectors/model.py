"""Vector stores as plain values, and what a store of them can do.

``metadata``, ``attributes`` and ``chunking`` are JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from antiphon.storage.jobs.model import Claimed, NewJob
from antiphon.storage.model import Owner

FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]
Order = Literal["asc", "desc"]


class VectorStoreRow(msgspec.Struct, frozen=True):
    """One row of ``vector_stores``. Times in seconds."""

    owner: Owner
    id: str
    created_at: int
    name: str
    description: str | None
    metadata: str
    expires_days: int | None
    last_active_at: int
    expired: bool
    embedding_model: str
    dimensions: int | None

    @property
    def expires_at(self) -> int | None:
        """When it expires, or did; None for never."""
        return None if self.expires_days is None else self.last_active_at + self.expires_days * 86400


class FileRow(msgspec.Struct, frozen=True):
    """One row of ``vector_store_files``: a file of a store, as ``storage.vectors.tables`` says."""

    owner: Owner
    store_id: str
    file_id: str
    filename: str
    created_at: int
    status: FileStatus
    usage_bytes: int
    error_code: str | None
    error_message: str | None
    attributes: str
    chunking: str
    job_id: str
    document: str | None
    replaced: str | None
    version: int


class NewFile(msgspec.Struct, frozen=True):
    """A file to be read into a store by that job."""

    file_id: str
    filename: str
    attributes: str
    chunking: str
    job: NewJob


class BatchRow(msgspec.Struct, frozen=True):
    """One row of ``file_batches``."""

    id: str
    store_id: str
    created_at: int
    cancelled: bool


class Counts(msgspec.Struct):
    """Files by status, and what they hold in the index, in bytes."""

    in_progress: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    usage_bytes: int = 0

    @property
    def total(self) -> int:
        """Of every status."""
        return self.in_progress + self.completed + self.cancelled + self.failed


class Between(msgspec.Struct, frozen=True):
    """Which page of a list: what lies after one cursor and before another, either of which may be absent."""

    after: str | None = None
    before: str | None = None
    limit: int = 20
    order: Order = "desc"


class StoreChange(msgspec.Struct, frozen=True):
    """What is to be other in a vector store."""

    name: str | UnsetType = UNSET
    metadata: str | UnsetType = UNSET
    expires_days: int | UnsetType | None = UNSET


class VectorStore(Protocol):
    """Vector stores, their files and batches. Every method is safe to call concurrently."""

    async def create(self, row: VectorStoreRow) -> None:
        """Write it. ``Conflict`` when the id is taken."""

    async def get(self, owner: Owner, store_id: str) -> VectorStoreRow | None:
        """The row."""

    async def page(self, owner: Owner, between: Between) -> tuple[list[VectorStoreRow], bool]:
        """Some of them, and whether there are more. Raises ``CursorNotFound``."""

    async def change(self, owner: Owner, store_id: str, change: StoreChange) -> VectorStoreRow | None:
        """The row after it."""

    async def fix_dimensions(self, owner: Owner, store_id: str, dimensions: int) -> VectorStoreRow | None:
        """The row; its vectors have so many numbers from now on, where that was not known yet."""

    async def touch(self, owner: Owner, store_id: str, now: int) -> None:
        """It was used."""

    async def delete(self, owner: Owner, store_id: str, job: NewJob) -> bool:
        """Gone with its files and batches; ``job`` removes what the index holds. False when there was none."""

    async def counts(self, owner: Owner, store_ids: Sequence[str]) -> Mapping[str, Counts]:
        """Of each of them."""

    async def due(self, now: int, limit: int) -> list[tuple[Owner, str]]:
        """Stores of all owners that have expired and are not emptied yet."""

    async def expire(self, owner: Owner, store_id: str) -> bool:
        """Mark it as expired for good: what was being read into it is cancelled. False when there is none."""

    async def attach(
        self, owner: Owner, store_id: str, files: Sequence[NewFile], now: int, batch: Batch | None = None
    ) -> bool:
        """Files to be read by their jobs, the batch that names them, all of it or nothing. False without a store."""

    async def file(self, owner: Owner, store_id: str, file_id: str) -> FileRow | None:
        """The row."""

    async def files(self, owner: Owner, store_id: str, file_ids: Sequence[str]) -> dict[str, FileRow]:
        """Those of these that are there, by id."""

    async def page_of_files(
        self, owner: Owner, store_id: str, between: Between, *, status: str | None, batch_id: str | None = None
    ) -> tuple[list[FileRow], bool]:
        """Some of its files, or of a batch of it. Raises ``CursorNotFound``."""

    async def change_attributes(self, owner: Owner, store_id: str, file_id: str, attributes: str) -> FileRow | None:
        """The row after it."""

    async def detach(self, row: FileRow, job: NewJob) -> bool:
        """Gone, if it is still as it was; ``job`` removes what the index holds of it."""

    async def stores_of(self, owner: Owner, file_id: str) -> list[str]:
        """Where this file is."""

    async def complete(self, job: Claimed, row: FileRow, usage_bytes: int) -> FileRow | None:
        """The index has it as the job's document. None when it changed since ``row``, or is not this job's any more."""

    async def fail(self, job: Claimed, row: FileRow, code: str, message: str) -> FileRow | None:
        """It cannot be read. None when it is not this job's any more."""

    async def batch(self, owner: Owner, store_id: str, batch_id: str) -> BatchRow | None:
        """The row."""

    async def batch_counts(self, owner: Owner, store_id: str, batch_id: str) -> Counts:
        """Of the files that it named."""

    async def cancel_batch(self, owner: Owner, store_id: str, batch_id: str) -> bool:
        """What is not read yet is not read any more. False when there is no such batch."""


class Batch(msgspec.Struct, frozen=True):
    """A batch to be made, and all the files that it names."""

    id: str
    file_ids: Sequence[str]
