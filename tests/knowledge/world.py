"""Vector stores on a real database and a real index, with files, texts and vectors that a test decides on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from antiphon.config import JobsConfig, KnowledgeConfig
from antiphon.errors import NotFound
from antiphon.files.parsing import Parsed
from antiphon.jobs.workers import Jobs
from antiphon.knowledge import duties
from antiphon.knowledge.index.base import Index
from antiphon.knowledge.index.choice import open_index
from antiphon.knowledge.ingest import ExpireStores, ForgetDocuments, ReadFiles
from antiphon.knowledge.reading import Reading
from antiphon.knowledge.service import VectorStores
from antiphon.storage import Stores
from antiphon.storage.files.model import StoredFile
from antiphon.wire.vector_store_requests import CreateVectorStore, CreateVectorStoreFile, SearchVectorStore

OWNER = "a"
PATIENCE = 20.0
DIMENSIONS = 4


class Gate:
    """A place where the work waits until the test opens it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def pass_(self) -> None:
        """Stand here."""
        self.reached.set()
        await self.opened.wait()


class FakeFiles:
    """Files by id, whose content is a text; ``on_read`` is called before one is read."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.on_read: Callable[[str], Any] | None = None
        self.reads: list[str] = []

    async def get(self, owner: str, file_id: str) -> StoredFile:
        """The row."""
        if file_id not in self.texts:
            raise NotFound(f"No such File object: {file_id}", param="id")
        return StoredFile(
            id=file_id,
            owner=owner,
            filename=f"{file_id}.txt",
            purpose="assistants",
            bytes=1,
            created_at=1,
            expires_at=None,
            sha256=b"",
            media_type="text/plain",
        )

    def path(self, file: StoredFile) -> Path:
        """Where it would lie."""
        return Path(file.id)

    async def text(self, path: Path, filename: str, media_type: str | None = None) -> Parsed:
        """What a reader makes of it."""
        self.reads.append(path.name)
        if self.on_read is not None:
            await self.on_read(path.name)
        return Parsed(self.texts[path.name])


class FakeEmbedder:
    """Vectors that say which letters a text has; ``on_embed`` is called before."""

    model = "letters"

    def __init__(self) -> None:
        self.dimensions: int | None = DIMENSIONS
        self.size = DIMENSIONS
        self.on_embed: Callable[[], Any] | None = None

    async def documents(self, texts: Sequence[str]) -> list[bytes]:
        """One each."""
        if self.on_embed is not None:
            await self.on_embed()
        return [self._vector(text) for text in texts]

    async def query(self, text: str) -> bytes:
        """The same."""
        return self._vector(text)

    def _vector(self, text: str) -> bytes:
        counts = [1.0 + text.count(letter) for letter in "abcdefgh"[: self.size]]
        length = sum(count**2 for count in counts) ** 0.5
        return struct.pack(f"<{self.size}f", *(count / length for count in counts))

    # -- as Embedders

    def named(self, model: str | None = None) -> FakeEmbedder:
        """Always this."""
        return self

    async def check(self, model: str | None = None) -> FakeEmbedder:
        """Always this."""
        return self


class World:
    """Everything joined, as ``app.knowledge`` does it."""

    def __init__(self, store: Stores, config: JobsConfig, *, working: bool) -> None:
        self.rows, self.owed = store.vectors, store.jobs
        self.files, self.embedder = FakeFiles(), FakeEmbedder()
        self.index: Index = open_index(store.chunks, KnowledgeConfig())
        files: Any = self.files
        embedders: Any = self.embedder
        self.reader = ReadFiles(self.rows, files, Reading(files, self.files), embedders, self.index)
        handlers = {
            duties.READ: self.reader,
            duties.FORGET: ForgetDocuments(self.rows, self.index),
            duties.EXPIRE: ExpireStores(self.rows, self.index),
        }
        self.jobs = Jobs(self.owed, handlers if working else {}, config)
        self.stores = VectorStores(self.rows, self.owed, files, self.jobs, embedders, self.index)

    async def store(self, **more: Any) -> str:
        """The id of a new one."""
        shown = await self.stores.create(OWNER, CreateVectorStore(**more))
        return str(shown["id"])

    async def put(self, store_id: str, text: str, file_id: str | None = None, **more: Any) -> str:
        """The id of a new file that is being read into the store."""
        file_id = file_id or f"file-{os.urandom(8).hex()}"
        self.files.texts[file_id] = text
        await self.stores.files.attach(OWNER, store_id, CreateVectorStoreFile(file_id, **more))
        return file_id

    async def done(self) -> None:
        """Wait until nothing is owed any more."""
        async with asyncio.timeout(PATIENCE):
            while await self.owed.wait() is not None:  # noqa: ASYNC110 - the end of a job is told to nobody
                await asyncio.sleep(0.002)

    async def file(self, store_id: str, file_id: str) -> dict[str, Any]:
        """As a client sees it."""
        return await self.stores.files.get(OWNER, store_id, file_id)

    async def found(self, store_id: str, query: str = "a", **more: Any) -> list[str]:
        """The texts that a search finds, by name."""
        request = SearchVectorStore(query, max_num_results=50, **more)
        page = await self.stores.answer(OWNER, store_id, request)
        return sorted(part["text"] for one in page["data"] for part in one["content"])


@contextlib.asynccontextmanager
async def world(store: Stores, config: JobsConfig | None = None, *, working: bool = True) -> AsyncIterator[World]:
    """One on this database, with workers or without."""
    made = World(store, config or JobsConfig(poll_seconds=60, retry_seconds=0.01), working=working)
    try:
        yield made
    finally:
        await made.jobs.close()
        await made.index.aclose()
