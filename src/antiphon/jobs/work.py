"""What does a kind of work, and what it is told."""

from __future__ import annotations

import secrets
from typing import Protocol

from antiphon.storage.jobs.model import Claimed


class Handler(Protocol):
    """Does the work of one kind.

    Either method may be cut at any place by the death of its process, and is then called again, perhaps elsewhere: what
    they do must come to the same when it is done twice. They write results with the job's token (``hold_job``), so that
    a holder whose lease has ended meanwhile writes nothing.
    """

    async def run(self, job: Claimed) -> None:
        """Do it. An exception means that it is to be tried again, later."""

    async def drop(self, job: Claimed, why: Exception | None) -> None:
        """It will not be done any more: it was cancelled (None), or ``why`` ended its last attempt."""


class HolderDied(Exception):
    """Whoever had the job never came to an end with it, as often as it is tried."""


def new_job_id() -> str:
    """An id for a job that has no name of its own. Never derived from anything: two jobs must not share one."""
    return f"job_{secrets.token_hex(24)}"
