"""What to do about a call: play it, let it go live and record it, or wait for who records it already."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from antiphon.tape.claims import Claim
from antiphon.tape.faults import Filter
from antiphon.tape.last import is_whole
from antiphon.tape.model import End, Exchange, Headers, HttpResponse, Json, Response, ToolFailure, ToolResponse
from antiphon.tape.secrets import response_headers

#: Takes a response to be recorded, and calls back when it is written.
Take: TypeAlias = Callable[[Response, Callable[[], None]], None]

#: How often a waiting caller looks. Seconds.
_FIRST_LOOK, _LAST_LOOK = 0.005, 0.1


class Play(msgspec.Struct, frozen=True):
    """Answer with this. ``delays`` are the seconds before each read, None for at once."""

    exchange: Exchange
    filter: Filter | None = None
    delays: tuple[float, ...] | None = None
    path: str = ""

    @property
    def http(self) -> HttpResponse:
        """The response of an HTTP call."""
        assert isinstance(self.exchange.response, HttpResponse)
        return self.exchange.response


class Live(msgspec.Struct, frozen=True):
    """Let it go. ``recorder``, if there is one, is told all that comes back."""

    recorder: Recorder | None = None
    filter: Filter | None = None


class Wait:
    """Another process, or another task of this one, records this very call: wait, then take the step anew."""

    __slots__ = ("_again", "_claim")

    def __init__(self, claim: Callable[[], Claim | None], again: Callable[[Claim], Play | Live]) -> None:
        self._claim = claim
        self._again = again

    def step(self) -> Play | Live:
        """Blocks until it is decided."""
        pause = _FIRST_LOOK
        while (claim := self._claim()) is None:
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_LOOK)
        return self._again(claim)

    async def step_async(self) -> Play | Live:
        """The same, without blocking the loop."""
        pause = _FIRST_LOOK
        while (claim := self._claim()) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LAST_LOOK)
        return self._again(claim)


Step: TypeAlias = Play | Live | Wait


class Recorder:
    """Hears one live call, and puts it on the tape when it is over. Call ``end`` or ``abandon``, whatever happens."""

    __slots__ = ("_claim", "_done", "_gaps", "_headers", "_last", "_reads", "_start", "_status", "_take")

    def __init__(self, take: Take, claim: Claim | None = None) -> None:
        self._take = take
        self._claim = claim
        self._status = 0
        self._headers: Headers = ()
        self._reads: list[bytes] = []
        self._gaps: list[int] = []
        self._start = self._last = time.perf_counter()
        self._done = False

    def begin(self, status: int, headers: Headers) -> None:
        """The head of the answer is here."""
        self._status = status
        self._headers = headers

    def read(self, data: bytes) -> None:
        """One read of the body."""
        at = time.perf_counter()
        self._gaps.append(round((at - self._last) * 1000))
        self._last = at
        self._reads.append(data)

    def end(self, end: End = "complete", error: str = "") -> None:
        """The body is over, in this way. Only the first end counts."""
        whole = round((time.perf_counter() - self._start) * 1000)
        gaps = self._gaps
        summary = (gaps[0], round(statistics.median(gaps[1:] or gaps)), whole) if gaps else None
        self._finish(
            HttpResponse(
                self._status, response_headers(self._headers), tuple(self._reads), end, error, tuple(gaps), summary
            )
        )

    def left(self) -> None:
        """The reader is gone. One that leaves behind the last event of a stream has had all of it."""
        if not self._done:
            self.end("complete" if is_whole(self._reads) else "closed")

    def result(self, value: Json) -> None:
        """What a tool gave back."""
        self._finish(ToolResponse(value))

    def failed(self, failure: ToolFailure) -> None:
        """How a tool failed."""
        self._finish(ToolResponse(error=failure))

    def abandon(self) -> None:
        """There is nothing to record: the call never began."""
        if not self._done:
            self._done = True
            self._release()

    def _finish(self, response: Response) -> None:
        if not self._done:
            self._done = True
            self._take(response, self._release)

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
