"""The tape on a transport: what goes out through it is recorded or played.

A transport sends a request and gives a reply back whose body comes read by read (``Transport``); any that has this
shape will do. The reply is passed on while it is recorded: nothing is held back, and a reply that can push its reads
still does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import msgspec

from antiphon.tape.engine import Tape
from antiphon.tape.faults import Action, Send, Sleep, Stop
from antiphon.tape.faults import Filter as FaultFilter
from antiphon.tape.model import Boundary, End, Headers, HttpCall, HttpResponse
from antiphon.tape.refusal import RecordingMiss, Refusal
from antiphon.tape.steps import Live, Play, Recorder, Wait

_encode = msgspec.json.Encoder().encode
_EVENT_STREAM = "text/event-stream"


class Request(Protocol):
    """What is sent: a msgspec struct with at least these fields."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def body(self) -> bytes: ...


class Reply(Protocol):
    """What came back; it may have ``push``, ``pause`` and ``resume`` too."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def reads(self) -> AsyncIterator[bytes]: ...
    async def aclose(self, *, complete: bool = False) -> None: ...


class Transport(Protocol):
    """Moves requests out and replies in."""

    async def send(self, request: Any) -> Any: ...
    async def aclose(self) -> None: ...


class Sink(Protocol):
    """Takes pushed reads."""

    def read(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def fail(self, failure: Any) -> None: ...


#: Makes the exception that the transport's callers know, from how a body ended and a sentence.
Broken = Callable[[End, str], Exception]


def _is_ours(header: str) -> bool:
    return header[:11].lower() == "x-antiphon-"


def boundary_of(url: str) -> Boundary:
    """The boundary of a call to a model's back end, by its path."""
    return "embeddings" if url.partition("?")[0].rstrip("/").endswith("/embeddings") else "inference"


class TapeTransport:
    """A transport with a tape on it.

    ``broken`` makes the failure of a reply that a recording, or a fault, ends badly; ``ending`` reads such a failure of
    the transport's own: how the body ended, and in which words. ``provider`` names the other side of a URL. What the
    tape refuses is a reply with its status, or the exception that ``refused`` makes of it.
    """

    def __init__(
        self,
        inner: Transport,
        tape: Tape,
        *,
        broken: Broken,
        ending: Callable[[Exception], tuple[End, str] | None],
        provider: Callable[[str], str] = lambda url: "",
        boundary: Callable[[str], Boundary] = boundary_of,
        refused: Callable[[Refusal], Exception] | None = None,
    ) -> None:
        self._inner = inner
        self._tape = tape
        self._broken = broken
        self._ending = ending
        self._provider = provider
        self._boundary = boundary
        self._refused = refused

    async def send(self, request: Any) -> Any:
        """The reply, from the tape or from the other side."""
        url = request.url
        call = HttpCall(
            request.method, url, tuple(request.headers), request.body, self._boundary(url), self._provider(url)
        )
        try:
            step = self._tape.begin(call)
            if isinstance(step, Wait):
                step = await step.step_async()
        except Refusal as refusal:
            if self._refused is not None:
                raise self._refused(refusal) from refusal
            return _Refused(refusal)
        if isinstance(step, Play):
            return Playback(step, self._tape, self._broken)
        return await self._live(request, step)

    async def aclose(self) -> None:
        """Closes the transport beneath. The tape is its owner's to close."""
        await self._inner.aclose()

    async def _live(self, request: Any, step: Live) -> Any:
        recorder = step.recorder
        if any(_is_ours(name) for name, _ in request.headers):  # what is said to the tape stays here
            kept = tuple(pair for pair in request.headers if not _is_ours(pair[0]))
            request = msgspec.structs.replace(request, headers=kept)
        try:
            reply = await self._inner.send(request)
        except BaseException:
            if recorder is not None:
                recorder.abandon()
            raise
        if recorder is not None:
            recorder.begin(reply.status, tuple(reply.headers))
            teed = _PushedTee if hasattr(reply, "push") else _Tee
            reply = teed(reply, recorder, self._ending)
        return reply if step.filter is None else _Faulty(reply, step.filter, self._broken, recorder)


class _Refused:
    """The tape's own answer."""

    def __init__(self, refusal: Refusal) -> None:
        self.status = refusal.status
        self.headers = refusal.headers
        self.reads = _once(refusal.body)

    async def aclose(self, *, complete: bool = False) -> None:
        """There is nothing behind it."""


class Playback:
    """A recorded reply. Its reads come as they came, at once or in their time, and end as they ended."""

    def __init__(self, play: Play, tape: Tape, broken: Broken) -> None:
        self._play = play
        self._tape = tape
        self._broken = broken
        response = play.http
        self.status = response.status
        self.headers = response.headers
        self.reads = self._filtered() if play.filter is not None else self._reads()

    async def aclose(self, *, complete: bool = False) -> None:
        """No more reads."""
        await self.reads.aclose()

    async def _reads(self) -> Any:
        play, response = self._play, self._play.http
        for n, data in enumerate(response.reads):
            if play.delays is not None and n < len(play.delays):
                await asyncio.sleep(play.delays[n])
            yield data
        if response.end == "closed":
            yield closed_early(response, self._tape.overrun(play))
        elif response.end != "complete":
            raise self._broken(response.end, response.error or "it closed the connection, when this was recorded.")

    async def _filtered(self) -> Any:
        assert self._play.filter is not None
        async for data in filtered(self._reads(), self._play.filter, self._broken):
            yield data


