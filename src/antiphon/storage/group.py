"""Group commit: what arrives while the database is busy goes into its next transaction, together.

One task owns the writing. After a group of several jobs others are about to come, so for a while it gives each next
group a moment to grow: fewer groups write fewer pages and wake the writer less often, which at 32 clients of a local
model saves a tenth of what a stored response costs. Who comes alone, or with a few others, does not wait for that.

The queue is bounded: ``submit`` waits for room, and so does the request behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from antiphon.errors import Unavailable

#: A group of more jobs than this says that others are about to come.
_FEW = 4
#: Seconds for which that is believed.
WHILE = 0.05
#: Seconds that a group is then given to grow.
_MOMENT = 0.001

Job = TypeVar("Job")
Done = TypeVar("Done")


class GroupCommit(Generic[Job, Done]):
    """Hands groups of jobs to ``write`` and tells each job its own outcome.

    ``write`` takes up to ``max_group`` jobs and returns, in the same order, what each gave or the exception it gets.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Job]], Awaitable[Sequence[Done | BaseException]]],
        *,
        max_group: int = 256,
        max_waiting: int = 1024,
    ) -> None:
        self._write = write
        self._max_group = max_group
        self._max_waiting = max_waiting
        #: Jobs that were taken in and not answered yet.
        self._under_way = 0
        self._room = asyncio.Event()
        self._waiting: deque[tuple[Job, asyncio.Future[Done]]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name="group commit")

    def submit(self, job: Job) -> Awaitable[Done]:
        """Done when the job is durable; raises what made it fail, ``Unavailable`` once closing.

        A future, where there is room: a coroutine here would be one more to go through each time its caller goes on.
        """
        if self._closing:
            raise Unavailable("The store is closing.")
        if self._under_way == self._max_waiting:
            return self._submit_later(job)
        self._under_way += 1
        future: asyncio.Future[Done] = self._loop.create_future()
        self._waiting.append((job, future))
        if len(self._waiting) == 1:
            self._wake.set()
        return future

    async def _submit_later(self, job: Job) -> Done:
        while self._under_way == self._max_waiting:
            self._room.clear()
            await self._room.wait()
        return await self.submit(job)

    async def close(self) -> None:
        """Write what was accepted, then end."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        busy_until = 0.0
        while True:
            while not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            if self._loop.time() < busy_until and len(self._waiting) < self._max_group:
                await asyncio.sleep(_MOMENT)
            group = self._take()
            await self._write_group(group)
            self._under_way -= len(group)
            self._room.set()
            if len(group) > _FEW:
                busy_until = self._loop.time() + WHILE

    def _take(self) -> list[tuple[Job, asyncio.Future[Done]]]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_group))]

    async def _write_group(self, taken: Sequence[tuple[Job, asyncio.Future[Done]]]) -> None:
        # Who has stopped waiting was never told that anything is stored.
        group = [(job, future) for job, future in taken if not future.done()]
        if not group:
            return
        outcomes: Sequence[Done | BaseException]
        try:
            outcomes = await self._write([job for job, _ in group])
        except asyncio.CancelledError:
            for _, future in group:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again, in each of the jobs that it hit
            outcomes = [error] * len(group)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
