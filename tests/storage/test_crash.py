"""Processes that die and processes that share: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.config import StorageConfig
from antiphon.storage import open_store
from tests.databases import FreshDatabase, query
from tests.storage.values import PLENTY
from tests.storage.writer import WORKERS, made

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


def _writer(url: str, prefix: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.storage.writer", url, prefix, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _killed_after(process: subprocess.Popen[str], acknowledged: int) -> list[str]:
    """The ids it acknowledged until it was killed, in the middle of its work."""
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(acknowledged)]
    process.kill()
    rest = process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    # The last line may have been cut by the kill; its commit was acknowledged to nobody.
    return [line.strip() for line in (*seen, *rest) if line.endswith("\n")]


async def _expect_whole(url: str, acknowledged: list[str]) -> None:
    store = await open_store(StorageConfig(database_url=url))
    visible = {response_id for (response_id,) in await query(url, "SELECT id FROM responses")}
    assert set(acknowledged) <= visible
    # One group's worth in full, the others by their numbers of rows.
    for response_id in random.sample(acknowledged, min(200, len(acknowledged))):
        expected = made(response_id)
        assert expected.response == await store.response("default", response_id)
        assert list(expected.items) == await store.history("default", response_id, max_items=9, max_bytes=PLENTY)
        assert list(expected.steps) == await store.steps("default", response_id)
        assert list(expected.segments) == await store.segments("default", response_id)
    for table, rows in (("items", 3), ("item_blobs", 1), ("steps", 1), ("journal", 1)):
        found = await query(url, f"SELECT response_id, count(*) FROM {table} GROUP BY response_id")
        assert found
        assert dict.fromkeys(visible, rows) == dict(found)
    await store.close()


async def test_a_killed_server_has_lost_nothing(url: str) -> None:
    """After kill -9 at random moments of three lives each acknowledged response is there and each visible one whole."""
    chance = random.Random(url)
    acknowledged: list[str] = []
    for life in range(3):
        process = _writer(url, f"life{life}", 10**6)
        acknowledged += _killed_after(process, chance.randrange(20, 100))
    await _expect_whole(url, acknowledged)


async def test_two_processes_on_one_file(fresh_database: FreshDatabase) -> None:
    """Two servers that start and write together on one SQLite file both finish, and all they wrote is there."""
    url = fresh_database("sqlite")
    processes = [_writer(url, name, 15) for name in ("left", "right")]
    outputs = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    acknowledged = [line for out, _ in outputs for line in out.splitlines()]
    assert len(acknowledged) == 2 * WORKERS * 15
    await _expect_whole(url, acknowledged)
