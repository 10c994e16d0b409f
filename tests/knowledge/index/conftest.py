"""An index on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.config import KnowledgeConfig, StorageConfig
from antiphon.knowledge.index.base import Index
from antiphon.knowledge.index.choice import open_index
from antiphon.storage import open_store
from tests.databases import KINDS, FreshDatabase, Kind, fresh_database, postgres_server

__all__ = ["fresh_database", "postgres_server"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which database."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def url(kind: Kind, fresh_database: FreshDatabase) -> str:
    """An empty database."""
    return fresh_database(kind)


@pytest.fixture
async def index(url: str, anyio_backend: str) -> AsyncIterator[Index]:
    """An index on an empty database."""
    store = await open_store(StorageConfig(database_url=url))
    index = open_index(store.chunks, KnowledgeConfig())
    yield index
    await index.aclose()
    await store.close()


@pytest.fixture
async def second(url: str, index: Index, anyio_backend: str) -> AsyncIterator[Index]:
    """The index of another process on the same database."""
    store = await open_store(StorageConfig(database_url=url))
    index = open_index(store.chunks, KnowledgeConfig())
    yield index
    await index.aclose()
    await store.close()
