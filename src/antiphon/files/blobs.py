"""What files hold, by its SHA-256: a content is kept once for each owner, however many files have it.

On the disk a content is ``OWNER/ab/SHA256`` below one folder, ``ab`` being its first two digits. It is written beside
first, under ``tmp``, made durable, and put into its place in one step; so what has a name is whole. No name of a
client's comes near a path.

Whether a content is still needed is not known here but in the rows that name it. So whoever puts one into its place or
takes it away does that, and what it has to do with the rows, while it is ``alone`` with it: nobody else then does
either, in this process or in another on the same folder. A process that dies lets go by itself, and leaves a note
(``OWNER/open/SHA256``) of what it was alone with; only these need to be looked at after a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from antiphon.errors import Unavailable
from antiphon.storage.model import Owner

#: Bytes that are collected before a thread writes them.
CHUNK = 1024 * 1024

_DIGITS = 2
_TEMPORARY = "tmp"
_OPEN = "open"
_OF = "of-"
#: Between two looks at a content that another process is alone with. Seconds.
_LOOK_SECONDS = 0.01
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNSAFE = re.compile(r"[^a-z0-9_-]")

Result = TypeVar("Result")


class Content(msgspec.Struct, frozen=True):
    """What was written: its name and its length in bytes."""

    sha256: bytes
    bytes: int


class Draft(Protocol):
    """A content that is being written. Nobody can see it."""

    @property
    def size(self) -> int:
        """Bytes so far."""

    async def write(self, data: bytes) -> None:
        """Add to its end. Raises ``Unavailable`` (``disk_full``)."""

    async def finish(self) -> Content:
        """Nothing more comes. It is durable, and has a name now."""


class Blobs(Protocol):
    """A place for contents. Everything is safe to call concurrently."""

    def draft(self) -> contextlib.AbstractAsyncContextManager[Draft]:
        """A new content, gone at the end of the context unless it was kept."""

    def alone(self, owner: Owner, sha256: bytes) -> contextlib.AbstractAsyncContextManager[None]:
        """Wait until nobody else keeps or drops this content, and let nobody until the end of the context."""

    async def keep(self, owner: Owner, draft: Draft) -> None:
        """Put a finished draft into its place; call it ``alone``. Durable when it returns."""

    async def drop(self, owner: Owner, sha256: bytes) -> None:
        """Take a content away; call it ``alone``. Who reads it may finish."""

    def path(self, owner: Owner, sha256: bytes) -> Path:
        """Where it can be read."""

    async def unsettled(self) -> list[tuple[Owner, bytes]]:
        """Contents with which somebody was alone who did not come to a good end, or is just now."""

    async def sweep(self) -> int:
        """Remove what was being written by those who have died; how many."""


class DiskDraft:
    """A file below ``tmp``, locked by who writes it: one that can be locked by another has lost its writer."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.size = 0
        self.content: Content | None = None
        self._file = file
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waits = 0

    async def write(self, data: bytes) -> None:
        """Add to its end."""
        self._waiting.append(data)
        self._waits += len(data)
        self.size += len(data)
        if self._waits >= CHUNK:
            await self._flush()

    async def finish(self) -> Content:
        """Durable."""
        await self._flush()
        await in_thread(os.fsync, self._file)
        self.content = Content(self._hash.digest(), self.size)
        return self.content

    def close(self) -> None:
        """Let go; what was not kept goes."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    async def _flush(self) -> None:
        waiting, self._waiting, self._waits = self._waiting, [], 0
        await in_thread(self._put, waiting)

    def _put(self, waiting: list[bytes]) -> None:
        for data in waiting:
            self._hash.update(data)
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]


class DiskBlobs:
    """``Blobs`` in a folder, which is made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns: dict[Path, _Turn] = {}

    @contextlib.asynccontextmanager
    async def draft(self) -> AsyncIterator[DiskDraft]:
        """A new content."""
        draft = self._new()
        try:
            yield draft
        finally:
            draft.close()

    @contextlib.asynccontextmanager
    async def alone(self, owner: Owner, sha256: bytes) -> AsyncIterator[None]:
        """By a lock on the folder of this content: first among the tasks of this process, then among processes."""
        folder = self.path(owner, sha256).parent
        turn = self._turns.setdefault(folder, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                await in_thread(_make, folder)
                held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    while not _lock(held):  # noqa: ASYNC110 - another process gives no event to wait for
                        await asyncio.sleep(_LOOK_SECONDS)
                    note = folder.parent / _OPEN / sha256.hex()
                    await in_thread(_note, note)
                    yield
                    await in_thread(_unlink, note)
                finally:
                    os.close(held)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[folder]

    async def keep(self, owner: Owner, draft: Draft) -> None:
        """One step, whether or not the content is there: the bytes are the same."""
        assert isinstance(draft, DiskDraft)
        assert draft.content is not None
        await in_thread(_moved, draft.path, self.path(owner, draft.content.sha256))

    async def drop(self, owner: Owner, sha256: bytes) -> None:
        """Its name goes."""
        await in_thread(_unlink, self.path(owner, sha256))

    def path(self, owner: Owner, sha256: bytes) -> Path:
        """By owner and name."""
        name = sha256.hex()
        return self._folder / _folder_of(owner) / name[:_DIGITS] / name

    async def unsettled(self) -> list[tuple[Owner, bytes]]:
        """By the notes."""
        return await in_thread(self._notes)

    async def sweep(self) -> int:
        """Those whose lock is free."""
        return await in_thread(self._swept)

    def _new(self) -> DiskDraft:
        folder = self._folder / _TEMPORARY
        with _full_disk_told():
            _make(folder)
            while True:
                path = folder / secrets.token_hex(16)
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                # Between these two lines a sweep may have taken it for one that was left behind.
                if _lock(file) and os.fstat(file).st_nlink:
                    return DiskDraft(path, file)
                os.close(file)

    def _notes(self) -> list[tuple[Owner, bytes]]:
        owners = [path for path in _entries(self._folder) if path.name.startswith(_OF)]
        return [(_owner_of(o.name), bytes.fromhex(note.name)) for o in owners for note in _entries(o / _OPEN)]

    def _swept(self) -> int:
        gone = 0
        for path in _entries(self._folder / _TEMPORARY):
            try:
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # its writer has just finished
            try:
                if _lock(file):
                    path.unlink(missing_ok=True)
                    gone += 1
            finally:
                os.close(file)
        return gone


class _Turn:
    """The tasks of this process that want to be alone with contents of one folder."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


async def in_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """What ``function(*arguments)`` gives in a thread. It has ended when this ends, even when this is cancelled.

    A full disk is raised as ``Unavailable``.
    """
    with _full_disk_told():
        return await to_its_end(asyncio.get_running_loop().run_in_executor(None, function, *arguments))


async def to_its_end(work: asyncio.Future[Result]) -> Result:
    """What ``work`` gives. A cancellation waits until it is over."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # nobody is left to be told
        raise


@contextlib.contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Unavailable(
            "The disk of this server is full, so nothing was kept. Delete files, or ask who runs it for room.",
            code="disk_full",
        ) from error


def _folder_of(owner: Owner) -> str:
    """A name for any owner, and another for each, on every file system. Never one of ours."""
    safe = _UNSAFE.sub(lambda found: "".join(f"%{byte:02x}" for byte in found[0].encode()), owner)
    return _OF + safe


def _owner_of(folder: str) -> Owner:
    pieces = re.split(r"%([0-9a-f]{2})", folder.removeprefix(_OF))
    return b"".join(bytes.fromhex(p) if n % 2 else p.encode() for n, p in enumerate(pieces)).decode()


def _make(folder: Path) -> None:
    """With what is above it, each durable."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _moved(source: Path, target: Path) -> None:
    source.rename(target)
    _sync(target.parent)


def _note(path: Path) -> None:
    _make(path.parent)
    path.touch(0o600)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except FileNotFoundError:
        return
