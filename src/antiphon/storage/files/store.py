"""The ``FileStore`` and the ``UploadStore`` over any database that can run the compiled statements."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from antiphon import ambient
from antiphon.storage.database import Database
from antiphon.storage.files.model import FilePage, StoredFile, StoredPart, StoredUpload
from antiphon.storage.model import Owner
from antiphon.storage.rows import Row

_FILE_FIELDS = StoredFile.__struct_fields__
_UPLOAD_FIELDS = StoredUpload.__struct_fields__
_PART_FIELDS = StoredPart.__struct_fields__


class SqlFiles:
    """``model.FileStore`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, file: StoredFile) -> None:
        """Write it. Where ids are frozen, in place of an earlier run's."""
        first = ("drop_file",) if ambient.is_frozen() else ()
        await self._database.write((*first, "add_file"), **msgspec.structs.asdict(file), file_id=file.id)

    async def get(self, owner: Owner, file_id: str, now: int) -> StoredFile | None:
        """The row."""
        return _file(await self._database.fetch("file", owner=owner, file_id=file_id, now=now))

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
        """Some of them."""
        asked = {"owner": owner, "after": after, "purpose": purpose, "now": now}
        rows = await self._database.fetch(f"files_{order}", **asked, limit=limit + 1)
        return FilePage([_named(StoredFile, _FILE_FIELDS, row) for row in rows[:limit]], len(rows) > limit)

    async def bury(self, owner: Owner, file_id: str, now: int) -> StoredFile | None:
        """Nobody sees it any more."""
        return _file(await self._database.write(("bury_file",), owner=owner, file_id=file_id, now=now))

    async def remove(self, owner: Owner, file_id: str) -> None:
        """The row goes."""
        await self._database.write(("drop_file",), owner=owner, file_id=file_id)

    async def overdue(self, now: int, limit: int) -> list[StoredFile]:
        """Files that are to be removed."""
        rows = await self._database.fetch("overdue_files", now=now, limit=limit)
        return [_named(StoredFile, _FILE_FIELDS, row) for row in rows]

    async def in_use(self, owner: Owner, sha256: bytes) -> bool:
        """Whether anything has this content."""
        return bool(await self._database.fetch("content_in_use", owner=owner, sha256=sha256))


class SqlUploads:
    """``model.UploadStore`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, upload: StoredUpload) -> None:
        """Write it. Where ids are frozen, in place of an earlier run's."""
        first = ("drop_upload_parts", "drop_upload") if ambient.is_frozen() else ()
        await self._database.write((*first, "add_upload"), **msgspec.structs.asdict(upload), upload_id=upload.id)

    async def get(self, owner: Owner, upload_id: str) -> StoredUpload | None:
        """The row."""
        return _upload(await self._database.fetch("upload", owner=owner, upload_id=upload_id))

    async def add_part(self, part: StoredPart, now: int) -> bool:
        """Write it where the upload takes it."""
        given = {**msgspec.structs.asdict(part), "part_id": part.id}
        return bool(await self._database.write(("take_part", "add_part"), **given, now=now))

    async def parts(self, owner: Owner, upload_id: str) -> list[StoredPart]:
        """Its parts."""
        rows = await self._database.fetch("upload_parts", owner=owner, upload_id=upload_id)
        return [_named(StoredPart, _PART_FIELDS, row) for row in rows]

    async def complete(self, upload: StoredUpload, file: StoredFile, now: int, forget_at: int | None) -> bool:
        """The upload becomes this file."""
        first = ("drop_file",) if ambient.is_frozen() else ()
        given = {**msgspec.structs.asdict(file), "file_id": file.id, "upload_id": upload.id}
        names = ("complete_upload", *first, "add_upload_file")
        return bool(await self._database.write(names, **given, now=now, forget_at=forget_at))

    async def end(
        self, owner: Owner, upload_id: str, status: Literal["cancelled", "expired"], forget_at: int | None
    ) -> StoredUpload | None:
        """It ends without a file."""
        place: dict[str, Any] = {"owner": owner, "upload_id": upload_id}
        return _upload(await self._database.write(("end_upload",), **place, status=status, forget_at=forget_at))

    async def remove_part(self, part: StoredPart) -> None:
        """The row goes."""
        place: dict[str, Any] = {"owner": part.owner, "upload_id": part.upload_id, "part_id": part.id}
        await self._database.write(("drop_upload_part",), **place)

    async def overdue(self, now: int, limit: int) -> list[StoredUpload]:
        """Uploads whose time has come."""
        rows = await self._database.fetch("overdue_uploads", now=now, limit=limit)
        return [_named(StoredUpload, _UPLOAD_FIELDS, row) for row in rows]

    async def remove(self, owner: Owner, upload_id: str) -> None:
        """The row goes."""
        await self._database.write(("drop_upload",), owner=owner, upload_id=upload_id)


def _named(kind: Any, fields: tuple[str, ...], row: Row) -> Any:
    """The statements name the columns in the order of the fields."""
    return kind(**dict(zip(fields, row, strict=True)))


def _file(rows: Any) -> StoredFile | None:
    return _named(StoredFile, _FILE_FIELDS, rows[0]) if rows else None


def _upload(rows: Any) -> StoredUpload | None:
    return _named(StoredUpload, _UPLOAD_FIELDS, rows[0]) if rows else None
