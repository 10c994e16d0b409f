"""The bytes of a stream as they lie in HTTP: whole events in each chunk, in the order and form that clients rely on."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.live.rawhttp import Body, Connection, connected, payload, sse
from tests.live.streams import DONE, RICH, chunk, event, pieces, request, streamed, told
from tests.server import Server
from tests.upstreams import FakeBackend, Gate

pytestmark = pytest.mark.anyio

ANSWER = b"".join(event(one) for one in RICH) + DONE


def _expect_framed(body: Body) -> None:
    """Chunks of whole events, the last one with the end of everything."""
    assert body.headers["transfer-encoding"] == "chunked"
    assert body.headers["content-type"].startswith("text/event-stream")
    for frame in body.frames:
        assert frame.endswith(b"\n\n"), "an event is never split over two writes"
        assert frame.startswith((b"event: ", b": ", DONE))
    assert body.frames[-1].endswith(DONE)
    assert body.data.count(DONE) == 1
    events = sse(body.data)
    assert [payload(one)["sequence_number"] for one in events[:-1]] == list(range(len(events) - 1))
    assert body.data == b"".join(events), "nothing stands between the events"


@settings(max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, len(ANSWER) - 1), max_size=12), store=st.booleans())
async def test_no_event_is_split(server: Server, backend: FakeBackend, port: int, cuts: set[int], store: bool) -> None:
    """Every chunk on the wire holds whole events, numbers and indexes have no gap, ``[DONE]`` is last."""
    async with connected(port) as connection:
        backend.answer(*pieces(ANSWER, cuts))
        body = await connection.ask("POST", "/v1/responses", request(stream=True, store=store))
        _expect_framed(body)
        told(body.data)


async def test_large_events_are_not_split(backend: FakeBackend, connection: Connection) -> None:
    """A text far larger than any buffer still comes in whole events, live and again."""
    text = "ü" * 300_000
    backend.answer(chunk(content=text), chunk("stop"))
    body = await connection.ask("POST", "/v1/responses", request(stream=True))
    _expect_framed(body)
    response = told(body.data)[-1]["response"]
    assert response["output"][0]["content"][0]["text"] == text
    again = await connection.ask("GET", f"/v1/responses/{response['id']}?stream=true")
    _expect_framed(again)
    assert again.data == body.data


async def test_the_body_closes_at_once(backend: FakeBackend, connection: Connection) -> None:
    """The stream ends at the back end's ``[DONE]``, although its connection stays open."""
    never = Gate()
    backend.answer(*RICH, DONE, never)
    began = time.monotonic()
    body = await connection.ask("POST", "/v1/responses", request(stream=True))
    _expect_framed(body)
    assert time.monotonic() - began < 5
    assert body.frames[-1].count(b"event: ") >= 1, "the terminal event and the end of the body are one write"
    never.open()


async def test_events_leave_when_they_come(backend: FakeBackend, connection: Connection) -> None:
    """Each chunk of the back end is told while the next one is still to come."""
    gates = [Gate() for _ in RICH]
    backend.answer(*(step for gate, one in zip(gates, RICH, strict=True) for step in (gate, one)))
    gates[0].open()
    await connection.send("POST", "/v1/responses", request(stream=True))
    for gate, sign in zip(
        gates[1:6], (b"in_progress", b"e? ", b"reasoning_text.done", b"so", "𝄞".encode()), strict=True
    ):
        await connection.until(sign)
        gate.open()
    for gate in gates[6:]:
        gate.open()
    _expect_framed(await connection.rest())


async def test_requests_share_a_connection(backend: FakeBackend, connection: Connection) -> None:
    """A stream that ended leaves its connection fit for the next request, of any kind."""
    for _ in range(3):
        backend.answer(*RICH)
        response = told(await streamed(connection, request(stream=True)))[-1]["response"]
        found = await connection.ask("GET", f"/v1/responses/{response['id']}")
        assert json.loads(found.data) == response
