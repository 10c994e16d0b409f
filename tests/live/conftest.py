"""Fixtures of the live laws: the real server, and a back end that sends whatever bytes a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.live.rawhttp import Connection, connected
from tests.server import Server, backend, client, fake_backend, server, servers

__all__ = ["backend", "client", "fake_backend", "server", "servers"]


@pytest.fixture
def port(server: Server) -> int:
    """Where the server listens."""
    return int(server.root.rpartition(":")[2])


@pytest.fixture
async def connection(port: int) -> AsyncIterator[Connection]:
    """A raw connection to it."""
    async with connected(port) as connection:
        yield connection
