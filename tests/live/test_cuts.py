"""A back end that breaks off, after every chunk and in the middle of one: the stream still ends as clients need it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.live.rawhttp import Connection, connected, payload, sse
from tests.live.streams import DONE, RICH, event, normal, request, streamed, told
from tests.server import Server
from tests.upstreams import Break, FakeBackend

pytestmark = pytest.mark.anyio

ANSWER = b"".join(event(one) for one in RICH)
#: From here on the back end has said that it is done.
COMPLETE = ANSWER.index(b'"finish_reason": "tool_calls"')


async def _expect_stored(connection: Connection, stream: bytes) -> None:
    """What is stored is what the client was told, and is told again."""
    response = told(stream)[-1]["response"]
    path = f"/v1/responses/{response['id']}"
    assert (await connection.ask("GET", path)).json() == response
    assert (await connection.ask("GET", f"{path}?stream=true")).data == stream


async def _expect_failed(connection: Connection, backend: FakeBackend, *sent: bytes) -> None:
    backend.answer(*sent, Break())
    stream = await streamed(connection, request(stream=True))
    events = told(stream)
    error, failed = events[-2:]
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert (error["code"], error["param"]) == ("upstream_stream_cut", None)
    assert error["error"] == {**error["error"], "code": error["code"], "message": error["message"], "param": None}
    assert failed["response"]["error"]["message"] == error["message"]
    assert failed["response"]["error"]["code"] == "server_error"
    await _expect_stored(connection, stream)
    backend.answer(*sent, Break())
    whole = await connection.ask("POST", "/v1/responses", request(stream=False))
    assert whole.status == 200
    assert normal(whole.data) == normal(_terminal(stream))


def _terminal(stream: bytes) -> bytes:
    """The bytes of the last event's Response."""
    *_, last, done = sse(stream)
    assert done == DONE
    assert payload(last)["type"] == "response.failed"
    return last.split(b'"response":', 1)[1][: -len(b"}\n\n")]


@pytest.mark.parametrize("count", range(RICH.index(RICH[-2]) + 1))
async def test_cut_after_each_chunk(backend: FakeBackend, connection: Connection, count: int) -> None:
    """An ``error`` event and ``response.failed``, items closed, stored as told; the same without a stream."""
    await _expect_failed(connection, backend, *(event(one) for one in RICH[:count]))


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(1, len(ANSWER)))
async def test_cut_at_any_byte(server: Server, backend: FakeBackend, port: int, at: int) -> None:
    """In the middle of an event too; and once the model has finished, a missing end costs nothing but the usage."""
    async with connected(port) as connection:
        if b"\n\n" not in ANSWER[COMPLETE:at] or at <= COMPLETE:
            await _expect_failed(connection, backend, ANSWER[:at])
        else:
            backend.answer(ANSWER[:at], Break())
            stream = await streamed(connection, request(stream=True))
            assert told(stream)[-1]["type"] == "response.completed"
            await _expect_stored(connection, stream)
