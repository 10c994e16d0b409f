"""A process that works on the jobs of a database and says what it does.

``python -m tests.jobs.worker URL`` prints ``begun NAME`` and ``done NAME`` for each job; one whose payload is "hang"
never ends at its first attempt.
"""

from __future__ import annotations

import asyncio
import os
import sys

from antiphon.config import JobsConfig, StorageConfig
from antiphon.jobs.workers import Jobs
from antiphon.storage import open_store
from antiphon.storage.jobs.model import Claimed

CONFIG = JobsConfig(lease_seconds=0.5, poll_seconds=0.05)


class Teller:
    """Prints what it is asked to do."""

    async def run(self, job: Claimed) -> None:
        """Perhaps without an end."""
        os.write(1, f"begun {job.id}\n".encode())
        if job.payload == b'"hang"' and job.attempt == 1:
            await asyncio.Event().wait()
        os.write(1, f"done {job.id}\n".encode())

    async def drop(self, job: Claimed, why: Exception | None) -> None:
        """Never comes to that."""
        os.write(1, f"dropped {job.id}\n".encode())


async def _main(url: str) -> None:
    store = await open_store(StorageConfig(database_url=url))
    jobs = Jobs(store.jobs, {"work": Teller()}, CONFIG)
    try:
        await asyncio.Event().wait()
    finally:
        await jobs.close()
        await store.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
