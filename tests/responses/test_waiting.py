"""One timer for all who wait equally long."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.responses.waiting import Waiting

pytestmark = pytest.mark.anyio

SECONDS = 0.05


async def test_each_is_due_in_its_own_time() -> None:
    """Also those who came while an earlier one waited, and whoever was first has left."""
    loop = asyncio.get_running_loop()
    due: dict[str, float] = {}

    def over(name: str) -> None:
        due[name] = loop.time()

    waiting = Waiting(SECONDS, over)
    came: dict[str, float] = {}
    for name in ("first", "second", "third"):
        came[name] = loop.time()
        waiting.add(name, came[name])
        await asyncio.sleep(SECONDS / 4)
    waiting.leave("first")
    await asyncio.sleep(SECONDS * 2)
    assert list(due) == ["second", "third"]
    assert all(SECONDS <= due[name] - came[name] < SECONDS + 0.2 for name in due)


async def test_who_comes_after_all_have_gone_is_waited_for() -> None:
    """The timer that found nobody is set again."""
    due: list[str] = []
    waiting = Waiting(SECONDS, due.append)
    waiting.add("gone", asyncio.get_running_loop().time())
    waiting.leave("gone")
    await asyncio.sleep(SECONDS * 2)
    waiting.add("late", asyncio.get_running_loop().time())
    await asyncio.sleep(SECONDS * 2)
    assert due == ["late"]


async def test_nobody_is_due_after_the_end() -> None:
    """What is closed calls nobody."""
    due: list[str] = []
    waiting = Waiting(SECONDS, due.append)
    waiting.add("here", asyncio.get_running_loop().time())
    waiting.close()
    await asyncio.sleep(SECONDS * 2)
    assert not due


async def test_one_that_fails_keeps_nobody_waiting() -> None:
    """The failure is told as that of a timer is, and the others have their turn."""
    loop = asyncio.get_running_loop()
    told: list[BaseException | None] = []
    loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
    due: list[str] = []

    def over(name: str) -> None:
        if name == "broken":
            raise ValueError(name)
        due.append(name)

    waiting = Waiting(SECONDS, over)
    for name in ("broken", "whole"):
        waiting.add(name, loop.time())
    await asyncio.sleep(SECONDS * 3)
    assert due == ["whole"]
    assert [type(one) for one in told] == [ValueError]
