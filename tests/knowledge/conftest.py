"""A store on each database."""

from __future__ import annotations

from tests.storage.conftest import fresh_database, kind, postgres_server, store, url

__all__ = ["fresh_database", "kind", "postgres_server", "store", "url"]
