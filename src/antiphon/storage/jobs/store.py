"""The ``JobStore`` over any database that can run the compiled statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.storage.database import Database
from antiphon.storage.jobs.model import Claimed, NewJob, Renewed
from antiphon.storage.model import Owner

_encode = msgspec.json.Encoder().encode


class SqlJobs:
    """``model.JobStore`` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, owner: Owner, jobs: Sequence[NewJob]) -> None:
        """Owe these; a job whose id is there already stays as it is."""
        if jobs:
            await self._database.write(("add_jobs",), owner=owner, jobs=packed(jobs))

    async def claim(self, token: str, milliseconds: int, kinds: Sequence[str], limit: int) -> list[Claimed]:
        """Up to so many that are ready."""
        values: dict[str, Any] = {"token": token, "milliseconds": milliseconds, "kinds": json(kinds), "limit": limit}
        return [
            Claimed(owner, job_id, kind, payload.encode(), attempt, bool(cancelled), token)
            for owner, job_id, kind, payload, attempt, cancelled in await self._database.write(
                ("claim_jobs",), **values
            )
        ]

    async def renew(self, held: Sequence[Claimed], milliseconds: int) -> list[Renewed]:
        """Those that are still ours."""
        rows = json([(job.owner, job.id, job.token) for job in held])
        found = await self._database.write(("renew_jobs",), held=rows, milliseconds=milliseconds)
        return [Renewed(owner, job_id, token, bool(cancelled)) for owner, job_id, token, cancelled in found]

    async def finish(self, job: Claimed) -> bool:
        """Gone."""
        return await self._write("finish_job", job)

    async def put_off(self, job: Claimed, milliseconds: int) -> bool:
        """Ready again after so long."""
        return await self._write("put_off_job", job, milliseconds=milliseconds)

    async def give_back(self, job: Claimed) -> bool:
        """Ready at once."""
        return await self._write("give_job_back", job)

    async def cancel(self, owner: Owner, job_id: str) -> bool:
        """Marked, for whoever has it or comes to it."""
        return bool(await self._database.write(("cancel_job",), owner=owner, job_id=job_id))

    async def wait(self) -> int | None:
        """Milliseconds until the next is ready."""
        found = await self._database.fetch("next_job")
        return found[0][0] if found else None

    async def _write(self, name: str, job: Claimed, **values: int) -> bool:
        place: dict[str, Any] = {"owner": job.owner, "job_id": job.id, "token": job.token}
        return bool(await self._database.write((name,), **place, **values))


def packed(jobs: Sequence[NewJob]) -> str:
    """Jobs as the parameter of ``add_jobs``."""
    return json([(job.id, job.kind, job.payload.decode(), 0) for job in jobs])


def json(value: object) -> str:
    """JSON as the database takes it."""
    return _encode(value).decode()
