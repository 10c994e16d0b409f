"""Contents and the rows that name them, kept in step: no row without its content, and no content without a row.

The first holds always. The second is made true again by ``sweep`` after a process died in the middle, or the database
did not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from antiphon.errors import PayloadTooLarge
from antiphon.files.blobs import Blobs, Content, Draft, to_its_end
from antiphon.storage.files.model import FileStore
from antiphon.storage.model import Owner

Result = TypeVar("Result")


class Incoming:
    """A content on its way in, that may not grow over a limit."""

    def __init__(self, draft: Draft, limit: int, what: str) -> None:
        """``what`` says in the error whose limit it is, and by which setting: ``a file (files.max_file_bytes)``."""
        self.draft = draft
        self._limit = limit
        self._what = what

    async def write(self, data: bytes) -> None:
        """Add to its end. Raises ``PayloadTooLarge``; ``Unavailable`` where there is no room for it."""
        if self.draft.size + len(data) > self._limit:
            raise too_large(self._limit, self._what)
        await self.draft.write(data)


def too_large(limit: int, what: str) -> PayloadTooLarge:
    """The 413 for more than ``limit`` bytes."""
    return PayloadTooLarge(f"This is over the limit of {limit} bytes for {what}.")


class Contents:
    """The contents of one server's files and parts of uploads."""

    def __init__(self, blobs: Blobs, rows: FileStore) -> None:
        self._blobs = blobs
        self._rows = rows

    @contextlib.asynccontextmanager
    async def incoming(self, limit: int, what: str) -> AsyncIterator[Incoming]:
        """A new content of up to ``limit`` bytes, gone at the end of the context unless it was kept."""
        async with self._blobs.draft() as draft:
            yield Incoming(draft, limit, what)

    async def keep(self, owner: Owner, incoming: Incoming, write: Callable[[Content], Awaitable[Result]]) -> Result:
        """What ``write`` gives, which writes the row that names this content. Where it wrote none, the content goes."""
        content = await incoming.draft.finish()

        async def kept() -> Result:
            async with self._blobs.alone(owner, content.sha256):
                await self._blobs.keep(owner, incoming.draft)
                result = await write(content)
                await self._settle(owner, content.sha256)
                return result

        return await _whole(kept())

    async def drop(self, owner: Owner, sha256: bytes, forget: Callable[[], Awaitable[None]]) -> None:
        """``forget`` removes a row that names this content; with the last of them it goes too."""

        async def dropped() -> None:
            async with self._blobs.alone(owner, sha256):
                await forget()
                await self._settle(owner, sha256)

        await _whole(dropped())

    def path(self, owner: Owner, sha256: bytes) -> Path:
        """Where it can be read."""
        return self._blobs.path(owner, sha256)

    async def sweep(self) -> None:
        """Remove what those have left behind who did not come to their end. Safe at any time."""
        await self._blobs.sweep()
        for owner, sha256 in await self._blobs.unsettled():
            await self.drop(owner, sha256, _nothing)

    async def _settle(self, owner: Owner, sha256: bytes) -> None:
        if not await self._rows.in_use(owner, sha256):
            await self._blobs.drop(owner, sha256)


async def _nothing() -> None:
    """There is no row to remove."""


async def _whole(work: Coroutine[Any, Any, Result]) -> Result:
    """All of it, also for who is cancelled meanwhile: half of it would be a content that its row cannot find."""
    return await to_its_end(asyncio.get_running_loop().create_task(work))