def closed_early(response: HttpResponse, miss: RecordingMiss) -> bytes:
    """What a reader gets who goes on where the recorded one hung up: an error event, or the error's body."""
    kind = next((value for name, value in response.headers if name.lower() == "content-type"), "")
    return b"\n\ndata: " + miss.body + b"\n\n" if kind.startswith(_EVENT_STREAM) else miss.body


async def filtered(
    reads: AsyncIterator[bytes], fault: FaultFilter, broken: Broken, *, cut: Callable[[], None] = lambda: None
) -> Any:
    """The reads with a fault in them. ``cut`` is called when the fault ends them, and not the other side."""
    source = aiter(reads)
    failure: Exception | None = None
    over = False
    try:
        while not over:
            try:
                actions = fault.feed(await anext(source))
            except StopAsyncIteration:
                actions, over = fault.end("complete", ""), True
            except Exception as raised:  # noqa: BLE001 - raised again, behind what the fault still holds
                actions, over, failure = fault.end("error", ""), True, raised
            async for sent in _done(actions, broken, cut, failure):
                if sent is None:
                    return
                yield sent
    finally:
        close = getattr(reads, "aclose", None)
        if close is not None:
            await close()


async def _done(
    actions: Sequence[Action], broken: Broken, cut: Callable[[], None], failure: Exception | None = None
) -> Any:
    """Does what a fault says; None ends the body. ``failure`` is how it ended by itself."""
    for action in actions:
        if isinstance(action, Send):
            yield action.data
        elif isinstance(action, Sleep):
            await asyncio.sleep(action.seconds)
        elif isinstance(action, Stop):
            if failure is not None and action.end == "error":  # faults end a body otherwise
                raise failure
            cut()
            if action.end in ("reset", "error"):
                raise broken(action.end, action.error)
            yield None
            return


class _Faulty:
    """A live reply with a fault in it."""

    def __init__(self, reply: Any, fault: FaultFilter, broken: Broken, recorder: Recorder | None) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers = reply.headers
        # What a fault ended is not what the other side sends: it is no recording.
        cut = recorder.abandon if recorder is not None else lambda: None
        self.reads = filtered(reply.reads, fault, broken, cut=cut)

    async def aclose(self, *, complete: bool = False) -> None:
        """Ends the reply beneath."""
        await self._reply.aclose(complete=complete)


class _Tee:
    """A live reply that is recorded as it passes. It is its own ``reads``."""

    def __init__(self, reply: Any, recorder: Recorder, ending: Callable[[Exception], tuple[End, str] | None]) -> None:
        self._reply = reply
        self._recorder = recorder
        self._ending = ending
        self._source = reply.reads
        self.status = reply.status
        self.headers = reply.headers

    @property
    def reads(self) -> AsyncIterator[bytes]:
        """The body, one item per network read."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data: bytes = await self._source.__anext__()
        except StopAsyncIteration:
            self._recorder.end()
            raise
        except Exception as failure:
            self._failed(failure)
            raise
        self._recorder.read(data)
        return data

    async def aclose(self, *, complete: bool = False) -> None:
        """Ends the exchange, and with it the recording: one that its reader leaves says so."""
        if complete:
            self._recorder.end()
        else:
            self._recorder.left()
        await self._reply.aclose(complete=complete)

    def _failed(self, failure: Exception) -> None:
        end, words = self._ending(failure) or ("error", type(failure).__name__)
        self._recorder.end(end, words)


class _PushedTee(_Tee):
    """The same over a reply that pushes."""

    def push(self, sink: Sink) -> None:
        """Each read goes to the sink in the moment it comes, and onto the tape."""
        self._reply.push(_TeeSink(sink, self._recorder, self._failed))

    def pause(self) -> None:
        """No more reads for now."""
        self._reply.pause()

    def resume(self) -> None:
        """Go on."""
        self._reply.resume()


class _TeeSink:
    __slots__ = ("_failed", "_recorder", "_sink")

    def __init__(self, sink: Sink, recorder: Recorder, failed: Callable[[Exception], None]) -> None:
        self._sink = sink
        self._recorder = recorder
        self._failed = failed

    def read(self, data: bytes) -> None:
        self._recorder.read(data)
        self._sink.read(data)

    def end(self) -> None:
        self._recorder.end()
        self._sink.end()

    def fail(self, failure: Any) -> None:
        self._failed(failure)
        self._sink.fail(failure)


async def _once(data: bytes) -> Any:
    yield data
