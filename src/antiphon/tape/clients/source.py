"""Where the bytes of an answer come from, a recording or the other side; and the one way in which they are handed over.

A source tells what to do next: send, sleep, stop. ``SyncBody`` and ``AsyncBody`` do it, and are all that differs
between sync and async. What is recorded is what the other side sent, read by read; faults change only what the reader
gets of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Iterator, Sequence
from typing import TypeAlias

from antiphon.tape.clients.call import Place
from antiphon.tape.clients.coding import Decoder
from antiphon.tape.clients.endings import of_exception
from antiphon.tape.faults import Action, Send, Sleep, Stop
from antiphon.tape.model import End
from antiphon.tape.steps import Live, Play

#: Makes the exception with which a client's library tells such an end.
Failure: TypeAlias = Callable[[End, str], Exception]

#: An error's body up to this length is read before it is handed over. Bytes.
_REFUSAL = 256 * 1024
#: After this marker a reader of server-sent events reads no further, and the answer is whole.
_DONE = b"data: [DONE]"
_TAIL = 32


class Played:
    """The reads of a recording, in their time."""

    def __init__(self, place: Place, play: Play) -> None:
        self._place = place
        self._play = play
        self._reads = iter(enumerate(play.http.reads))
        self.over = False

    def more(self) -> Sequence[Action]:
        """What comes next; never empty, and a ``Stop`` in the end."""
        found = next(self._reads, None)
        response, through = self._play.http, self._play.filter
        if found is None:
            self.over = True
            end = Stop(response.end, response.error)
            return through.end(end.end, end.error) or [end] if through is not None else [end]
        number, data = found
        actions: list[Action] = list(through.feed(data)) if through is not None else [Send(data)]
        delays = self._play.delays
        if delays is not None and number < len(delays):
            actions.insert(0, Sleep(delays[number]))
        return actions

    def overrun(self) -> str:
        """For who reads on where the recorded reader hung up: the report of that miss."""
        return str(self._place.tape.overrun(self._play, scope=self._place.scope))

    def closed(self) -> None:
        """The reader is gone."""

    def cut(self) -> None:
        """A fault ended it."""


class Relayed:
    """A live body: the recorder hears it as it is, the reader gets what the faults leave of it."""

    def __init__(self, place: Place, live: Live, decoder: Decoder | None = None) -> None:
        self.place = place
        self._recorder = live.recorder
        self._filter = live.filter
        self._decoder = decoder
        self._tail = b""
        self.over = False
        self.failure: Exception | None = None
        _open.add(self)

    def feed(self, data: bytes) -> Sequence[Action]:
        """A read of the other side's. Raises ``ValueError`` when it is not coded as it says."""
        return self._pass(self._decoder.feed(data) if self._decoder is not None else data)

    def end(self, failure: Exception | None = None) -> Sequence[Action]:
        """The other side's end, by itself or with this exception."""
        rest = self._pass(self._decoder.flush()) if self._decoder is not None and failure is None else ()
        end, error = of_exception(failure) if failure is not None else ("complete", "")
        self.failure = failure
        self._finish(end, error)
        last = self._filter.end(end, error) if self._filter is not None else ()
        return [*rest, *(last or [Stop(end, error)])]

    def closed(self) -> None:
        """The reader is gone: it had enough, or all there was."""
        self._finish("complete" if self._tail.rstrip().endswith(_DONE) else "closed", "")

    def cut(self) -> None:
        """A fault ended it for the reader: what came is not the whole, and the other side is not to blame."""
        self.failure = None
        if not self.over and self._recorder is not None:
            self._recorder.abandon()
        self._forget()

    def overrun(self) -> str:
        """Said where a fault made the reader go away."""
        return "the stream was cut"

    def _pass(self, data: bytes) -> Sequence[Action]:
        if not data:
            return ()
        if self._recorder is not None:
            self._recorder.read(data)
        self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]
        return self._filter.feed(data) if self._filter is not None else (Send(data),)

    def _finish(self, end: End, error: str) -> None:
        if not self.over and self._recorder is not None:
            self._recorder.end(end, error)
        self._forget()

    def _forget(self) -> None:
        self.over = True
        _open.drop(self)


