"""Group commit and the threads under it, by themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from antiphon.errors import Unavailable
from antiphon.storage.group import WHILE, GroupCommit
from antiphon.storage.threads import Threads

pytestmark = pytest.mark.anyio


async def test_what_waits_goes_together() -> None:
    """Jobs that arrive while a group is written make up the next one, in order, up to the size of a group."""
    groups: list[list[int]] = []
    gate, begun = asyncio.Event(), asyncio.Event()

    async def write(jobs: Sequence[int]) -> Sequence[int]:
        groups.append(list(jobs))
        begun.set()
        await gate.wait()
        return [-job for job in jobs]

    group: GroupCommit[int, int] = GroupCommit(write, max_group=4)
    first = asyncio.ensure_future(group.submit(0))
    await begun.wait()
    rest = [asyncio.ensure_future(group.submit(n)) for n in range(1, 7)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(first, *rest) == [0, -1, -2, -3, -4, -5, -6]
    assert groups == [[0], [1, 2, 3, 4], [5, 6]]
    await group.close()


async def test_after_several_jobs_the_next_may_join() -> None:
    """Close behind a group of several jobs, those that come a few turns of the loop apart still go together."""
    groups: list[int] = []

    async def write(jobs: Sequence[int]) -> Sequence[int]:
        groups.append(len(jobs))
        return jobs

    async def late(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await group.submit(turns)

    group: GroupCommit[int, int] = GroupCommit(write)
    await asyncio.gather(*(group.submit(n) for n in range(5)))
    await asyncio.gather(*(late(turns) for turns in range(3)))
    assert groups == [5, 3]
    await group.close()


async def test_who_comes_alone_does_not_wait() -> None:
    """One after the other, and a while after a group of several, a job is written in the next turn of the loop."""

    async def write(jobs: Sequence[int]) -> Sequence[int]:
        return jobs

    async def turns() -> int:
        job, count = asyncio.ensure_future(group.submit(0)), 0
        while not job.done():
            await asyncio.sleep(0)
            count += 1
        return count

    group: GroupCommit[int, int] = GroupCommit(write)
    alone = [await turns() for _ in range(3)]
    await asyncio.gather(*(group.submit(n) for n in range(5)))
    await asyncio.sleep(2 * WHILE)
    assert [*alone, await turns()] == [alone[-1]] * 4
    await group.close()


async def test_no_more_wait_than_allowed() -> None:
    """Past the bound a job is not taken in until there is room."""
    taken: list[int] = []
    gate = asyncio.Event()

    async def write(jobs: Sequence[int]) -> Sequence[None]:
        taken.extend(jobs)
        await gate.wait()
        return [None] * len(jobs)

    group: GroupCommit[int, None] = GroupCommit(write, max_waiting=3)
    tasks = [asyncio.ensure_future(group.submit(n)) for n in range(10)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(taken) + len(group._waiting) == 3
    gate.set()
    await asyncio.gather(*tasks)
    assert sorted(taken) == list(range(10))
    await group.close()


async def test_a_writer_that_breaks_fails_its_group_only() -> None:
    """An unexpected failure reaches every job of that group, and the next group is written."""

    async def write(jobs: Sequence[str]) -> Sequence[None]:
        if "bad" in jobs:
            raise RuntimeError("broken")
        return [None] * len(jobs)

    group: GroupCommit[str, None] = GroupCommit(write)
    outcomes = await asyncio.gather(group.submit("good"), group.submit("bad"), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["broken", "broken"]
    await group.submit("good")
    await group.close()
    with pytest.raises(Unavailable):
        await group.submit("late")


async def test_threads_run_side_by_side_and_no_more_than_asked() -> None:
    """Calls run at once up to the number of threads; the others wait and still run."""
    threads = Threads(2, "test")
    barrier, names = threading.Barrier(2), set()

    def meet() -> None:
        names.add(threading.current_thread().name)
        barrier.wait(5)

    await asyncio.gather(*(threads.call(meet) for _ in range(6)))
    assert len(names) == 2
    await threads.close()
    with pytest.raises(Unavailable):
        await threads.call(meet)


async def test_the_thread_that_was_busy_last_is_asked_again() -> None:
    """Calls one after the other all run in one thread, whose caches are warm."""
    threads = Threads(3, "test")
    barrier = threading.Barrier(3)
    await asyncio.gather(*(threads.call(barrier.wait, 5) for _ in range(3)))
    names = {(await threads.call(threading.current_thread)).name for _ in range(10)}
    assert len(names) == 1
    await threads.close()


async def test_a_call_that_raises() -> None:
    """What a function raises in its thread is raised where it was called, and the thread lives on."""
    threads = Threads(1, "test")
    with pytest.raises(ZeroDivisionError):
        await threads.call(lambda: 1 // 0)
    assert await threads.call(lambda: 1) == 1
    await threads.close()


async def test_closing_waits_for_the_calls_under_way() -> None:
    """Calls that were accepted before the close are done when it returns."""
    threads = Threads(1, "test")
    done: list[int] = []
    calls = [asyncio.ensure_future(threads.call(done.append, n)) for n in range(20)]
    await asyncio.sleep(0)
    await threads.close()
    await asyncio.gather(*calls)
    assert done == list(range(20))
