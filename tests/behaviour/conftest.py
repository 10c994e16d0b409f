"""Fixtures of the behaviour tests: the API tests' server and back end, hosts of another make, and real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.hosts import Hosts
from tests.behaviour.processes import Processes
from tests.databases import fresh_database, postgres_server
from tests.server import backend, client, fake_backend, server, servers
from tests.upstreams import FakeBackend

__all__ = ["backend", "client", "fake_backend", "fresh_database", "postgres_server", "server", "servers"]


@pytest.fixture
def hosts(backend: FakeBackend, tmp_path: Path) -> Iterator[Hosts]:
    """Servers of this test alone, stopped after it."""
    hosts = Hosts(backend, tmp_path)
    try:
        yield hosts
    finally:
        hosts.stop()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts ``antiphon serve`` as its own process; whatever still runs is killed after the test."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        processes.stop()
