"""What both indexes do alike: put, change, remove, read back."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.knowledge.chunking import clean
from antiphon.knowledge.index.base import Chunk
from antiphon.knowledge.index.words import words
from antiphon.storage.chunks.model import ChunkStore, NewChunk, NewChunks
from antiphon.storage.model import Owner

_json = msgspec.json.Encoder().encode


class Writing:
    """The part of ``base.Index`` that changes and reads rows."""

    def __init__(self, chunks: ChunkStore) -> None:
        self._chunks = chunks

    async def put(
        self, owner: Owner, store_id: str, file_id: str, attributes: Mapping[str, Any], chunks: Sequence[Chunk]
    ) -> None:
        """In place of all that was there of this file."""
        # Finding the words of a long document takes a moment.
        new = await asyncio.to_thread(packed, file_id, attributes, chunks)
        await self._chunks.put(owner, store_id, new)

    async def attributes(self, owner: Owner, store_id: str, file_id: str, attributes: Mapping[str, Any]) -> None:
        """Other attributes for a file."""
        await self._chunks.attributes(owner, store_id, file_id, _json(attributes))

    async def remove(self, owner: Owner, store_id: str, file_id: str | None) -> None:
        """A file, or the whole store."""
        await self._chunks.remove(owner, store_id, file_id)

    async def contents(self, owner: Owner, store_id: str, file_id: str) -> list[str]:
        """The texts of a file's chunks in order."""
        return await self._chunks.contents(owner, store_id, file_id)


def packed(file_id: str, attributes: Mapping[str, Any], chunks: Sequence[Chunk]) -> NewChunks:
    """A file's chunks as they are stored. Raises ``InvalidRequest`` where their numbers or vectors do not fit."""
    sizes = {len(chunk.vector) for chunk in chunks}
    if len(sizes) > 1 or any(not size or size % 4 for size in sizes):
        raise InvalidRequest(f"The vectors of file '{file_id}' are of different lengths.", code="dimensions_mismatch")
    if any(chunk.n != n for n, chunk in enumerate(chunks)):
        raise ValueError(f"the chunks of {file_id} are not numbered from 0")
    rows = []
    for chunk in chunks:
        text = clean(chunk.text)
        rows.append(NewChunk(text, " ".join(words(text)), chunk.tokens))
    lengths = array("I", (row.words.count(" ") + 1 if row.words else 0 for row in rows))
    return NewChunks(
        file_id,
        _json(attributes),
        rows,
        sizes.pop() // 4 if sizes else 0,
        lengths.tobytes(),
        b"".join(chunk.vector for chunk in chunks),
    )
