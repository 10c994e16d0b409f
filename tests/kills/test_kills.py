"""A few kills of the campaign that ``python -m tests.kills`` runs at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import KINDS, FreshDatabase, Kind, fresh_database, postgres_server
from tests.kills.campaign import campaign

__all__ = ["fresh_database", "postgres_server"]

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_client_was_told_survives_a_kill(
    kind: Kind, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """Killed under 32 clients, each acknowledged response is there and equal with its chain, and none is half there."""
    counts = await campaign(tmp_path, fresh_database(kind), kills=6, clients=32, seed=20)
    assert counts.kills == 6
    assert counts.rows >= counts.promised > 0
    assert counts.gone > 0, "no kill came in the middle of a stream"
