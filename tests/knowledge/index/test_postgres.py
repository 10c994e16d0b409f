"""What only PostgreSQL has: an extension that may be missing, and is made at the first use."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.config import KnowledgeConfig, StorageConfig
from antiphon.errors import Unavailable
from antiphon.knowledge.index.base import Query
from antiphon.knowledge.index.choice import open_index
from antiphon.storage import open_store
from antiphon.storage.chunks import store as chunk_store
from tests.databases import FreshDatabase, query
from tests.knowledge.index.vectors import chunks, vector

pytestmark = pytest.mark.anyio


async def test_the_extension_is_made_at_the_first_use(fresh_database: FreshDatabase) -> None:
    """Not at the start; and servers that make it at the same time do not disturb each other."""
    url = fresh_database("postgresql")
    stores = [await open_store(StorageConfig(database_url=url)) for _ in range(3)]
    assert await query(url, "SELECT 1 FROM pg_extension WHERE extname = 'vector'") == []
    indexes = [open_index(store.chunks, KnowledgeConfig()) for store in stores]
    assert await indexes[0].search("o", "vs", Query("apple", vector("x"), 3)) == []
    await indexes[0].remove("o", "vs", None)
    await asyncio.gather(
        *(
            index.put("o", "vs", f"file-{n}-{m}", {}, chunks("apple"))
            for n, index in enumerate(indexes)
            for m in range(3)
        )
    )
    assert len(await indexes[0].search("o", "vs", Query("apple", None, 20))) == 9
    for index, store in zip(indexes, stores, strict=True):
        await index.aclose()
        await store.close()


async def test_a_server_without_pgvector(fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what is missing and what to do; nothing is left half written; the rest of the store works."""
    url = fresh_database("postgresql")
    store = await open_store(StorageConfig(database_url=url))
    index = open_index(store.chunks, KnowledgeConfig())
    monkeypatch.setattr(chunk_store, "OLDEST_PGVECTOR", (99, 0))
    with pytest.raises(Unavailable, match=r"pgvector.*0\.8 or later.*it has version 0\.") as caught:
        await index.put("o", "vs", "file-1", {}, chunks("apple"))
    assert caught.value.code == "pgvector_missing"
    assert await index.contents("o", "vs", "file-1") == []
    assert await store.response("o", "resp_none") is None
    await index.aclose()
    await store.close()
