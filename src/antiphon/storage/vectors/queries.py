"""The statements about vectors, in SQLAlchemy Core; ``compile`` turns them into text, nothing else runs them."""

from __future__ import annotations

from typing import Any

from antiphon.storage.queries import Dialect
from antiphon.storage.vectors import store_queries


def statements(dialect: Dialect) -> dict[str, Any]:
    """Every statement of this dialect by name."""
    return store_queries.statements(dialect)
