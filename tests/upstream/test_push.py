"""A body that is pushed: whatever reads its chunks come in, the sink gets the body, and the end once.

Chunks that are reads of their own do not pass the parser, so what it would say of them is said here.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.upstream.door import ExchangeFailed
from antiphon.upstream.plain import Heads
from antiphon.upstream.push import Push, PushingProtocol, only_chunk

_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n%b\r\n"
#: Ways to write the size of a chunk that a parser takes.
_SIZES = (b"%x\r\n", b"%X\r\n", b"0%x\r\n", b"%x;a=b\r\n")


class _Heard:
    """The sink."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.ends = 0
        self.failures: list[ExchangeFailed] = []

    def read(self, data: bytes) -> None:
        self.reads.append(data)

    def end(self) -> None:
        self.ends += 1

    def fail(self, failure: ExchangeFailed) -> None:
        self.failures.append(failure)


class _Wire(asyncio.Transport):
    """Goes nowhere."""

    def close(self) -> None:
        pass

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False


async def _heard(reads: Sequence[bytes], *, head: bytes) -> _Heard:
    """What a sink hears of a body in these reads, the head of the answer having come alone."""
    protocol, heard = PushingProtocol(asyncio.get_running_loop()), _Heard()
    protocol.connection_made(_Wire())
    protocol.set_response_params(read_until_eof=True)
    protocol.data_received(head)
    message: RawResponseMessage
    payload: StreamReader
    message, payload = await protocol.read()
    plain = not message.compression
    push = Push(protocol, payload, heard, lambda why: ExchangeFailed("broken", str(why)), plain=plain, held=b"")
    for read in reads:
        protocol.data_received(read)
    assert push.ended or not heard.ends
    return heard


def _cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    ends = sorted({end % (len(data) + 1) for end in at} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Chunks, and the reads in which they come: mostly one each, as those of a model do."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    sizes = draw(st.lists(st.sampled_from(_SIZES), min_size=len(chunks), max_size=len(chunks)))
    wire = [size % len(chunk) + chunk + b"\r\n" for size, chunk in zip(sizes, chunks, strict=True)]
    wire.append(draw(st.sampled_from([b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n"])))
    reads: list[bytes] = []
    for one in wire:
        reads += _cut(one, draw(st.lists(st.integers(0, 60), max_size=2)))
    if len(reads) > 1 and draw(st.booleans()):  # two that came together
        at = draw(st.integers(0, len(reads) - 2))
        reads[at : at + 2] = [reads[at] + reads[at + 1]]
    return chunks, reads


#: Half a size at the end of a read, and a read that looks like a chunk but is the other half and what follows.
_TRAP = ([b"abc", b"XX\r\n" + b"." * 14], [b"3\r\nabc\r\n1", b"2\r\nXX\r\n", b"." * 14 + b"\r\n", b"0\r\n\r\n"])


@example(_TRAP)
@given(_bodies())
def test_any_reads_give_the_body(body: tuple[list[bytes], list[bytes]]) -> None:
    """Nothing is lost, nothing is told twice, and the end comes once, after everything."""
    chunks, reads = body
    heard = asyncio.run(_heard(reads, head=_HEAD % b""))
    assert b"".join(heard.reads) == b"".join(chunks)
    assert (heard.ends, heard.failures) == (1, [])


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4))
def test_a_compressed_body_is_always_parsed(pieces: list[bytes]) -> None:
    """A chunk of it is not what the sink is to hear."""
    pack = zlib.compressobj()
    parts = [pack.compress(piece) + pack.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    reads = [b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, pack.flush())] + [b"0\r\n\r\n"]
    heard = asyncio.run(_heard(reads, head=_HEAD % b"content-encoding: deflate\r\n"))
    assert b"".join(heard.reads) == b"".join(pieces)
    assert heard.ends == 1


@given(st.binary(max_size=20) | st.from_regex(rb"[+ 0-9a-fA-Fx_;]{0,6}\r\n[^\0]{0,20}\r\n"))
def test_only_a_whole_chunk_is_one(data: bytes) -> None:
    """Its size in hexadecimal digits and nothing else, so many bytes and at least one, and the line end."""
    chunk = only_chunk(data)
    if chunk is not None:
        digits = data.partition(b"\r\n")[0]
        assert re.fullmatch(rb"[0-9A-Fa-f]+", digits)
        assert int(digits, 16) == len(chunk) > 0
        assert data == digits + b"\r\n" + chunk + b"\r\n"


def test_chunks_of_their_own_are_not_parsed() -> None:
    """That is what it is for: the third such read and all after it reach the sink as they are, and each at once."""
    chunks = [b"data: %d\n\n" % n for n in range(9)]
    reads = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    heard = asyncio.run(_heard(reads, head=_HEAD % b""))
    assert heard.reads == chunks
    assert heard.ends == 0


class _Asker:
    """Has all the time in the world."""

    def patience(self) -> float:
        return 600.0

    def silent(self) -> None:
        raise AssertionError

    def parsed_by(self, payload: StreamReader) -> None:
        raise AssertionError

    def ended(self) -> None:
        raise AssertionError

    def lost(self) -> None:
        raise AssertionError


async def _asked(answers: Sequence[Sequence[bytes]], between: bytes = b"") -> tuple[list[bytes], int]:
    """The bodies of the answers that came over one connection, each in these reads, and how many parsers read them."""
    protocol, bodies, parsers = PushingProtocol(asyncio.get_running_loop()), [], []
    protocol.connection_made(_Wire())
    for reads in answers:
        protocol.ask(_Asker(), b"", 600.0, Heads())
        parsers += [] if protocol._parser in parsers else [protocol._parser]
        for read in reads:
            protocol.data_received(read)
        _, payload = await protocol.read()
        bodies.append(await payload.read())
        protocol.dismiss()
        if between:
            protocol.data_received(between)
    protocol.connection_lost(None)
    return bodies, len(parsers)


@given(st.lists(st.tuples(_bodies(), st.lists(st.integers(0, 300), max_size=4)), min_size=2, max_size=3))
def test_one_parser_reads_answer_after_answer(answers: list[tuple[tuple[list[bytes], list[bytes]], list[int]]]) -> None:
    """However they are cut, and where the last one's end leaves any doubt, another parser reads the next."""
    wire = [_cut(_HEAD % b"" + b"".join(reads), at) for (_, reads), at in answers]
    bodies, parsers = asyncio.run(_asked(wire))
    assert bodies == [b"".join(chunks) for (chunks, _), _ in answers]
    assert 1 <= parsers <= len(answers)


def test_a_parser_is_kept_only_at_the_end_of_an_answer() -> None:
    """Half an answer that nobody asked for is not the beginning of the next one."""
    answer = [_HEAD % b"" + b"2\r\nok\r\n0\r\n\r\n"]
    assert asyncio.run(_asked([answer] * 3)) == ([b"ok"] * 3, 1)
    assert asyncio.run(_asked([answer] * 3, between=b"HTTP/1.1 200 O")) == ([b"ok"] * 3, 3)
    sized = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    assert asyncio.run(_asked([sized] * 3)) == ([b"ok"] * 3, 3)


@pytest.mark.parametrize("size", [b"3", b"A", b"a", b"fF"])
def test_a_chunk_is_known_by_its_size(size: bytes) -> None:
    """Back ends write the digits large or small."""
    body = b"x" * int(size, 16)
    assert only_chunk(size + b"\r\n" + body + b"\r\n") == body
    assert only_chunk(b"0" + size + b"\r\n" + body + b"\r\n") is None  # which the parser reads
