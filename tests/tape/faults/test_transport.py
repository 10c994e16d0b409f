"""Faults on a transport: what they hold back is handed over when the stream breaks, and they spoil no recording."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.tape.engine import Settings, Tape
from antiphon.tape.faults import Faults, Filter, parse, parse_header
from antiphon.tape.model import End, Headers
from antiphon.tape.transport import TapeTransport, filtered

pytestmark = pytest.mark.anyio

_READS = [b"data: 1\n\nda", b"ta: 2\n\ndata: [DO"]


class _Request(msgspec.Struct, frozen=True):
    method: str = "POST"
    url: str = "http://127.0.0.1:9/v1/chat/completions"
    headers: Headers = ()
    body: bytes = b"{}"


class _Reply:
    status = 200
    headers: Headers = (("content-type", "text/event-stream"),)

    def __init__(self, reads: AsyncIterator[bytes]) -> None:
        self.reads = reads

    async def aclose(self, *, complete: bool = False) -> None:
        """Nothing is behind it."""


class _Door:
    """Answers with these reads, and then breaks or ends."""

    def __init__(self, *, breaks: bool) -> None:
        self._breaks = breaks

    async def send(self, request: Any) -> _Reply:
        assert isinstance(request, _Request)
        return _Reply(_reads(breaks=self._breaks))

    async def aclose(self) -> None:
        """Nothing is open."""


async def _reads(*, breaks: bool = True) -> AsyncIterator[bytes]:
    for data in _READS:
        yield data
    if breaks:
        raise ConnectionResetError("it broke")


def _broken(end: End, words: str) -> Exception:
    return RuntimeError(f"{end}: {words}")


async def _read(reads: Any) -> tuple[bytes, Exception | None]:
    got = b""
    try:
        async for data in reads:
            got += data
    except (RuntimeError, ConnectionResetError) as failure:
        return got, failure
    return got, None


async def test_what_a_fault_holds_is_handed_over_when_the_stream_breaks() -> None:
    """No byte that came is lost, and the failure is the one that happened."""
    got, failure = await _read(filtered(_reads(), Filter(parse_header("drop_done")), _broken))
    assert got == b"".join(_READS)
    assert isinstance(failure, ConnectionResetError)


async def test_half_an_event_is_what_was_asked_for_though_the_stream_breaks() -> None:
    """A cut that fell due is done: the break behind it does not show."""
    got, failure = await _read(filtered(_reads(), Filter(parse_header("cut=after_event:2,how:half_event")), _broken))
    assert got == b"data: 1\n\ndata: 2\n\ndata"
    assert failure is None


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_what_a_fault_cut_is_not_recorded(tmp_path: Path, how: str) -> None:
    """A recording is what the other side sent: a stream that a fault ended is none."""
    faults = Faults(parse({"cut": {"after_event": 1, "how": how}, "times": 1}))
    tape = Tape(Settings(str(tmp_path), "record"), environ={}, faults=faults)
    transport = TapeTransport(_Door(breaks=False), tape, broken=_broken, ending=lambda failure: None)
    for _ in range(2):
        reply = await transport.send(_Request())
        got, failure = await _read(reply.reads)
        await reply.aclose()
        assert (failure is not None) == (how == "reset" and got == b"data: 1\n\n")
        assert tape.stats().recorded == (got != b"data: 1\n\n")
    assert len(tape.shelf.entries()) == 1
    tape.close()
