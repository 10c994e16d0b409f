"""A reader that comes again gets exactly what it missed: after the end, and while the answer is still being made."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.live.rawhttp import Connection, connected, sse
from tests.live.streams import RICH, request, streamed, told
from tests.upstreams import FakeBackend, Gate

pytestmark = pytest.mark.anyio


async def test_every_tail_after_the_end(backend: FakeBackend, connection: Connection) -> None:
    """For every k, ``starting_after=k`` gives the bytes behind event k; behind the last there is only the end."""
    backend.answer(*RICH)
    stream = await streamed(connection, request(stream=True))
    path = f"/v1/responses/{told(stream)[0]['response']['id']}?stream=true"
    events = sse(stream)
    assert (await connection.ask("GET", path)).data == stream
    for after in range(-1, len(events) + 1):
        again = await connection.ask("GET", f"{path}&starting_after={after}")
        assert again.data == b"".join(events[after + 1 :] or events[-1:]), after


@pytest.mark.parametrize("at", [0, 1, 4, 7, len(RICH) - 1])
async def test_every_tail_while_it_runs(backend: FakeBackend, connection: Connection, port: int, at: int) -> None:
    """Readers that join in the middle, each behind another event, get the same bytes as the first one."""
    gate = Gate()
    backend.answer(*RICH[:at], gate, *RICH[at:])
    await connection.send("POST", "/v1/responses", request(stream=True))
    await connection.until(b"response.in_progress")
    gate.reached()
    path = f"/v1/responses/{told_id(connection)}?stream=true"
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(connected(port)) for _ in range(-1, 12)]
        for after, reader in enumerate(readers, -1):
            assert (await reader.send("GET", f"{path}&starting_after={after}")).status == 200
        gate.open()
        tails = await asyncio.gather(*(reader.rest() for reader in readers))
    events = sse((await connection.rest()).data)
    for after, tail in enumerate(tails, -1):
        assert tail.data == b"".join(events[after + 1 :]), after
    told(connection.body.data)


async def test_readers_that_leave_change_nothing(backend: FakeBackend, connection: Connection, port: int) -> None:
    """Readers that join and hang up while it runs leave the others, and what is stored, as they are."""
    gate = Gate()
    backend.answer(*RICH[:4], gate, *RICH[4:])
    await connection.send("POST", "/v1/responses", request(stream=True))
    await connection.until(b"response.in_progress")
    response_id = told_id(connection)
    for _ in range(5):
        async with connected(port) as reader:
            await reader.send("GET", f"/v1/responses/{response_id}?stream=true")
            await reader.until(b"response.created")
    gate.open()
    stream = (await connection.rest()).data
    assert told(stream)[-1]["type"] == "response.completed"
    assert (await connection.ask("GET", f"/v1/responses/{response_id}?stream=true")).data == stream


def told_id(connection: Connection) -> str:
    """The id that the stream has begun with."""
    first = sse(connection.body.data)[0]
    return first.split(b'"id":"', 1)[1].split(b'"')[0].decode()
