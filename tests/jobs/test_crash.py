"""A worker that is killed in the middle of a job, and the fresh process that takes it up."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.storage import Stores
from antiphon.storage.jobs.model import NewJob

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0


@contextlib.asynccontextmanager
async def worker(url: str) -> AsyncIterator[asyncio.StreamReader]:
    """What a worker of its own process says; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.jobs.worker", url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def test_a_killed_worker_loses_nothing(store: Stores, url: str) -> None:
    """kill -9 in the middle of one of two jobs: the next process does both, once the lease of the dead has ended."""
    await store.jobs.add("a", [NewJob("1", "work", b'"hang"')])
    async with worker(url) as says:
        assert await says.readline() == b"begun 1\n"
    await store.jobs.add("a", [NewJob("2", "work", b"{}")])
    async with worker(url) as says:
        heard = [await says.readline() for _ in range(4)]
        while await store.jobs.wait() is not None:  # noqa: ASYNC110 - its end is told to nobody
            await asyncio.sleep(0.005)
    assert sorted(heard) == [b"begun 1\n", b"begun 2\n", b"done 1\n", b"done 2\n"]
