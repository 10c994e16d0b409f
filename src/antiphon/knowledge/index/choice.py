"""Which index there is: it follows from the database."""

from __future__ import annotations

from antiphon.config import KnowledgeConfig
from antiphon.knowledge.index.base import Index
from antiphon.storage.chunks.model import ChunkStore


def open_index(chunks: ChunkStore, config: KnowledgeConfig) -> Index:
    """The index over these chunks."""
    if chunks.dialect == "postgresql":
        from antiphon.knowledge.index.postgres import PostgresIndex

        return PostgresIndex(chunks)
    from antiphon.knowledge.index.memory import MemoryIndex

    return MemoryIndex(chunks, budget=config.index_bytes)
