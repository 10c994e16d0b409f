"""However the network cuts the bytes of the back end, the client gets the same bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.live.rawhttp import Connection, connected
from tests.live.streams import RICH, normal, pieces, request, streamed, told
from tests.server import Server
from tests.upstreams import FakeBackend, Step

pytestmark = pytest.mark.anyio

ASKED = request(stream=True, store=False)


def tricky(end: bytes) -> bytes:
    """The rich answer with every liberty that the format of events allows."""
    bodies = [json.dumps(one, ensure_ascii=False).encode() for one in RICH]
    blocks = [b"data: " + body for body in bodies]
    blocks[0] = b"event: message" + end + b"id: 7" + end + blocks[0] + end + b"retry: 9"
    blocks[1] = b"data:" + bodies[1]
    left, right = bodies[2].split(b", ", 1)
    blocks[2] = b"data: " + left + b"," + end + b": between" + end + b"data: " + right
    blocks[3:3] = [b": a comment with data: {}", b"data", b""]
    return b"\xef\xbb\xbf: begin" + end + end + (end + end).join(blocks) + end + end + b"data: [DONE]" + end + end


TRICKY = tricky(b"\r\n")


async def _client_bytes(backend: FakeBackend, connection: Connection, *sent: Step) -> bytes:
    backend.answer(*sent)
    return normal(await streamed(connection, ASKED))


async def _expected(backend: FakeBackend, connection: Connection) -> bytes:
    """What the same answer gives, an event in each read."""
    backend.answer(*RICH)
    plain = await streamed(connection, ASKED)
    thought, said, *calls = told(plain)[-1]["response"]["output"]
    assert thought["content"][0]["text"] == "Größe? 😀"
    assert said["content"][0]["text"] == 'Ja, 日本 "so" \\ 𝄞'
    assert [call["arguments"] for call in calls] == ['{"ort": "Zürich\\n"}', '{"ort": null}']
    return normal(plain)


@pytest.mark.parametrize("part", range(4))
async def test_cut_once_anywhere(backend: FakeBackend, connection: Connection, part: int) -> None:
    """One cut, at each byte in turn: in a CRLF, in a character, in a tag, in ``[DONE]``."""
    expected = await _expected(backend, connection)
    for at in range(1 + part, len(TRICKY), 4):
        assert await _client_bytes(backend, connection, *pieces(TRICKY, [at])) == expected, at


async def test_cut_everywhere(backend: FakeBackend, connection: Connection) -> None:
    """Every byte by itself."""
    expected = await _expected(backend, connection)
    assert await _client_bytes(backend, connection, *pieces(TRICKY, range(len(TRICKY)))) == expected


@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(end=st.sampled_from([b"\n", b"\r\n", b"\r"]), cuts=st.sets(st.integers(1, 1500), max_size=30))
async def test_cut_in_many_places(server: Server, backend: FakeBackend, port: int, end: bytes, cuts: set[int]) -> None:
    """Any number of cuts at any places, whatever ends the lines."""
    async with connected(port) as connection:
        expected = await _expected(backend, connection)
        answer = tricky(end)
        cuts = {cut for cut in cuts if cut < len(answer)}
        assert await _client_bytes(backend, connection, *pieces(answer, cuts)) == expected
