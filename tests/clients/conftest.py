"""A server, its back end, and the JavaScript clients; all of it is skipped where they are not installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.driver import Driver, installed
from tests.server import Server, Servers, async_client, backend, client, fake_backend, server, servers
from tests.tools.mcp.threads import Thread, running

__all__ = ["async_client", "backend", "client", "fake_backend", "server", "servers"]

#: Runs a case of one client: ``vercel("generate", prompt="Hi.")``.
Suite = Callable[..., Any]

if not installed():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def driver(servers: Servers) -> Iterator[Driver]:
    """The clients' process. It ends before the servers, which else would wait for its idle connections."""
    one = Driver()
    yield one
    one.close()


@pytest.fixture
def vercel(driver: Driver, server: Server) -> Suite:
    """The cases of ``vercel.mjs``."""
    return lambda name, **given: driver("vercel", name, server.url, **given)


@pytest.fixture
def agents(driver: Driver, server: Server) -> Suite:
    """The cases of ``agents.mjs``."""
    return lambda name, **given: driver("agents", name, server.url, **given)


@pytest.fixture(scope="session")
def things() -> Iterator[Thread]:
    """A real MCP server."""
    with running() as thread:
        yield thread
