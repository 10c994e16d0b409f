"""The append-only log of one run: it numbers events, encodes each once, keeps them and publishes them to readers.

It does not interpret events. Everybody who wants to know something about a response reads here: the live stream, the
one that resumes, the answer of ``stream: false``, and storage.

A live reader is a sink: ``extend`` calls it with each batch, in the same breath. A reader that is slow, or comes late,
uses ``follow`` and is woken once per batch at most. Both see the same: every entry beyond the number they asked for, in
order, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from antiphon.errors import InternalError
from antiphon.storage.model import Segment, Step
from antiphon.wire import segments
from antiphon.wire.encode import Dialect, Entry, EventEncoder
from antiphon.wire.events import AnyEvent, Delta

#: Called with each batch of entries as it is published. Must not raise and must not wait; it may attach and detach.
Sink = Callable[[Sequence[Entry]], None]


class ResponseTooLarge(InternalError):
    """The run wrote more than one response may hold."""


class Journal:
    """Events of one response in order; an event's place is its ``sequence_number``."""

    def __init__(self, *, dialect: Dialect, max_bytes: int) -> None:
        self.events: list[AnyEvent] = []
        self.entries: list[Entry] = []
        self.steps: list[Step] = []
        self.dialect: Dialect = dialect
        self.ended = False
        """Nothing will be added any more."""
        self._encode = EventEncoder(dialect).encode
        self._size = 0
        self._max_bytes = max_bytes
        self._sinks: tuple[tuple[Sink, int], ...] = ()
        """Each with its first number. Replaced, never changed: a sink may attach and detach while it is called."""
        self._at_end: list[Callable[[], None]] = []
        self._news: asyncio.Event | None = None
        self._holds = 0
        self._flow = asyncio.Event()
        self._flow.set()

    # -- writing

    def extend(self, batch: Sequence[AnyEvent]) -> None:
        """Number, encode, keep and publish. Raises ``ResponseTooLarge`` before anything of the batch is kept."""
        assert not self.ended, "nothing follows the end"
        if not batch:
            return
        entries, size = self._number(batch)
        if size > self._max_bytes:
            raise self._too_large()
        self._keep(batch, entries, size)

    def add(self, delta: Delta) -> bool:
        """``extend`` by one piece of text, which is what nearly all batches are. False, and nothing is kept, when the
        log has no room for it."""
        number = len(self.entries)
        entry = self._encode(delta, number)
        size = self._size + len(entry.data)
        if size > self._max_bytes:
            return False
        self._size = size
        self.events.append(delta)
        self.entries.append(entry)
        for sink, start in self._sinks:
            if start <= number:
                sink((entry,))
        if self._news is not None:
            self._wake()
        return True

    def number(self, batch: Sequence[AnyEvent], *, over_limit: bool = False) -> list[Entry]:
        """What ``batch`` would become if it were published now: for events that must be stored before they are told.

        Raises ``ResponseTooLarge``, unless the limit is not to count: what ends a response must always have room.
        """
        entries, size = self._number(batch)
        if size > self._max_bytes and not over_limit:
            raise self._too_large()
        return entries

    def publish(self, batch: Sequence[AnyEvent], entries: Sequence[Entry]) -> None:
        """Keep what ``number`` made and hand it to every reader. Nothing may have been added in between."""
        if not batch:
            return
        self._keep(batch, entries, self._size + sum([len(entry.data) for entry in entries]))

    def end(self, last: Sequence[AnyEvent] = (), entries: Sequence[Entry] | None = None) -> None:
        """Publish the last events, however large the log is, and let the readers go."""
        self.ended = True
        if last:
            self.publish(last, self.number(last, over_limit=True) if entries is None else entries)
        self._sinks = ()
        self._wake()
        self.release_all()
        callbacks, self._at_end = self._at_end, []
        for callback in callbacks:
            callback()

    def _number(self, batch: Sequence[AnyEvent]) -> tuple[list[Entry], int]:
        """The batch encoded, and the size of the log with it."""
        encode, number, size = self._encode, len(self.entries), self._size
        entries: list[Entry] = []
        for event in batch:
            entry = encode(event, number)
            entries.append(entry)
            number += 1
            size += len(entry.data)
        return entries, size

    def _too_large(self) -> ResponseTooLarge:
        return ResponseTooLarge(
            f"The response grew over max_response_bytes ({self._max_bytes} bytes) and was ended there."
        )

    def _keep(self, batch: Sequence[AnyEvent], entries: Sequence[Entry], size: int) -> None:
        first = len(self.entries)
        self._size = size
        self.events.extend(batch)
        self.entries.extend(entries)
        for sink, start in self._sinks:
            if start <= first:
                sink(entries)
            elif start < first + len(entries):
                sink(entries[start - first :])
        if self._news is not None:
            self._wake()

    # -- reading

    def attach(self, sink: Sink, *, after: int = -1) -> None:
        """Call ``sink`` with all that is there beyond number ``after``, then with each batch to come."""
        start = max(after + 1, 0)
        backlog = self.entries[start:]
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

    async def follow(self, *, after: int = -1) -> AsyncGenerator[Sequence[Entry], None]:
        """Batches beyond number ``after``, until the log ends. As slow as its reader, and harmless to the run."""
        at = max(after + 1, 0)
        while True:
            batch = self.entries[at:]
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
        async for _ in self.follow(after=len(self.entries) - 1):
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
            self._flow.clear()

    def release(self) -> None:
        """It can again."""
        self._holds = max(0, self._holds - 1)
        if not self._holds:
            self._flow.set()

    def release_all(self) -> None:
        """Nobody is waited for any more."""
        self._holds = 0
        self._flow.set()

    @property
    def held(self) -> bool:
        """Whether some reader asked to wait."""
        return self._holds > 0

    async def room(self) -> None:
        """Until every reader can take more."""
        await self._flow.wait()

    # -- storing

    def segment(self, last: Sequence[AnyEvent], entries: Sequence[Entry]) -> Segment:
        """The whole log, these last events included, in its stored form."""
        events, all_entries = [*self.events, *last], [*self.entries, *entries]
        data = segments.encode(events, all_entries, self.dialect)
        return Segment(first_seq=0, last_seq=len(all_entries) - 1, attempt=1, data=data)
