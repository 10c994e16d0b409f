"""Answers that no parser reads: what a client is told of them is what the parser would tell.

The same answers come twice over one connection of each kind: where every head is parsed, and where those that came
before are known. Cut anywhere, both tell the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.upstream.door import ExchangeFailed, Request
from antiphon.upstream.network import Network
from antiphon.upstream.plain import whole_chunks
from tests.upstream.loopback import Peer, post, serving
from tests.upstream.test_push import _cut

_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_HEADS = (
    b"HTTP/1.1 200 OK\r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 200 \r\nX:  wide \r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 200 OK\nX: bare\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 201 Created\r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.0 200 OK\r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
)
_BODIES = (
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    b"3\r\na\r\n\r\n0\r\n\r\n",
    b"03\r\nabc\r\n0\r\nx: y\r\n\r\n",
    b"3;a=b\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcX\r\n0\r\n\r\n",
    b"zz\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n2\r\nd",
    b"hello",
)


class _Sink:
    def __init__(self) -> None:
        self.told = b""
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def read(self, data: bytes) -> None:
        assert data
        self.told += data

    def end(self) -> None:
        self.over.set_result("end")

    def fail(self, failure: ExchangeFailed) -> None:
        self.over.set_result(str(failure))


async def _told(network: Network, url: str, *, pushed: bool) -> tuple[Any, ...]:
    """Everything that a client is told of one answer."""
    try:
        reply: Any = await network.send(Request("POST", url, (), b"{}", repeatable=False))
    except ExchangeFailed as failure:
        return (str(failure),)
    sink = _Sink()
    if pushed:
        reply.push(sink)
        how = await sink.over
    else:
        how = "end"
        try:
            async for data in reply.reads:
                sink.read(data)
        except ExchangeFailed as failure:
            how = str(failure)
    await reply.aclose()
    return reply.status, reply.headers, sink.told, how


async def _both(head: bytes, body: bytes, cuts: Sequence[int], *, pushed: bool) -> list[tuple[Any, ...]]:
    """What is told of an answer that is parsed each time, and of the same once its head is known, as it may be."""
    answer, first = head + body, head + (b"hello" if b"Length" in head else _BODIES[0])

    async def handler(peer: Peer) -> None:
        while await peer.request():
            if b"first" in peer.head.encode():
                await peer.write(first)
                continue
            for piece in _cut(answer, cuts):
                await peer.write(piece)
                await asyncio.sleep(0.001)
            if not answer.endswith(b"0\r\n\r\n"):
                break

    told = []
    async with serving(handler) as url:
        for known in (False, True):
            network = Network()
            try:
                for _ in range(3 if known else 0):
                    await _told(network, url + "/x?first", pushed=pushed)
                if known:  # what the places learned is shared by hand: a path of its own says how to answer
                    heads = network._places[url + "/x?first"].heads
                    network._place(url + "/x").heads = heads
                told.append(await _told(network, url + "/x", pushed=pushed))
            finally:
                await network.aclose()
    return told


@pytest.mark.parametrize("pushed", [True, False])
@pytest.mark.parametrize("head", range(len(_HEADS)))
@pytest.mark.parametrize("body", range(len(_BODIES)))
def test_a_known_head_changes_nothing(head: int, body: int, pushed: bool) -> None:
    """Whole, after the head, within a chunk, between two: the same status, headers, bytes and end."""
    start = len(_HEADS[head])
    for cuts in ([], [start], [start, start + 8], [start + 8], [start + 4, start + 9]):
        parsed, known = asyncio.run(_both(_HEADS[head], _BODIES[body], cuts, pushed=pushed))
        assert known == parsed


_pieces = st.lists(
    st.sampled_from([b"0", b"1", b"3", b"a", b"A", b"abc", b"\r\n", b"\n", b"", b"+1", b"0x1"]), max_size=12
)


@example([b"3", b"\r\n", b"abc", b"\r\n", b"0", b"\r\n", b"\r\n"])
@example([b"0", b"\r\n", b"\r\n", b"1", b"\r\n", b"a", b"\r\n"])
@given(_pieces)
def test_whole_chunks_are_what_a_size_says(pieces: list[bytes]) -> None:
    """Read by sizes, one after the other, they give the same."""
    data = b"".join(pieces)
    found = whole_chunks(b"head" + data, 4)
    if found is None:
        return
    content, at, ended = b"", 0, False
    while at < len(data):
        assert not ended
        line = data.index(b"\r\n", at)
        digits = data[at:line]
        assert digits.isalnum()
        size = int(digits, 16)
        content += data[line + 2 : line + 2 + size]
        at = line + 2 + size + 2
        assert data[at - 2 : at] == b"\r\n"
        ended = size == 0
    assert (content, ended) == found
    assert at == len(data)


def test_a_head_is_known_when_it_has_come_twice() -> None:
    """And no parser reads the answers after it, until there is something that only it can read."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.write(_HEADS[0] + b"3\r\nabc\r\n0\r\n\r\n")

    async def main() -> list[bool]:
        network, parsed = Network(), []
        async with serving(handler) as url:
            for _ in range(4):
                reply: Any = await network.send(post(url))
                assert [data async for data in reply.reads] == [b"abc"]
                parsed.append(reply._payload is not None)
                await reply.aclose()
            await network.aclose()
        return parsed

    assert asyncio.run(main()) == [True, True, False, False]


def test_a_pause_stops_nothing_that_comes_after_it() -> None:
    """What comes in one read after a pause is told in that read, all of it."""

    async def main() -> bytes:
        go = asyncio.Event()

        async def handler(peer: Peer) -> None:
            await peer.request()
            await peer.begin()
            await peer.write(b"04\r\nwait\r\n")
            await go.wait()
            await peer.write(b"2\r\nab\r\n03\r\nabc\r\n0\r\n\r\n")

        network = Network()
        async with serving(handler) as url:
            reply: Any = await network.send(post(url))
            sink = _Sink()
            reply.push(sink)
            await asyncio.sleep(0.05)
            assert sink.told == b"wait"
            reply.pause()
            go.set()
            reply.resume()
            assert await asyncio.wait_for(sink.over, 5) == "end"
            await reply.aclose()
            await network.aclose()
        return sink.told

    assert asyncio.run(main()) == b"waitababc"
