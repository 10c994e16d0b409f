"""Jobs as plain values, and what a store of them can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from antiphon.storage.model import Owner


class NewJob(msgspec.Struct, frozen=True):
    """Work to be owed: ``payload`` is JSON for whoever does the work of this ``kind``."""

    id: str
    kind: str
    payload: bytes


class Claimed(msgspec.Struct, frozen=True):
    """A job that is ours until its lease ends. ``attempt`` counts from 1, those included that never came to an end.

    Whoever has it writes results with its ``token`` only: that is how a holder who was too slow is found out.
    """

    owner: Owner
    id: str
    kind: str
    payload: bytes
    attempt: int
    cancelled: bool
    token: str


class Renewed(msgspec.Struct, frozen=True):
    """A lease that goes on."""

    owner: Owner
    id: str
    token: str
    cancelled: bool


class JobStore(Protocol):
    """Work that is owed, until it is done. Every method is safe to call concurrently, from any process."""

    async def add(self, owner: Owner, jobs: Sequence[NewJob]) -> None:
        """Owe these, durably. A job whose id is there already stays as it is."""

    async def claim(self, token: str, milliseconds: int, kinds: Sequence[str], limit: int) -> list[Claimed]:
        """Up to so many jobs that are ready, of these kinds, under a lease of so long by the database's clock.

        Perhaps fewer than there are: at most one of each owner.
        """

    async def renew(self, held: Sequence[Claimed], milliseconds: int) -> list[Renewed]:
        """Hold them for so long from now on. Those that do not come back are lost."""

    async def finish(self, job: Claimed) -> bool:
        """It is done and gone. False when it was lost."""

    async def put_off(self, job: Claimed, milliseconds: int) -> bool:
        """It did not work; it becomes ready again after so long. False when it was lost."""

    async def give_back(self, job: Claimed) -> bool:
        """It becomes ready at once, and this attempt does not count. False when it was lost."""

    async def cancel(self, owner: Owner, job_id: str) -> bool:
        """Whoever runs it, or comes to run it, is told to drop it. False when there is no such job."""

    async def wait(self) -> int | None:
        """Milliseconds until the next job is ready, 0 or fewer when one is; None when nothing is owed."""
