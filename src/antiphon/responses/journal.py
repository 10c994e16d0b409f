"""The append-only log of one run: it numbers events, encodes each once, keeps them and publishes them to readers.

It does not interpret events. Everybody who wants to know something about a response reads here: the live stream, the
one that resumes, the answer of ``stream: false``, and storage.

A live reader is a sink: ``extend`` calls it with each batch, in the same breath. A reader that is slow, or comes late,
uses ``follow`` and is woken once per batch at most. Both see the same: every frame beyond the number they asked for, in
order, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from antiphon.errors import InternalError
from antiphon.storage.model import Segment, Step
from antiphon.wire import segments
from antiphon.wire.encode import Dialect, EventEncoder, Frame
from antiphon.wire.events import AnyEvent, Delta

#: Called with each batch of frames as it is published. Must not raise and must not wait; it may attach and detach.
Sink = Callable[[Sequence[Frame]], None]


class ResponseTooLarge(InternalError):
    """The run wrote more than one response may hold."""


class Journal:
    """Events of one response in order, encoded; an event's place is its ``sequence_number``."""

    def __init__(self, dialect: Dialect, max_bytes: int) -> None:
        self.frames: list[Frame] = []
        self.steps: list[Step] = []
        self.dialect: Dialect = dialect
        self.ended = False
        """Nothing will be added any more."""
        self._encoder = EventEncoder(dialect)
        self.size = 0
        """Bytes of all frames."""
        self._max_bytes = max_bytes
        self._sinks: tuple[tuple[Sink, int], ...] = ()
        """Each with its first number. Replaced, never changed: a sink may attach and detach while it is called."""
        self._at_end: list[Callable[[], None]] = []
        self._news: asyncio.Event | None = None
        self._holds = 0
        self._flow: asyncio.Event | None = None
        """While somebody holds the log: what the run waits for."""

    # -- writing

    def extend(self, batch: Sequence[AnyEvent]) -> None:
        """Number, encode, keep and publish. Raises ``ResponseTooLarge`` before anything of the batch is kept."""
        assert not self.ended, "nothing follows the end"
        frames, size = self._number(batch)
        if size > self._max_bytes:
            raise self._too_large()
        if frames:
            self._keep(frames, size)

    def add(self, delta: Delta) -> bool:
        """``extend`` by one piece of text, which is what nearly all batches are. False, and nothing is kept, when the
        log has no room for it."""
        number = len(self.frames)
        frame = self._encoder.text(delta, number)
        size = self.size + len(frame)
        if size > self._max_bytes:
            return False
        self.size = size
        self.frames.append(frame)
        for sink, start in self._sinks:
            if start <= number:
                sink((frame,))
        if self._news is not None:
            self._wake()
        return True

    def number(self, batch: Sequence[AnyEvent], *, over_limit: bool = False) -> list[Frame]:
        """What ``batch`` becomes if it is published next: what ends a response is stored before it is told.

        Raises ``ResponseTooLarge``, unless the limit is not to count: what ends a response must always have room.
        """
        frames, size = self._number(batch)
        if size > self._max_bytes and not over_limit:
            raise self._too_large()
        return frames

    def publish(self, frames: Sequence[Frame]) -> None:
        """Keep what ``number`` made and hand it to every reader. Nothing may have been added in between."""
        assert not self.ended, "nothing follows the end"
        if frames:
            self._keep(frames, self.size + sum(map(len, frames)))

    def end(self, last: Sequence[Frame] = ()) -> None:
        """Publish the last frames and let the readers go."""
        self.ended = True
        if last:
            self._keep(last, self.size + sum(map(len, last)))
        self._sinks = ()
        self._wake()
        self.release_all()
        callbacks, self._at_end = self._at_end, []
        for callback in callbacks:
            callback()

    def _number(self, batch: Sequence[AnyEvent]) -> tuple[list[Frame], int]:
        """The batch encoded, and the size of the log with it."""
        frames = self._encoder.frames(batch, len(self.frames))
        return frames, self.size + sum(map(len, frames))

    def _too_large(self) -> ResponseTooLarge:
        return ResponseTooLarge(
            f"The response grew over max_response_bytes ({self._max_bytes} bytes) and was ended there."
        )

    def _keep(self, frames: Sequence[Frame], size: int) -> None:
        first = len(self.frames)
        self.size = size
        self.frames.extend(frames)
        for sink, start in self._sinks:
            if start <= first:
                sink(frames)
            elif start < first + len(frames):
                sink(frames[start - first :])
        if self._news is not None:
            self._wake()

    # -- reading

    def attach(self, sink: Sink, *, after: int = -1) -> None:
        """Call ``sink`` with all that is there beyond number ``after``, then with each batch to come."""
        start = max(after + 1, 0)
        backlog = self.frames[start:]
        if backlog:
            sink(backlog)
        if not self.ended:
            self._sinks = (*self._sinks, (sink, start))

    def detach(self, sink: Sink) -> None:
        """No more calls to ``sink``, from the next batch on."""
        self._sinks = tuple(one for one in self._sinks if one[0] != sink)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call this when the log ends, after the last entries; at once when it has ended. It must not raise."""
        if self.ended:
            callback()
        else:
            self._at_end.append(callback)

    async def follow(self, *, after: int = -1) -> AsyncGenerator[Sequence[Frame], None]:
        """Batches beyond number ``after``, until the log ends. As slow as its reader, and harmless to the run."""
        at = max(after + 1, 0)
        while True:
            batch = self.frames[at:]
            if batch:
                at += len(batch)
                yield batch
            elif self.ended:
                return
            else:
                if self._news is None:
                    self._news = asyncio.Event()
                await self._news.wait()

    async def wait(self) -> None:
        """Until the log has ended."""
        async for _ in self.follow(after=len(self.frames) - 1):
            pass

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    # -- the only reader of an unstored run may ask it to wait

    def hold(self) -> None:
        """A reader cannot take more now."""
        if not self.ended:
            self._holds += 1
            if self._flow is None:
                self._flow = asyncio.Event()

    def release(self) -> None:
        """It can again."""
        self._holds = max(0, self._holds - 1)
        if not self._holds:
            self.release_all()

    def release_all(self) -> None:
        """Nobody is waited for any more."""
        self._holds = 0
        if self._flow is not None:
            self._flow.set()
            self._flow = None

    @property
    def held(self) -> bool:
        """Whether some reader asked to wait."""
        return self._holds > 0

    async def room(self) -> None:
        """Until every reader can take more."""
        while self._flow is not None:
            await self._flow.wait()

    # -- storing

    def segment(self, last: Sequence[Frame]) -> Segment:
        """The whole log, these last frames included, in its stored form."""
        frames = [*self.frames, *last]
        return Segment(first_seq=0, last_seq=len(frames) - 1, attempt=1, data=segments.encode(frames))
