"""Workers on a real store, of both kinds."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from antiphon.config import JobsConfig, StorageConfig
from antiphon.errors import Unavailable
from antiphon.jobs.work import HolderDied
from antiphon.jobs.workers import Jobs
from antiphon.storage import Stores, open_store
from antiphon.storage.jobs.model import Claimed, NewJob
from tests.databases import query

pytestmark = pytest.mark.anyio

PATIENCE = 20.0
#: So slow a look at the database that only a wake-up can be what helped.
CONFIG = JobsConfig(poll_seconds=60.0, retry_seconds=0.01, attempts=3)


class Doer:
    """Notes what it is told; ``do`` is the work."""

    def __init__(self, do: Callable[[Claimed], Awaitable[None]] | None = None) -> None:
        self._do = do
        self.runs: list[Claimed] = []
        self.drops: list[tuple[str, Exception | None]] = []
        self._changed = asyncio.Condition()

    async def run(self, job: Claimed) -> None:
        """Note it, do it."""
        await self._note(self.runs, job)
        if self._do is not None:
            await self._do(job)

    async def drop(self, job: Claimed, why: Exception | None) -> None:
        """Note it."""
        await self._note(self.drops, (job.id, why))

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until that is so."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(met)

    async def _note(self, where: list[Any], what: object) -> None:
        async with self._changed:
            where.append(what)
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def working(store: Stores, doer: Doer, config: JobsConfig = CONFIG) -> AsyncIterator[Jobs]:
    """Workers that do "work"."""
    jobs = Jobs(store.jobs, {"work": doer}, config)
    try:
        yield jobs
    finally:
        await jobs.close()


async def nothing_owed(store: Stores) -> None:
    """Wait until it is all done."""
    async with asyncio.timeout(PATIENCE):
        while await store.jobs.wait() is not None:  # noqa: ASYNC110 - its end is told to nobody
            await asyncio.sleep(0.002)


async def forever(_job: Claimed) -> None:
    """Work without an end."""
    await asyncio.Event().wait()


async def test_what_is_added_is_done(store: Stores) -> None:
    """At once, in this process; one key is one job."""
    doer = Doer()
    async with working(store, doer) as jobs:
        for owner, payload in (("a", b"1"), ("b", b"2")):
            assert await jobs.add(owner, "work", payload, key="same") == "same"
        await jobs.add("a", "work", b"3")
        await doer.until(lambda: len(doer.runs) == 3)
        await nothing_owed(store)
    assert sorted((job.owner, job.payload) for job in doer.runs) == [("a", b"1"), ("a", b"3"), ("b", b"2")]


async def test_kinds_of_others_are_left_to_them(store: Stores) -> None:
    """A job that nobody here can do is not claimed, and holds up nothing."""
    doer = Doer()
    async with working(store, doer) as jobs:
        await jobs.add("a", "other", b"{}", key="0")
        await jobs.add("a", "work", b"{}", key="1")
        await doer.until(lambda: [job.id for job in doer.runs] == ["1"])
    (other,) = await store.jobs.claim("t", 1000, ["other"], 9)
    assert (other.id, other.attempt) == ("0", 1)


async def test_so_many_at_once_and_no_more(store: Stores) -> None:
    """``at_once`` is the limit, and it is reached."""
    now, most, gate = 0, 0, asyncio.Event()

    async def count(_job: Claimed) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await gate.wait()
        now -= 1

    doer = Doer(count)
    async with working(store, doer, JobsConfig(at_once=3, poll_seconds=60)) as jobs:
        for n in range(8):
            await jobs.add("a", "work", b"{}", key=str(n))
        await doer.until(lambda: now == 3)
        gate.set()
        await doer.until(lambda: len(doer.runs) == 8)
        await nothing_owed(store)
    assert most == 3


async def test_what_fails_is_tried_again(store: Stores) -> None:
    """As often as is set; then it is dropped, with the reason, and owed no more."""

    async def fail(job: Claimed) -> None:
        if job.id == "bad" or job.attempt == 1:
            raise Unavailable(f"not now, {job.id}")

    doer = Doer(fail)
    async with working(store, doer) as jobs:
        await jobs.add("a", "work", b"{}", key="bad")
        await jobs.add("a", "work", b"{}", key="good")
        await doer.until(lambda: bool(doer.drops))
        await nothing_owed(store)
    assert Counter(job.id for job in doer.runs) == {"bad": 3, "good": 2}
    ((dropped, why),) = doer.drops
    assert (dropped, str(why)) == ("bad", "not now, bad")


async def test_a_job_that_kills_its_process_is_not_tried_for_ever(store: Stores) -> None:
    """After so many holders that never came to an end it is dropped without another try."""
    doer = Doer()
    await store.jobs.add("a", [NewJob("deadly", "work", b"{}")])
    for _ in range(3):
        while not await store.jobs.claim("died", 1, ["work"], 1):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.002)
    async with working(store, doer):
        await doer.until(lambda: bool(doer.drops))
        await nothing_owed(store)
    assert doer.runs == []
    assert isinstance(doer.drops[0][1], HolderDied)


async def test_cancelled_while_it_runs(store: Stores) -> None:
    """It is broken off at once and dropped; one that waits is dropped without a try."""
    doer = Doer(forever)
    async with working(store, doer, JobsConfig(at_once=1, poll_seconds=60)) as jobs:
        await jobs.add("a", "work", b"{}", key="running")
        await doer.until(lambda: len(doer.runs) == 1)
        await jobs.add("a", "work", b"{}", key="waiting")
        assert await jobs.cancel("a", "waiting")
        assert await jobs.cancel("a", "running")
        assert not await jobs.cancel("b", "running")
        await doer.until(lambda: len(doer.drops) == 2)
        await nothing_owed(store)
    assert doer.drops == [("running", None), ("waiting", None)]
    assert len(doer.runs) == 1


async def test_cancelled_by_another_process(store: Stores, url: str) -> None:
    """The holder is told when it renews its lease."""
    doer, other = Doer(forever), await open_store(StorageConfig(database_url=url))
    async with working(store, doer, JobsConfig(lease_seconds=0.3, poll_seconds=60)) as jobs:
        await jobs.add("a", "work", b"{}", key="running")
        await doer.until(lambda: len(doer.runs) == 1)
        assert await other.jobs.cancel("a", "running")
        await doer.until(lambda: doer.drops == [("running", None)])
        await nothing_owed(store)
    await other.close()


async def test_a_stop_gives_back(store: Stores) -> None:
    """What was under way is taken up by the next, as if it had never been begun."""
    doer, following = Doer(forever), Doer()
    async with working(store, doer) as jobs:
        await jobs.add("a", "work", b"{}", key="one")
        await doer.until(lambda: len(doer.runs) == 1)
    async with working(store, following):
        await following.until(lambda: len(following.runs) == 1)
        await nothing_owed(store)
    assert following.runs[0].attempt == 1
    assert doer.drops == following.drops == []


async def test_a_lost_lease_ends_the_work(store: Stores, url: str) -> None:
    """A holder that was too slow is cut off, and writes neither an end nor another attempt."""
    cut = asyncio.Event()

    async def work(_job: Claimed) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    doer = Doer(work)
    async with working(store, doer, JobsConfig(lease_seconds=0.6, poll_seconds=60)) as jobs:
        await jobs.add("a", "work", b"{}", key="one")
        await doer.until(lambda: len(doer.runs) == 1)
        await steal(url)
        async with asyncio.timeout(PATIENCE):
            await cut.wait()
    assert await query(url, "SELECT token, attempts FROM jobs") == [("thief", 1)]
    assert doer.drops == []


async def steal(url: str) -> None:
    """Give every job to somebody else."""
    if url.startswith("sqlite"):
        await query(url, "UPDATE jobs SET token = 'thief', ready_at = ready_at + 1000000")
    else:
        await query(url, "UPDATE jobs SET token = 'thief', ready_at = ready_at + 1000000 RETURNING id")


async def test_two_workers_never_run_one_job_at_once(store: Stores, url: str) -> None:
    """Two processes' workers on one database share the jobs: each is run once, by one of them."""
    running: Counter[str] = Counter()

    async def work(job: Claimed) -> None:
        running[job.id] += 1
        assert running[job.id] == 1
        await asyncio.sleep(0)

    other_began = asyncio.Event()

    async def patient(job: Claimed) -> None:
        await work(job)
        await other_began.wait()

    async def eager(job: Claimed) -> None:
        other_began.set()
        await work(job)

    left, right, other = Doer(patient), Doer(eager), await open_store(StorageConfig(database_url=url))
    config = JobsConfig(at_once=3, poll_seconds=0.05)
    async with working(store, left, config) as jobs, working(other, right, config):
        for n in range(40):
            await jobs.add("ab"[n % 2], "work", b"{}", key=str(n))
        await nothing_owed(store)
    assert running == Counter(str(n) for n in range(40))
    assert right.runs, "the other process saw nothing of it"
    await other.close()


async def test_a_store_that_is_away_for_a_while(store: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is asked again; nothing ends by it."""
    doer, away = Doer(), 2
    real = store.jobs.wait

    async def wait() -> int | None:
        nonlocal away
        if away:
            away -= 1
            raise Unavailable("The store does not answer.")
        return await real()

    monkeypatch.setattr(store.jobs, "wait", wait)
    async with working(store, doer, JobsConfig(poll_seconds=0.05)) as jobs:
        await jobs.add("a", "work", b"{}")
        await doer.until(lambda: len(doer.runs) == 1)
    assert not away
