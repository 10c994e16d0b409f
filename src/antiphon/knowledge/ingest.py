"""The jobs of vector stores: a file is read into one, what nobody wants any more is forgotten, a store expires.

Each may be cut anywhere and done again. A file's job writes a document of its own name into the index, which nobody
looks for until the file's row says that it is the one. So a search finds the old text or the new one, whole; and a
job that came too late has touched nothing but its own.
"""

from __future__ import annotations

import logging

import msgspec

from antiphon.errors import APIError, NotFound
from antiphon.files.parsing.model import Unparsable
from antiphon.files.service import Files
from antiphon.knowledge.duties import Expire, Forget, ReadFile, file_of
from antiphon.knowledge.embedding.embedders import Embedders
from antiphon.knowledge.index.base import Chunk, Index
from antiphon.knowledge.reading import Reading, bytes_of
from antiphon.knowledge.shapes import attributes_of, chunking_of
from antiphon.storage.jobs.model import Claimed
from antiphon.storage.vectors.model import FileRow, VectorStore, VectorStoreRow

_log = logging.getLogger("antiphon.knowledge")

_read_file = msgspec.json.Decoder(ReadFile).decode
_forget = msgspec.json.Decoder(Forget).decode
_expire = msgspec.json.Decoder(Expire).decode


class CannotRead(Exception):
    """The file will never be in this store; ``code`` and ``message`` are for its ``last_error``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ReadFiles:
    """Reads one file into one store."""

    def __init__(self, rows: VectorStore, files: Files, reading: Reading, embedders: Embedders, index: Index) -> None:
        self._rows = rows
        self._files = files
        self._reading = reading
        self._embedders = embedders
        self._index = index

    async def run(self, job: Claimed) -> None:
        """From its row to its chunks. A failure that cannot pass is written into the row; others are raised."""
        due = _read_file(job.payload)
        row = await self._rows.file(job.owner, due.store_id, due.file_id)
        store = await self._rows.get(job.owner, due.store_id)
        if row is None or store is None or row.job_id != job.id or row.status != "in_progress":
            await self._tidy(job, row)
            return
        try:
            made = await self._made(row, store)
        except CannotRead as why:
            await self._fail(job, row, why.code, why.message)
            return
        await self._index.put(job.owner, row.store_id, job.id, attributes_of(row), made)
        await self._complete(job, row, bytes_of(made))

    async def drop(self, job: Claimed, why: Exception | None) -> None:
        """The row says why; nothing of it is in the index."""
        due = _read_file(job.payload)
        row = await self._rows.file(job.owner, due.store_id, due.file_id)
        if row is None or row.job_id != job.id or row.status != "in_progress":
            await self._tidy(job, row)
            return
        message = "It was cancelled."
        if isinstance(why, APIError | Unparsable):
            message = why.message
        elif why is not None:
            message = "The server could not read this file. Its log says more."
        await self._fail(job, row, "server_error", message)

    async def _made(self, row: FileRow, store: VectorStoreRow) -> list[Chunk]:
        """The chunks. Raises ``CannotRead``, or what may pass."""
        try:
            file = await self._files.get(row.owner, row.file_id)
        except NotFound as gone:
            raise CannotRead("invalid_file", "The file was deleted before it was read.") from gone
        embedder = self._embedders.named(store.embedding_model)
        try:
            made = await self._reading.chunks(file, chunking_of(row).static, embedder)
        except Unparsable as why:
            if why.code == "server_error":
                raise
            raise CannotRead(why.code, why.message) from why
        except APIError as why:
            if why.status in (408, 409, 429) or why.status >= 500:
                raise
            raise CannotRead("server_error", f"The text could not be embedded: {why.message}") from why
        await self._fit(store, made)
        return made

    async def _fit(self, store: VectorStoreRow, made: list[Chunk]) -> None:
        """All vectors of a store have one length, which the first one fixes where the model did not say it."""
        sizes = {len(chunk.vector) // 4 for chunk in made}
        expected = store.dimensions
        if expected is None:
            fixed = await self._rows.fix_dimensions(store.owner, store.id, min(sizes))
            expected = fixed.dimensions if fixed is not None else None
        if expected is not None and sizes != {expected}:
            raise CannotRead(
                "server_error",
                f"The model '{store.embedding_model}' gave vectors of {max(sizes)} numbers, and this vector store "
                f"holds vectors of {expected}. Make a new vector store for them.",
            )

    async def _complete(self, job: Claimed, row: FileRow, size: int) -> None:
        """The row says that this is the document, with the attributes that it has by now."""
        while True:
            done = await self._rows.complete(job, row, size)
            if done is not None:
                await self._tidy(job, done)
                return
            now = await self._rows.file(job.owner, row.store_id, row.file_id)
            if now is not None and now.document == job.id:
                # Another holder was faster. What was just put in its place has to say what is said of it by now.
                await self._index.attributes(job.owner, row.store_id, job.id, attributes_of(now))
            if now is None or now.job_id != job.id or now.status != "in_progress":
                await self._tidy(job, now)
                return
            if now.version == row.version:
                return  # the lease was lost: another has the job by now, and does this
            row = now
            await self._index.attributes(job.owner, row.store_id, job.id, attributes_of(row))

    async def _fail(self, job: Claimed, row: FileRow, code: str, message: str) -> None:
        _log.info("File %s was not read into %s: %s", row.file_id, row.store_id, message)
        failed = await self._rows.fail(job, row, code, message)
        if failed is not None:
            await self._tidy(job, failed)

    async def _tidy(self, job: Claimed, row: FileRow | None) -> None:
        """Remove from the index what this job put there for nothing, and what its document has replaced."""
        due = _read_file(job.payload)
        if row is None or row.document != job.id:
            await self._index.remove(job.owner, due.store_id, job.id)
        if row is not None and row.job_id == job.id and row.replaced is not None:
            await self._index.remove(job.owner, due.store_id, row.replaced)


class ForgetDocuments:
    """Removes from the index what no row names any more."""

    def __init__(self, rows: VectorStore, index: Index) -> None:
        self._rows = rows
        self._index = index

    async def run(self, job: Claimed) -> None:
        """These documents, or all of a store."""
        due = _forget(job.payload)
        if due.documents is None:
            if await self._rows.get(job.owner, due.store_id) is None:
                await self._index.remove(job.owner, due.store_id, None)
            return
        wanted = await self._rows.files(job.owner, due.store_id, [file_of(one) for one in due.documents])
        for document in due.documents:
            row = wanted.get(file_of(document))
            if row is None or row.document != document:
                await self._index.remove(job.owner, due.store_id, document)

    async def drop(self, job: Claimed, why: Exception | None) -> None:
        """It was tried often; nobody can see what is left."""
        _log.error("What was deleted of %s is still in the index: %s", _forget(job.payload).store_id, why)


class ExpireStores:
    """Empties a store whose time is over."""

    def __init__(self, rows: VectorStore, index: Index) -> None:
        self._rows = rows
        self._index = index

    async def run(self, job: Claimed) -> None:
        """For good: whatever is done to it later, what it held is gone. Its files stay listed."""
        store_id = _expire(job.payload).store_id
        if await self._rows.expire(job.owner, store_id):
            await self._index.remove(job.owner, store_id, None)

    async def drop(self, job: Claimed, why: Exception | None) -> None:
        """The next look for stores that have expired owes it again."""
        _log.error("The vector store %s could not be emptied: %s", _expire(job.payload).store_id, why)
