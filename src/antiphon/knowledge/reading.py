"""A file made into chunks with vectors: read, cut, embedded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from antiphon.files.parsing.model import Parsed, Unparsable
from antiphon.files.service import Files
from antiphon.knowledge.chunking import chunks
from antiphon.knowledge.embedding.base import Embedder
from antiphon.knowledge.index.base import Chunk
from antiphon.storage.files.model import StoredFile
from antiphon.wire.vector_store_requests import StaticSizes

#: Chunks that are embedded together.
_TOGETHER = 256


class Reader(Protocol):
    """What knows the text of a file (``files.parsing.Parsers``)."""

    async def text(self, path: Path, filename: str, media_type: str | None = None) -> Parsed:
        """Raises ``Unparsable``."""


class Reading:
    """Joins who can read with where files lie."""

    def __init__(self, files: Files, reader: Reader) -> None:
        self._files = files
        self._reader = reader

    async def chunks(self, file: StoredFile, sizes: StaticSizes, embedder: Embedder) -> list[Chunk]:
        """All of the file, at least one. Raises ``Unparsable``, or an ``APIError`` of the embedder."""
        parsed = await self._reader.text(self._files.path(file), file.filename, file.media_type)
        pieces = await asyncio.to_thread(
            chunks, parsed.text, max_tokens=sizes.max_chunk_size_tokens, overlap=sizes.chunk_overlap_tokens
        )
        if not pieces:
            raise Unparsable("invalid_file", "The file holds no text.")
        made: list[Chunk] = []
        for at in range(0, len(pieces), _TOGETHER):
            some = pieces[at : at + _TOGETHER]
            vectors = await embedder.documents([piece.text for piece in some])
            for piece, vector in zip(some, vectors, strict=True):
                made.append(Chunk(len(made), piece.text, piece.tokens, vector))
        return made


def bytes_of(made: list[Chunk]) -> int:
    """What these take in an index."""
    return sum(len(chunk.text.encode()) + len(chunk.vector) for chunk in made)