class _Open:
    """The live bodies that are still coming."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: set[Relayed] = set()

    def add(self, body: Relayed) -> None:
        with self._lock:
            self._bodies.add(body)

    def drop(self, body: Relayed) -> None:
        with self._lock:
            self._bodies.discard(body)

    def all(self) -> list[Relayed]:
        with self._lock:
            return list(self._bodies)


_open = _Open()


def live() -> int:
    """How many live bodies are still coming."""
    return len(_open.all())


def hang_up(scopes: Container[str]) -> None:
    """Bodies of these scopes that nobody has read to their end, or closed: they are over."""
    for body in _open.all():
        if body.place.scope in scopes:
            body.closed()


class Body:
    """What is due to the reader of one answer. ``patience``: the longest silence its client stands, in seconds."""

    def __init__(self, source: Played | Relayed, failure: Failure, patience: float | None = None) -> None:
        self._source = source
        self._failure = failure
        self._patience = patience
        self._due: deque[Action] = deque()
        self._error: Exception | None = None
        self._over = False

    def _take(self) -> bytes | float | None:
        """Bytes to hand over, empty at the end; or seconds to wait; or None, when more is to be fetched."""
        if self._error is not None:
            raise self._error
        if self._over:
            return b""
        if not self._due:
            return None
        action = self._due.popleft()
        if isinstance(action, Send):
            return action.data or None
        if isinstance(action, Sleep):
            return self._wait(action.seconds)
        return self._stop(action)

    def _hear(self, source: Relayed, data: bytes) -> None:
        try:
            self._due.extend(source.feed(data))
        except ValueError as why:
            self._due.extend(source.end(self._failure("error", f"DecodingError: {why}")))

    def _wait(self, seconds: float) -> float:
        if self._patience is not None and seconds > self._patience:
            self._due.clear()
            self._due.append(Stop("error", "ReadTimeout: nothing came"))
            self._source.cut()
            return self._patience
        return seconds

    def _stop(self, stop: Stop) -> bytes:
        self._over = True
        self._due.clear()
        source = self._source
        if isinstance(source, Relayed):
            if not source.over:
                source.cut()
            elif source.failure is not None:
                self._error = source.failure
                raise self._error
        if stop.end == "complete":
            return b""
        end, error = ("error" if stop.end == "closed" else stop.end), stop.error
        self._error = self._failure(end, source.overrun() if stop.end == "closed" else error)
        raise self._error

    def closed(self) -> None:
        """The reader is gone."""
        self._source.closed()


class SyncBody(Body):
    """The iterator of one answer. ``reads`` is what the other side sends, where it is live."""

    def __init__(
        self, source: Played | Relayed, failure: Failure, patience: float | None, reads: Iterator[bytes] | None = None
    ) -> None:
        super().__init__(source, failure, patience)
        self._reads = reads

    def __iter__(self) -> SyncBody:
        return self

    def __next__(self) -> bytes:
        while True:
            due = self._take()
            if due is None:
                self._fetch()
            elif isinstance(due, float):
                time.sleep(due)
            elif due:
                return due
            else:
                raise StopIteration

    def read_ahead(self) -> None:
        """All of it is fetched now, up to a limit: the body of a refusal, which clients that try again throw away."""
        size = 0
        while not self._source.over and size < _REFUSAL:
            size += self._fetch()

    def _fetch(self) -> int:
        source = self._source
        if isinstance(source, Played):
            self._due.extend(source.more())
            return 0
        assert self._reads is not None
        try:
            data = next(self._reads)
        except StopIteration:
            self._due.extend(source.end())
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is raised again when its turn comes
            self._due.extend(source.end(failure))
        else:
            self._hear(source, data)
            return len(data)
        return 0


class AsyncBody(Body):
    """The same for a loop."""

    def __init__(
        self,
        source: Played | Relayed,
        failure: Failure,
        patience: float | None,
        reads: AsyncIterator[bytes] | None = None,
    ) -> None:
        super().__init__(source, failure, patience)
        self._reads = reads

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> bytes:
        while True:
            due = self._take()
            if due is None:
                await self._fetch()
            elif isinstance(due, float):
                await pause(due)
            elif due:
                return due
            else:
                raise StopAsyncIteration

    async def read_ahead(self) -> None:
        """All of it is fetched now, up to a limit: the body of a refusal, which clients that try again throw away."""
        size = 0
        while not self._source.over and size < _REFUSAL:
            size += await self._fetch()

    async def _fetch(self) -> int:
        source = self._source
        if isinstance(source, Played):
            self._due.extend(source.more())
            # A reader of the network gives way to other tasks now and then, and so does one of a recording.
            await pause(0.0)
            return 0
        assert self._reads is not None
        try:
            data = await anext(self._reads)
        except StopAsyncIteration:
            self._due.extend(source.end())
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is raised again when its turn comes
            self._due.extend(source.end(failure))
        else:
            self._hear(source, data)
            return len(data)
        return 0


async def pause(seconds: float) -> None:
    """Sleep, on whichever loop this runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import anyio

        await anyio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)
