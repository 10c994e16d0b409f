"""What can be done with files, for any owner: keep, get, list and delete them; and the housekeeping.

A file that has expired is not there, from that second on; the housekeeping removes it a little later, as it does what a
crash left half deleted. Deleting is: nobody sees it, those who made something of it are told, row and content go. When
one of these fails, the next round of the housekeeping takes it up.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

from antiphon import ambient
from antiphon.config import FilesConfig
from antiphon.errors import InvalidRequest, NotFound
from antiphon.files.blobs import Content
from antiphon.files.contents import Contents, Incoming
from antiphon.files.names import safe_name
from antiphon.storage.files.model import FilePage, FileStore, StoredFile
from antiphon.storage.model import Owner

_log = logging.getLogger("antiphon.files")

#: Files that are removed at once by the housekeeping.
_AT_ONCE = 100
#: How long files live that say nothing, by purpose; others for ever. Seconds.
_LIFETIMES = {"batch": 30 * 24 * 3600}
#: Of what the limit is, for its error.
FILE_LIMIT = "a file (files.max_file_bytes)"
#: How an id of a file looks.
ID = re.compile(r"file-[0-9a-f]{48}")

#: Is told that a file has gone, and removes what was made of it. It may be told more than once.
Gone = Callable[[Owner, str], Awaitable[None]]


class Files:
    """The operations of ``/v1/files``, and what others need of files."""

    def __init__(self, rows: FileStore, contents: Contents, config: FilesConfig) -> None:
        self.on_delete: list[Gone] = []
        """Who is told of files that go."""
        self._rows = rows
        self._contents = contents
        self._limit = config.max_file_bytes

    def incoming(self) -> contextlib.AbstractAsyncContextManager[Incoming]:
        """A content on its way in, for ``keep``. Writing more than a file may have raises ``PayloadTooLarge``."""
        return self._contents.incoming(self._limit, FILE_LIMIT)

    async def create(
        self,
        owner: Owner,
        content: AsyncIterator[bytes],
        *,
        filename: str,
        purpose: str,
        media_type: str | None = None,
        expires_after: int | None = None,
    ) -> StoredFile:
        """A new file of these bytes, none of which stay in memory. Raises ``PayloadTooLarge``, or what they raise."""
        async with self.incoming() as incoming:
            async for data in content:
                await incoming.write(data)
            return await self.keep(
                owner, incoming, filename=filename, purpose=purpose, media_type=media_type, expires_after=expires_after
            )

    async def keep(
        self,
        owner: Owner,
        incoming: Incoming,
        *,
        filename: str,
        purpose: str,
        media_type: str | None = None,
        expires_after: int | None = None,
    ) -> StoredFile:
        """A new file of what came in. ``expires_after`` in seconds. It is durable when this returns."""

        async def write(content: Content) -> StoredFile:
            file = new_file(owner, content, filename, purpose, media_type, expires_after)
            await self._rows.add(file)
            return file

        return await self._contents.keep(owner, incoming, write)

    async def get(self, owner: Owner, file_id: str) -> StoredFile:
        """The file. Raises ``NotFound``."""
        file = await self._rows.get(owner, file_id, int(ambient.now()))
        if file is None:
            raise unknown(file_id)
        return file

    def path(self, file: StoredFile) -> Path:
        """Where its content can be read; it may vanish when the file is deleted."""
        return self._contents.path(file.owner, file.sha256)

    async def page(
        self, owner: Owner, *, after: str | None, limit: int, order: Literal["asc", "desc"], purpose: str | None
    ) -> FilePage:
        """Some of them, by age. Raises a 400 for a cursor that is no id."""
        if after is not None and not ID.fullmatch(after):
            raise InvalidRequest("'after' is not the id of a file.", param="after", code="invalid_cursor")
        return await self._rows.page(
            owner, after=after, limit=limit, order=order, purpose=purpose, now=int(ambient.now())
        )

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Gone when this returns, with all that was made of it. Raises ``NotFound``."""
        file = await self._rows.bury(owner, file_id, int(ambient.now()))
        if file is None:
            raise unknown(file_id)
        await self._remove(file)

    async def sweep(self) -> int:
        """Remove what has expired, or was left half deleted; how many files."""
        gone = 0
        while due := await self._rows.overdue(int(ambient.now()), _AT_ONCE):
            before = gone
            for file in due:
                gone += await self._removed(file)
            if gone == before or len(due) < _AT_ONCE:
                break  # nothing more, or nothing that can be done now
        return gone

    async def _removed(self, file: StoredFile) -> bool:
        try:
            await self._remove(file)
        except Exception:  # noqa: BLE001 - one that cannot go now must not keep the others
            _log.exception("File %s could not be removed; it is tried again.", file.id)
            return False
        return True

    async def _remove(self, file: StoredFile) -> None:
        for told in self.on_delete:
            await told(file.owner, file.id)
        await self._contents.drop(file.owner, file.sha256, lambda: self._rows.remove(file.owner, file.id))


def new_file(
    owner: Owner, content: Content, filename: str, purpose: str, media_type: str | None, expires_after: int | None
) -> StoredFile:
    """A row that is not in the store yet. In a frozen scope the clock stands, so the housekeeping leaves it alone."""
    file_id, now = ambient.new_id("file"), int(ambient.now())
    lifetime = expires_after if expires_after is not None else _LIFETIMES.get(purpose)
    expires_at = None if lifetime is None else now + lifetime
    return StoredFile(
        id=file_id,
        owner=owner,
        filename=safe_name(filename),
        purpose=purpose,
        bytes=content.bytes,
        created_at=now,
        expires_at=expires_at,
        sha256=content.sha256,
        media_type=media_type,
        sweep_at=None if ambient.is_frozen() else expires_at,
    )


def unknown(file_id: str) -> NotFound:
    """The 404 for a file that is not there, or not any more."""
    return NotFound(f"No such File object: {file_id}", param="id", code="not_found")
