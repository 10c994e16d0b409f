"""The ``ChunkStore`` over any database that can run the compiled statements."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import Conflict, InternalError, Unavailable
from antiphon.storage.chunks.model import IndexedFile, LoadedFile, NewChunks, Scored, Version, Wanted
from antiphon.storage.database import Database
from antiphon.storage.model import Owner

_CLEAR = ("drop_words", "drop_chunks", "drop_chunk_file")
_FILL = ("add_chunk_file", "add_chunks", "add_words")
_CLEAR_ALL = ("drop_all_words", "drop_all_chunks", "drop_all_chunk_files", "drop_chunk_store")

#: What a ``tsvector`` holds: places of one word, and the last place it can name.
_PLACES = 255
_LAST_PLACE = 16_383

_json = msgspec.json.Encoder().encode


class SqlChunks:
    """``model.ChunkStore`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_vectors = False
        self._making = asyncio.Lock()

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which database."""
        return self._database.dialect

    async def put(self, owner: Owner, store_id: str, new: NewChunks) -> None:
        """In place of all that was there of this file."""
        known = await self.version(owner, store_id)
        dimensions = new.dimensions or (known.dimensions if known is not None else 0)
        if known is not None and known.dimensions and dimensions != known.dimensions:
            raise Conflict(
                f"The vectors of this vector store have {known.dimensions} dimensions; {dimensions} do not fit.",
                code="dimensions_mismatch",
            )
        values: dict[str, Any] = {
            **_place(owner, store_id),
            "file_id": new.file_id,
            "dimensions": dimensions,
            "count": len(new.chunks),
            "attributes": new.attributes,
            "lengths": new.lengths,
        }
        if self.dialect == "sqlite":
            rows = _json([(chunk.tokens, chunk.text, chunk.words) for chunk in new.chunks]).decode()
            await self._database.write(
                ("next_chunk_version", *_CLEAR, *_FILL), **values, vectors=new.vectors, rows=rows
            )
            return
        await self._need_vectors()
        values |= {
            "vectors": b"",
            "lengths": b"",
            "tokens": [chunk.tokens for chunk in new.chunks],
            "texts": [chunk.text for chunk in new.chunks],
            "words": [_tsvector(values["key"], chunk.words.split()) for chunk in new.chunks],
            "flat": array("f", new.vectors),
        }
        more = ("add_vectors",) if new.chunks else ()
        await self._database.write(("next_chunk_version", *_CLEAR, "drop_vectors", *_FILL, *more), **values)

    async def attributes(self, owner: Owner, store_id: str, file_id: str, attributes: bytes) -> None:
        """Other attributes."""
        await self._database.write(
            ("touch_chunk_store", "set_chunk_attributes"),
            **_place(owner, store_id),
            file_id=file_id,
            attributes=attributes,
        )

    async def remove(self, owner: Owner, store_id: str, file_id: str | None) -> None:
        """The file, or all of the store."""
        place = _place(owner, store_id)
        vectors = self.dialect == "postgresql" and await self._vectors_are_there()
        if file_id is None:
            await self._database.write((*(("drop_all_vectors",) if vectors else ()), *_CLEAR_ALL), **place)
            return
        names = ("take_from_chunk_store", *(("drop_vectors",) if vectors else ()), *_CLEAR)
        await self._database.write(names, **place, file_id=file_id)

    async def contents(self, owner: Owner, store_id: str, file_id: str) -> list[str]:
        """The texts in order."""
        rows = await self._database.fetch("chunk_contents", owner=owner, store_id=store_id, file_id=file_id)
        return [row[0] for row in rows]

    async def version(self, owner: Owner, store_id: str) -> Version | None:
        """None where nothing was ever put."""
        rows = await self._database.fetch("chunk_version", owner=owner, store_id=store_id)
        return Version(*rows[0]) if rows else None

    async def files(self, owner: Owner, store_id: str, since: int) -> list[IndexedFile]:
        """Those that changed after that version."""
        rows = await self._database.fetch("chunk_files", owner=owner, store_id=store_id, since=since)
        return [IndexedFile(*row) for row in rows]

    async def names(self, owner: Owner, store_id: str) -> list[str]:
        """Ids of all files."""
        rows = await self._database.fetch("chunk_file_names", owner=owner, store_id=store_id)
        return [row[0] for row in rows]

    # -- SQLite

    async def loaded(self, owner: Owner, store_id: str, file_ids: Sequence[str]) -> list[LoadedFile]:
        """Of these files, those that are there."""
        rows = await self._database.fetch(
            "chunk_vectors", owner=owner, store_id=store_id, files=_json(file_ids).decode()
        )
        return [LoadedFile(IndexedFile(*row[:6]), row[6], row[7]) for row in rows]

    async def postings(self, owner: Owner, store_id: str, word: str) -> str:
        """The numbers of the chunks that the word stands in."""
        rows = await self._database.fetch("chunk_postings", term=_key(owner, store_id) + word)
        return str(rows[0][0] or "")

    async def texts(
        self, owner: Owner, store_id: str, hits: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], tuple[str, int]]:
        """The text of each chunk that is there, and the ``written`` of its file."""
        rows = await self._database.fetch("chunk_texts", owner=owner, store_id=store_id, hits=_json(hits).decode())
        return {(file_id, n): (text, written) for file_id, n, text, written in rows}

    # -- PostgreSQL

    async def count(self, owner: Owner, store_id: str) -> int:
        """Chunks of the store."""
        rows = await self._database.fetch("chunk_count", owner=owner, store_id=store_id)
        return int(rows[0][0])

    async def counts(self, owner: Owner, store_id: str, words: Sequence[str]) -> list[int]:
        """How many chunks each word stands in."""
        key = _key(owner, store_id)
        rows = await self._database.fetch(
            "chunk_term_counts", owner=owner, store_id=store_id, terms=[_quoted(key + word) for word in words]
        )
        return [count for _, count in sorted((at, count) for at, count in rows)]

    async def search(self, owner: Owner, store_id: str, wanted: Wanted) -> list[Scored]:
        """What is found, in no order."""
        key = _key(owner, store_id)
        terms = [_quoted(key + word) for word in wanted.weights]
        by_vector: dict[str, Any] = {}
        by_words: dict[str, Any] = {}
        if wanted.vector is not None:
            if not await self._vectors_are_there():
                return []
            by_vector = {"vector": array("f", wanted.vector)}
        if terms:
            by_words = {"query": " | ".join(terms), "terms": terms, "weights": list(wanted.weights.values())}
        if not by_vector and not by_words:
            return []
        name = "search_both" if by_vector and by_words else "search_vectors" if by_vector else "search_words"
        files = None if wanted.files is None else list(wanted.files)
        rows = await self._database.fetch(
            name, owner=owner, store_id=store_id, files=files, most=wanted.most, **by_vector, **by_words
        )
        return [Scored(*row) for row in rows]

    async def _vectors_are_there(self) -> bool:
        if not self._has_vectors:
            self._has_vectors = bool(await self._database.fetch("has_vector_table"))
        return self._has_vectors

    async def _need_vectors(self) -> None:
        """The extension and the table for vectors, made at the first use. Raises ``Unavailable``, naming pgvector."""
        async with self._making:
            for last in (False, False, True):
                if await self._vectors_are_there():
                    return
                try:
                    await self._make_vectors()
                except (InternalError, Conflict) as failure:
                    # Of servers that make it at the same time all but one fail, and find it there afterwards.
                    if last:
                        raise _without(str(failure.__cause__)) from failure

    async def _make_vectors(self) -> None:
        if not await self._database.fetch("has_vector_extension"):
            await self._database.write(("make_vector_extension",))
        (found,) = await self._database.fetch("has_vector_extension")
        if tuple(int(part) for part in str(found[0]).split(".")[:2]) < OLDEST_PGVECTOR:
            raise _without(f"it has version {found[0]}")
        await self._database.write(("make_vector_table",))


OLDEST_PGVECTOR = (0, 8)


def _without(why: str) -> Unavailable:
    return Unavailable(
        "Vector stores need the PostgreSQL extension pgvector (the extension is called 'vector'), 0.8 or later, in "
        f"the database: {why}. Install it on the database server, and run CREATE EXTENSION vector as a user who may.",
        code="pgvector_missing",
    )


def _place(owner: Owner, store_id: str) -> dict[str, Any]:
    return {"owner": owner, "store_id": store_id, "key": _key(owner, store_id)}


def _key(owner: Owner, store_id: str) -> str:
    """What stands before every word of a store in the index of words. Begins with a letter, holds no blank."""
    return "k" + hashlib.sha256(f"{owner}\0{store_id}".encode()).hexdigest()[:11]


def _quoted(term: str) -> str:
    """For a ``tsquery`` or a ``tsvector``; a word is letters and digits."""
    return f"'{term}'"


def _tsvector(key: str, words: Sequence[str]) -> str:
    places: dict[str, list[int]] = {}
    for at, word in enumerate(words, 1):
        where = places.setdefault(word, [])
        if len(where) < _PLACES:
            where.append(min(at, _LAST_PLACE))
    return " ".join(f"{_quoted(key + word)}:{','.join(map(str, where))}" for word, where in places.items())
