"""Files that come in parts: begin an upload, add parts in any order, and say at the end in which order they belong.

Each part is a content of its own, so what has come is durable. At the end they are written one after the other into a
new content, and go. An upload that is neither completed nor cancelled expires, and its parts go too.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from antiphon import ambient
from antiphon.config import FilesConfig
from antiphon.errors import InternalError, InvalidRequest, NotFound
from antiphon.files.blobs import CHUNK, Content, in_thread
from antiphon.files.contents import Contents, Incoming, too_large
from antiphon.files.names import safe_name
from antiphon.files.service import new_file
from antiphon.storage.files.model import StoredFile, StoredPart, StoredUpload, UploadStore
from antiphon.storage.model import Owner
from antiphon.wire.file_requests import CompleteUpload, CreateUpload

_log = logging.getLogger("antiphon.files")

MAX_PART_BYTES = 64 * 1024 * 1024
#: How long an upload may take. Seconds.
LIFETIME = 3600
#: How long it is remembered what became of one. Seconds.
_REMEMBERED = 24 * 3600
#: Uploads that are looked at once by the housekeeping.
_AT_ONCE = 100

#: Of what the limits are, for their errors.
PART_LIMIT = "a part of an upload"
FILE_LIMIT = "an upload (files.max_upload_bytes)"


class Uploads:
    """The operations of ``/v1/uploads``."""

    def __init__(self, rows: UploadStore, contents: Contents, config: FilesConfig) -> None:
        self._rows = rows
        self._contents = contents
        self._limit = config.max_upload_bytes

    async def create(self, owner: Owner, asked: CreateUpload) -> StoredUpload:
        """A new upload. Raises ``PayloadTooLarge``."""
        if asked.bytes > self._limit:
            raise too_large(self._limit, FILE_LIMIT)
        now = int(ambient.now())
        upload = StoredUpload(
            id=ambient.new_id("upload"),
            owner=owner,
            filename=safe_name(asked.filename),
            purpose=asked.purpose,
            bytes=asked.bytes,
            created_at=now,
            expires_at=now + LIFETIME,
            media_type=asked.mime_type,
            expires_after=asked.expires_after.seconds if asked.expires_after is not None else None,
            sweep_at=None if ambient.is_frozen() else now + LIFETIME,
        )
        await self._rows.add(upload)
        return upload

    async def get(self, owner: Owner, upload_id: str) -> StoredUpload:
        """The upload, while it is pending. Raises ``NotFound``, or a 400 that says what became of it."""
        upload = await self._rows.get(owner, upload_id)
        if upload is None:
            raise NotFound(f"No such Upload object: {upload_id}", param="upload_id", code="not_found")
        if upload.status != "pending":
            raise _over(upload, upload.status)
        if upload.expires_at <= int(ambient.now()):
            raise _over(upload, "expired")
        return upload

    def incoming(self) -> contextlib.AbstractAsyncContextManager[Incoming]:
        """A part on its way in, for ``add_part``. Writing more than a part may have raises ``PayloadTooLarge``."""
        return self._contents.incoming(MAX_PART_BYTES, PART_LIMIT)

    async def add_part(self, owner: Owner, upload_id: str, incoming: Incoming) -> StoredPart:
        """A new part of what came in; durable when this returns.

        Raises what ``get`` raises, and ``PayloadTooLarge`` once parts of twice the upload's size have come: that
        leaves room to send each again.
        """

        async def write(content: Content) -> tuple[StoredPart, bool]:
            part = StoredPart(
                id=ambient.new_id("upload_part"),
                owner=owner,
                upload_id=upload_id,
                created_at=int(ambient.now()),
                bytes=content.bytes,
                sha256=content.sha256,
            )
            return part, await self._rows.add_part(part, part.created_at)

        part, taken = await self._contents.keep(owner, incoming, write)
        if taken:
            return part
        upload = await self.get(owner, upload_id)
        raise too_large(2 * upload.bytes, f"all parts of upload '{upload_id}', which is to have {upload.bytes}")

    async def complete(self, owner: Owner, upload_id: str, asked: CompleteUpload) -> tuple[StoredUpload, StoredFile]:
        """The upload as it ended, and the file that it became. Raises what ``get`` raises, or a 400."""
        upload = await self.get(owner, upload_id)
        parts = self._ordered(upload, await self._rows.parts(owner, upload_id), asked.part_ids)
        async with self._contents.incoming(self._limit, FILE_LIMIT) as incoming:
            await self._assemble(upload, parts, incoming, asked.md5)
            file = await self._contents.keep(owner, incoming, lambda content: self._became(upload, content))
        if file is None:
            await self.get(owner, upload_id)
            raise InternalError(f"Upload '{upload_id}' could not be completed.")
        await self._drop_parts(upload)
        return msgspec.structs.replace(upload, status="completed", file_id=file.id), file

    async def cancel(self, owner: Owner, upload_id: str) -> StoredUpload:
        """The upload as it ended; its parts are gone. Raises what ``get`` raises."""
        await self.get(owner, upload_id)
        ended = await self._rows.end(owner, upload_id, "cancelled", _forget_at())
        if ended is None:
            return await self.get(owner, upload_id)
        await self._drop_parts(ended)
        return ended

    async def sweep(self) -> int:
        """End what has expired, and forget what ended long ago; how many uploads."""
        done = 0
        for upload in await self._rows.overdue(int(ambient.now()), _AT_ONCE):
            try:
                await self._end(upload)
            except Exception:  # noqa: BLE001 - one that cannot end now must not keep the others
                _log.exception("Upload %s could not be ended; it is tried again.", upload.id)
            else:
                done += 1
        return done

    async def _end(self, upload: StoredUpload) -> None:
        if upload.status == "pending":
            await self._rows.end(upload.owner, upload.id, "expired", upload.expires_at + _REMEMBERED)
        await self._drop_parts(upload)
        if upload.status != "pending":
            await self._rows.remove(upload.owner, upload.id)

    async def _drop_parts(self, upload: StoredUpload) -> None:
        """Of one that takes no more. Should we die here, the housekeeping goes on."""
        for part in await self._rows.parts(upload.owner, upload.id):
            await self._contents.drop(part.owner, part.sha256, functools.partial(self._rows.remove_part, part))

    def _ordered(self, upload: StoredUpload, parts: Sequence[StoredPart], wanted: Sequence[str]) -> list[StoredPart]:
        """The parts in the order of ``wanted``. Raises InvalidRequest."""
        there = {part.id: part for part in parts}
        ordered: list[StoredPart] = []
        for n, part_id in enumerate(wanted):
            part = there.pop(part_id, None)
            if part is None:
                raise InvalidRequest(
                    f"Invalid value for 'part_ids[{n}]': '{part_id[:100]}' is no part of upload '{upload.id}', or is "
                    "named twice.",
                    param=f"part_ids[{n}]",
                    code="invalid_value",
                )
            ordered.append(part)
        size = sum(part.bytes for part in ordered)
        if size != upload.bytes:
            raise InvalidRequest(
                f"The parts have {size} bytes together; the upload was announced with {upload.bytes}.",
                param="part_ids",
                code="invalid_size",
            )
        return ordered

    async def _assemble(
        self, upload: StoredUpload, parts: Sequence[StoredPart], incoming: Incoming, md5: str | None
    ) -> None:
        """Write all parts, one after the other. Raises a 400 where the MD5 is another than ``md5``."""
        digest = hashlib.md5(usedforsecurity=False)
        try:
            for part in parts:
                with self._contents.path(part.owner, part.sha256).open("rb") as file:
                    while data := await in_thread(_read, file, digest):
                        await incoming.write(data)
        except FileNotFoundError:
            await self.get(upload.owner, upload.id)  # it was cancelled meanwhile
            raise
        if md5 is not None and digest.hexdigest() != md5.strip().lower():
            raise InvalidRequest(
                f"The MD5 of the parts is {digest.hexdigest()}, not what 'md5' says.", param="md5", code="invalid_md5"
            )

    async def _became(self, upload: StoredUpload, content: Content) -> StoredFile | None:
        """The file; None where the upload had ended before."""
        file = new_file(upload.owner, content, upload.filename, upload.purpose, upload.media_type, upload.expires_after)
        if await self._rows.complete(upload, file, file.created_at, _forget_at()):
            return file
        return None


def _read(file: BinaryIO, digest: Any) -> bytes:
    data = file.read(CHUNK)
    digest.update(data)
    return data


def _forget_at() -> int | None:
    return None if ambient.is_frozen() else int(ambient.now()) + _REMEMBERED


def _over(upload: StoredUpload, status: str) -> InvalidRequest:
    became = f": it became file '{upload.file_id}'" if upload.file_id else ""
    return InvalidRequest(
        f"Upload '{upload.id}' is {status}{became}. Only a pending upload can be added to, completed or cancelled.",
        param="upload_id",
        code=f"upload_{status}",
    )
