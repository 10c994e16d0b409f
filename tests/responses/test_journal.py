"""Laws of the Journal: every reader sees the same numbered frames, once and in order, however it reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.responses import lifecycle
from antiphon.responses.journal import Journal, ResponseTooLarge
from antiphon.responses.turn import Turn
from antiphon.wire.encode import Dialect, Frame, data_of
from antiphon.wire.events import AnyEvent
from tests.responses.chunks import Script, scripts
from tests.responses.play import NO_USAGE, RESPONSE, options, play, read, wire


def journal(max_bytes: int = 10**9, dialect: Dialect = "openai") -> Journal:
    """An empty one."""
    return Journal(dialect=dialect, max_bytes=max_bytes)


def batches(script: Script) -> list[list[AnyEvent]]:
    """The events of a stream as they are published: one batch a chunk."""
    turn = Turn(options())
    told = [turn.feed([chunk]) for chunk in read(script.chunks)]
    return [[*lifecycle.opening(RESPONSE)], *told, turn.flush()]


class Reader:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.calls = 0

    def __call__(self, frames: Sequence[Frame]) -> None:
        assert frames, "never called for nothing"
        self.calls += 1
        self.frames += frames


@given(scripts(), st.data())
@settings(max_examples=30)
def test_every_reader_sees_the_same(script: Script, data: st.DataObject) -> None:
    """A sink attached at any moment after any number, a follower, and the log itself agree."""
    told = batches(script)
    after = st.integers(-3, sum(map(len, told)) + 2)

    async def run() -> None:
        log = journal()
        sinks: list[tuple[Reader, int]] = []
        followers: list[tuple[asyncio.Task[list[Frame]], int]] = []
        for batch in told:
            if data.draw(st.booleans()):
                sinks.append((Reader(), data.draw(after)))
                log.attach(sinks[-1][0], after=sinks[-1][1])
            if data.draw(st.booleans()):
                number = data.draw(after)
                followers.append((asyncio.create_task(collect(log, number)), number))
            log.extend(batch)
            if data.draw(st.booleans()):
                await asyncio.sleep(0)  # lets the followers come in between
        log.end(log.number([lifecycle.cancelled(RESPONSE, usage=NO_USAGE)]))
        for reader, number in sinks:
            assert reader.frames == log.frames[max(number + 1, 0) :]
        for task, number in followers:
            assert await task == log.frames[max(number + 1, 0) :]
        assert [event["sequence_number"] for event in wire(log)] == list(range(len(log.frames)))

    asyncio.run(run())


async def collect(log: Journal, after: int) -> list[Frame]:
    """All that ``follow`` gives."""
    return [frame async for batch in log.follow(after=after) for frame in batch]


@given(scripts(), st.data())
@settings(max_examples=30)
def test_a_detached_sink_is_not_called(script: Script, data: st.DataObject) -> None:
    """What it saw is a prefix; the others go on."""
    told = batches(script)
    log, leaver, stayer = journal(), Reader(), Reader()
    log.attach(leaver)
    log.attach(stayer)
    at = data.draw(st.integers(0, len(told)))
    for n, batch in enumerate(told):
        if n == at:
            log.detach(leaver)
        log.extend(batch)
    assert leaver.frames == log.frames[: sum(map(len, told[:at]))]
    assert stayer.frames == log.frames


def test_sinks_may_come_and_go_while_they_are_called() -> None:
    """A sink that detaches itself does not make the next one miss a batch, and one that is attached misses none."""
    log, stayer, latecomer = journal(), Reader(), Reader()

    def leaver(frames: Sequence[Frame]) -> None:
        log.detach(leaver)
        log.attach(latecomer)

    log.attach(leaver)
    log.attach(stayer)
    log.extend(lifecycle.opening(RESPONSE))
    log.extend([lifecycle.cancelled(RESPONSE, usage=NO_USAGE)])
    assert stayer.frames == latecomer.frames == log.frames
    assert latecomer.calls == 2


def test_a_batch_is_one_call() -> None:
    """What came together is handed over together, and nothing is handed over for nothing."""
    log, reader = journal(), Reader()
    log.attach(reader)
    log.extend([])
    log.extend(lifecycle.opening(RESPONSE))
    assert reader.calls == 1


@given(scripts(), st.data())
@settings(max_examples=30)
def test_too_large_keeps_nothing_of_the_batch(script: Script, data: st.DataObject) -> None:
    """The batch that is over the limit leaves no trace; the one that fits exactly stays; the end always has room."""
    told = [batch for batch in batches(script) if batch]
    whole = journal()
    sizes = []
    for batch in told:
        whole.extend(batch)
        sizes.append(sum(map(len, whole.frames)))
    at = data.draw(st.integers(1, len(told) - 1))
    log, reader = journal(max_bytes=sizes[at] - 1), Reader()
    log.attach(reader)
    for batch in told[:at]:
        log.extend(batch)
    kept = list(log.frames)
    with pytest.raises(ResponseTooLarge):
        log.number(told[at])
    with pytest.raises(ResponseTooLarge):
        log.extend(told[at])
    assert log.frames == reader.frames == kept == whole.frames[: len(kept)]
    log.end(log.number(lifecycle.failed(RESPONSE, ResponseTooLarge("too large"), usage=NO_USAGE), over_limit=True))
    assert [event["type"] for event in wire(log)[len(kept) :]] == ["error", "response.failed"]
    assert reader.frames == log.frames
    exact = journal(max_bytes=sizes[-1])
    for batch in told:
        exact.extend(batch)
    assert exact.frames == whole.frames


def test_numbering_tells_nobody() -> None:
    """What is numbered to be stored first is neither kept nor told before it is published, and then unchanged."""
    log, reader = journal(), Reader()
    log.attach(reader)
    log.extend(lifecycle.opening(RESPONSE))
    last = [lifecycle.cancelled(RESPONSE, usage=NO_USAGE)]
    numbered = log.number(last)
    assert len(log.frames) == len(reader.frames) == 2
    assert json.loads(data_of(numbered[0]))["sequence_number"] == 2
    log.end(numbered)
    assert log.frames[2:] == reader.frames[2:] == numbered
    assert log.frames[2] is numbered[0], "what was stored is what is told"


def test_nothing_follows_the_end() -> None:
    """Who would add to a log that has ended is told that this is a defect."""
    log = journal()
    log.end()
    with pytest.raises(AssertionError):
        log.extend(lifecycle.opening(RESPONSE))


def test_the_end_is_told_once() -> None:
    """After the last frames, whoever asked is called, and who asks later is called at once."""
    log, reader = journal(), Reader()
    seen: list[int] = []
    log.attach(reader)
    log.on_end(lambda: seen.append(len(reader.frames)))
    log.extend(lifecycle.opening(RESPONSE))
    log.end(log.number([lifecycle.cancelled(RESPONSE, usage=NO_USAGE)]))
    log.end()
    log.on_end(lambda: seen.append(-1))
    assert seen == [3, -1]


@pytest.mark.anyio
async def test_the_end_wakes_everybody() -> None:
    """Followers, those who wait for the end and those who wait for room are let go, with or without last events."""
    for last in ([], [lifecycle.cancelled(RESPONSE, usage=NO_USAGE)]):
        log = journal()
        log.extend(lifecycle.opening(RESPONSE))
        log.hold()
        waiting = [collect(log, -1), collect(log, 1), log.wait(), log.room()]
        tasks = [asyncio.create_task(coroutine) for coroutine in waiting]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        log.end(log.number(last))
        async with asyncio.timeout(5):
            results: list[Any] = await asyncio.gather(*tasks)
        assert results[0] == log.frames
        assert results[1] == log.frames[2:]
        log.hold()
        async with asyncio.timeout(5):
            await log.room()


@pytest.mark.anyio
async def test_room_waits_for_every_reader() -> None:
    """The run goes on when the last of those who held it has let go; letting go too often does no harm."""
    log = journal()
    await log.room()
    log.release()
    log.hold()
    log.hold()
    assert log.held
    task = asyncio.create_task(log.room())
    log.release()
    await asyncio.sleep(0)
    assert log.held
    assert not task.done()
    log.release()
    async with asyncio.timeout(5):
        await task
    assert not log.held


@given(scripts())
@settings(max_examples=30)
def test_open_responses_renames_two_events_and_nothing_else(script: Script) -> None:
    """The dialect changes the names of raw reasoning; every other byte is the same."""
    renamed = {
        "response.reasoning_text.delta": "response.reasoning.delta",
        "response.reasoning_text.done": "response.reasoning.done",
    }
    one, other = (wire(play(read(script.chunks), dialect=dialect)) for dialect in ("openai", "open-responses"))
    assert [{**event, "type": renamed.get(event["type"], event["type"])} for event in one] == other


@given(scripts())
@settings(max_examples=30)
def test_the_stored_form_is_the_log(script: Script) -> None:
    """The segment holds every frame, the last ones included before they are told."""
    log = journal()
    for batch in batches(script):
        log.extend(batch)
    last = [lifecycle.cancelled(RESPONSE, usage=NO_USAGE)]
    numbered = log.number(last)
    segment = log.segment(numbered)
    log.end(numbered)
    assert (segment.first_seq, segment.last_seq) == (0, len(log.frames) - 1)
    assert log.segment([]).data == segment.data
