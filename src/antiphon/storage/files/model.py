"""What is stored of files and uploads, as plain values, and what a store of them can do.

A row names its content by SHA-256; the bytes themselves are ``antiphon.files.blobs``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from antiphon.storage.model import Owner

#: A SHA-256, raw.
Digest = bytes

UploadStatus = Literal["pending", "completed", "cancelled", "expired"]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file. Times are unix seconds; ``sweep_at`` is when the housekeeping may remove it, None for never."""

    id: str
    owner: Owner
    filename: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int | None = None
    sha256: Digest
    media_type: str | None = None
    sweep_at: int | None = None


class StoredUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that comes in parts. ``bytes`` is what was announced; ``expires_after`` seconds, of the file to be."""

    id: str
    owner: Owner
    filename: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int
    media_type: str
    expires_after: int | None = None
    status: UploadStatus = "pending"
    file_id: str | None = None
    sweep_at: int | None = None


class StoredPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an upload."""

    id: str
    owner: Owner
    upload_id: str
    created_at: int
    bytes: int
    sha256: Digest


class FilePage(msgspec.Struct, frozen=True):
    """One page of files and whether more follow in the asked order."""

    files: Sequence[StoredFile]
    has_more: bool


class FileStore(Protocol):
    """The rows of files. ``now`` is unix seconds: what has expired by then is not there. Safe to call concurrently."""

    async def add(self, file: StoredFile) -> None:
        """Write it; ``Conflict`` when the id is taken. Where ids are frozen, in place of an earlier run's."""

    async def get(self, owner: Owner, file_id: str, now: int) -> StoredFile | None:
        """The row; None when there is no such file of this owner."""

    async def page(
        self,
        owner: Owner,
        *,
        after: str | None,
        limit: int,
        order: Literal["asc", "desc"],
        purpose: str | None,
        now: int,
    ) -> FilePage:
        """Some of them, by id, which is by age. ``after`` is an id, of a file that is there or was."""

    async def bury(self, owner: Owner, file_id: str, now: int) -> StoredFile | None:
        """Let nobody see it any more, and owe its removal; again for one that is buried. None when there is none."""

    async def remove(self, owner: Owner, file_id: str) -> None:
        """The row goes."""

    async def overdue(self, now: int, limit: int) -> list[StoredFile]:
        """Files of all owners that are to be removed."""

    async def in_use(self, owner: Owner, sha256: Digest) -> bool:
        """Whether a file or a part of an upload has this content."""


class UploadStore(Protocol):
    """The rows of uploads and their parts. Safe to call concurrently."""

    async def add(self, upload: StoredUpload) -> None:
        """Write it; ``Conflict`` when the id is taken. Where ids are frozen, in place of an earlier run's."""

    async def get(self, owner: Owner, upload_id: str) -> StoredUpload | None:
        """The row, whatever became of it; None when there is no such upload of this owner."""

    async def add_part(self, part: StoredPart, now: int) -> bool:
        """Write it, unless the upload takes no more: not pending, expired, or parts of twice its size have come."""

    async def parts(self, owner: Owner, upload_id: str) -> list[StoredPart]:
        """Its parts, by id."""

    async def complete(self, upload: StoredUpload, file: StoredFile, now: int, forget_at: int | None) -> bool:
        """The upload becomes this file. False, and nothing, when it is not pending any more."""

    async def end(
        self, owner: Owner, upload_id: str, status: Literal["cancelled", "expired"], forget_at: int | None
    ) -> StoredUpload | None:
        """A pending one ends without a file; the row after it. None when it was not pending."""

    async def remove_part(self, part: StoredPart) -> None:
        """The row goes."""

    async def overdue(self, now: int, limit: int) -> list[StoredUpload]:
        """Uploads of all owners that are to be ended, where they are pending, or else removed."""

    async def remove(self, owner: Owner, upload_id: str) -> None:
        """The row goes."""
