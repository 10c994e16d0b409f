"""The workers of this process: they claim what is owed, carry it out, and keep their leases alive while they do.

Every job is carried by a task of its own, at most ``at_once`` of them, which this object owns. A lease is
renewed three times before it would end. One that is lost all the same ends the work on it at once; and its result could
not be written any more, because results are written with the token of the claim.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any, Literal

from antiphon.config import JobsConfig
from antiphon.errors import APIError
from antiphon.jobs.work import Handler, HolderDied, new_job_id
from antiphon.storage.jobs.model import Claimed, JobStore, NewJob
from antiphon.storage.model import Owner

_log = logging.getLogger("antiphon.jobs")

#: The longest wait between two attempts. Seconds.
_LONGEST_WAIT = 300.0

Ending = Literal["stop", "lost", "cancelled"]
_Key = tuple[Owner, str]


class _Held:
    """A job that this process carries."""

    __slots__ = ("dropping", "ending", "job", "task", "until", "work")

    def __init__(self, job: Claimed, until: float) -> None:
        self.job = job
        self.until = until
        self.dropping = False
        self.ending: Ending | None = None
        self.work: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None

    def end(self, why: Ending) -> None:
        """Break off what is being done for it; one that is being dropped is not cancelled once more."""
        if why == "cancelled" and (self.dropping or self.ending is not None):
            return
        self.ending = why
        if self.work is not None:
            self.work.cancel()


class Jobs:
    """Takes jobs, and carries out those of the kinds that it has ``handlers`` for, its own and those of others.

    Made inside a running loop, it begins at once. Whoever made it awaits ``close``.
    """

    def __init__(self, store: JobStore, handlers: Mapping[str, Handler], config: JobsConfig) -> None:
        self._store = store
        self._handlers = dict(handlers)
        self._config = config
        self._lease = int(config.lease_seconds * 1000)
        self._held: dict[_Key, _Held] = {}
        self._wake, self._look, self._closing = asyncio.Event(), asyncio.Event(), False
        self._tasks = [asyncio.create_task(self._claim_all()), asyncio.create_task(self._renew_all())]

    async def add(self, owner: Owner, kind: str, payload: bytes, *, key: str | None = None) -> str:
        """Owe this work; returns its id once that is durable. ``key`` is an id: a job of that id is not added twice."""
        job_id = key or new_job_id()
        await self._store.add(owner, [NewJob(job_id, kind, payload)])
        self.wake()
        return job_id

    async def cancel(self, owner: Owner, job_id: str) -> bool:
        """Have it dropped, whoever runs it. False when there is no such job."""
        found = await self._store.cancel(owner, job_id)
        self.wake()
        return found

    def wake(self) -> None:
        """Look now: jobs were added to the store, or cancelled in it, by the same process."""
        self._wake.set()
        self._look.set()

    async def close(self) -> None:
        """Give back what is under way, and end. A job is whole or as if it had never been begun."""
        self._closing = True
        self.wake()
        await asyncio.wait(self._tasks)
        carried = [held.task for held in self._held.values() if held.task is not None]
        for held in self._held.values():
            held.end("stop")
        if carried:
            await asyncio.wait(carried)

    # -- claiming

    async def _claim_all(self) -> None:
        while not self._closing:
            self._wake.clear()
            free = self._config.at_once - len(self._held)
            wait: float | None = None
            if free > 0:
                try:
                    wait = await self._claim(free)
                except APIError as failure:
                    _log.warning("Jobs could not be claimed: %s", failure)
                    wait = self._config.poll_seconds
                if not wait:
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _claim(self, free: int) -> float:
        """Take what is ready; returns how many seconds to wait before the next look, none when there may be more."""
        poll = self._config.poll_seconds
        ready = await self._store.wait()
        if ready is None:
            return poll
        if ready > 0:
            return min(ready / 1000, poll)
        at = asyncio.get_running_loop().time()
        token = secrets.token_hex(16)  # whatever is frozen: two claims must never have the same
        claimed = await self._store.claim(token, self._lease, list(self._handlers), free)
        for job in claimed:
            held = _Held(job, at + self._config.lease_seconds)
            lost = self._held.get((job.owner, job.id))
            if lost is not None:
                lost.end("lost")
            self._held[job.owner, job.id] = held
            held.task = asyncio.create_task(self._carry(held), name=f"job {job.kind}")
        return 0.0 if claimed else poll

    # -- carrying

    async def _carry(self, held: _Held) -> None:
        """One claim to its end, whatever that is."""
        job = held.job
        try:
            failure = await self._done(held)
            if held.ending == "stop":
                await self._store.give_back(job)
            elif held.ending == "lost":
                _log.warning("Job %s (%s) was lost to another.", job.id, job.kind)
            elif failure is None:
                await self._store.finish(job)
            else:
                await self._put_off(job, failure)
        except APIError as failure:
            # The store is away. The lease runs out, and whoever finds the job then does it again.
            _log.warning("Job %s (%s) was left to run out: %s", job.id, job.kind, failure)
        finally:
            if self._held.get((job.owner, job.id)) is held:
                del self._held[job.owner, job.id]
            self._wake.set()

    async def _done(self, held: _Held) -> Exception | None:
        """Do it, or drop it where that is due; the failure that asks for another attempt, or None."""
        job, handler, limit = held.job, self._handlers[held.job.kind], self._config.attempts
        if job.cancelled:
            return await self._drop(held, handler, None)
        if job.attempt > limit:
            return await self._drop(held, handler, HolderDied(f"{limit} attempts ended without a word"))
        failure = await self._work(held, handler.run(job))
        if held.ending == "cancelled":
            return await self._drop(held, handler, None)
        if held.ending is None and failure is not None and job.attempt >= limit:
            _log.error("Job %s (%s) failed for the last time: %s", job.id, job.kind, _said(failure))
            return await self._drop(held, handler, failure)
        return failure

    async def _drop(self, held: _Held, handler: Handler, why: Exception | None) -> Exception | None:
        held.dropping = True
        return await self._work(held, handler.drop(held.job, why))

    async def _work(self, held: _Held, call: Coroutine[Any, Any, None]) -> Exception | None:
        """One call of the handler, which ``held.end`` can break off; its failure, or None."""
        work = held.work = asyncio.create_task(call)
        if held.ending in ("stop", "lost"):
            work.cancel()
        await asyncio.wait([work])
        held.work = None
        if work.cancelled():
            return None if held.ending is not None else RuntimeError("it was cancelled from inside")
        failure = work.exception()
        if failure is not None and not isinstance(failure, Exception):
            raise failure
        return failure

    async def _put_off(self, job: Claimed, failure: Exception) -> None:
        seconds = min(self._config.retry_seconds * 2 ** (job.attempt - 1), _LONGEST_WAIT)
        unexpected = None if isinstance(failure, APIError) else failure
        _log.warning(
            "Job %s (%s) failed, attempt %d of %d; the next one in %.1f s: %s",
            *(job.id, job.kind, job.attempt, self._config.attempts, seconds, _said(failure)),
            exc_info=unexpected,
        )
        await self._store.put_off(job, int(seconds * 1000))

    # -- leases

    async def _renew_all(self) -> None:
        while not self._closing:
            self._look.clear()
            if self._held:
                await self._renew()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.lease_seconds / 3):
                    await self._look.wait()

    async def _renew(self) -> None:
        clock = asyncio.get_running_loop().time
        at, held = clock(), list(self._held.values())
        try:
            kept = {one.token + one.id: one for one in await self._store.renew([h.job for h in held], self._lease)}
        except APIError as failure:
            _log.warning("Leases were not renewed: %s", failure)
            for one in held:
                if clock() > one.until:
                    one.end("lost")
            return
        for one in held:
            found = kept.get(one.job.token + one.job.id)
            if found is None:
                # Its own end may have come between; then nothing is left to break off.
                one.end("lost")
                continue
            one.until = at + self._config.lease_seconds
            if found.cancelled and one.ending is None:
                one.end("cancelled")


def _said(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}" if not isinstance(failure, APIError) else str(failure)
