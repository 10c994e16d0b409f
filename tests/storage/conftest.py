"""A store on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.config import StorageConfig
from antiphon.storage import Store, open_store
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
async def store(url: str, anyio_backend: str) -> AsyncIterator[Store]:
    """A store on an empty database."""
    store = await open_store(StorageConfig(database_url=url))
    yield store
    await store.close()
