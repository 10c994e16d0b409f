"""A body with a fault in it.

A filter sees the reads of a body and says what to do instead of passing them on. The same bytes give the same actions,
however they are cut into reads, but for the cuts themselves: those are kept wherever nothing is altered. It knows no
clock: a ``Sleep`` is for the caller to sleep.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from antiphon.tape.faults.fault import Fault
from antiphon.tape.faults.scan import Mark, Scanner
from antiphon.tape.model import End

#: An event longer than this is cut in half here, and not repeated. Bytes.
_EVENT = 8 * 1024 * 1024
#: ``[DONE]``, its comments and its other fields are not longer. Bytes.
_DONE = 256

_RESET = "The connection was reset by a fault that was asked for."


class Send(msgspec.Struct, frozen=True):
    """Pass these bytes on, in one read."""

    data: bytes


class Sleep(msgspec.Struct, frozen=True):
    """Do nothing for so many seconds."""

    seconds: float


class Stop(msgspec.Struct, frozen=True):
    """The body is over, in this way. Nothing comes after it."""

    end: End
    error: str = ""


Action: TypeAlias = Send | Sleep | Stop


class Filter:
    """One fault on one body. ``applied``: whether it has had an effect yet. For one task at a time."""

    __slots__ = (
        "_actions",
        "_copy",
        "_events",
        "_fault",
        "_held",
        "_held_size",
        "_position",
        "_read",
        "_scanner",
        "_sleep",
        "_stopped",
        "applied",
    )

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._scanner = Scanner()
        self._events = 0  # that are over
        self._position = 0  # bytes of the body, as it came
        self._sleep = fault.slow.first if fault.slow is not None else 0.0
        self._read = 0  # the number of this read
        self._held: list[tuple[int, bytes]] = []  # pieces that wait for the end of their event, with their reads
        self._held_size = 0
        self._copy: bytearray | None = None  # the event that comes twice
        self._actions: list[tuple[int, Action]] = []
        self._stopped = False
        self.applied = False
        self._before_event()

    def feed(self, data: bytes) -> list[Action]:
        """What to do about a read. Nothing after a ``Stop``."""
        if self._stopped or not data:
            return []
        self._read += 1
        if self._events == 0 and self._position == 0:
            self._cut_here()
        at = 0
        for mark in self._scanner.feed(data):
            self._pass(data[at : mark.at])
            at = mark.at
            self._marked(mark)
        self._pass(data[at:])
        return self._taken()

    def end(self, end: End = "complete", error: str = "") -> list[Action]:
        """What to do at the end of the body: always a ``Stop`` in the end, if there was none yet."""
        if self._stopped:
            return []
        self._read += 1
        for mark in self._scanner.end():
            self._marked(mark)
        if self._position == 0:
            self._cut_here()
        if self._held:
            self._last()
        self._stop(end, error)
        return self._taken()

    # -- what comes through

    def _pass(self, piece: bytes) -> None:
        """Bytes of the body, all of one event or of what stands before it."""
        if self._stopped or not piece:
            return
        if self._sleep:
            self._put(Sleep(self._sleep))
            self._sleep, self.applied = 0.0, True
        limit = self._fault.cut.after_byte if self._fault.cut is not None else None
        if limit is not None and self._position + len(piece) >= limit:
            self._emit(piece[: limit - self._position])
            self._cut()
            return
        self._position += len(piece)
        self._emit(piece)

    def _emit(self, piece: bytes) -> None:
        if self._copy is not None:
            self._copy += piece
            if len(self._copy) > _EVENT:
                self._copy = None
        if not self._holds():
            self._send(self._read, piece)
            return
        self._held.append((self._read, piece))
        self._held_size += len(piece)
        if self._halves():
            if self._held_size >= _EVENT:
                self._half(_EVENT)
        elif self._held_size > _DONE:
            self._release()

    def _holds(self) -> bool:
        """Whether what comes now waits for the end of its event."""
        return self._halves() or (self._fault.drop_done and self._held_size <= _DONE)

    def _halves(self) -> bool:
        cut = self._fault.cut
        return cut is not None and cut.how == "half_event" and cut.after_event == self._events

    # -- what the scanner says

    def _marked(self, mark: Mark) -> None:
        if self._stopped:
            return
        if mark.kind == "value":
            if self._fault.malformed is not None and self._fault.malformed.event == self._events + 1:
                self._emit(b"{")
                self.applied = True
        elif mark.kind == "block":
            self._release()
            self._held_size = 0
            self._copy = bytearray() if self._copy is not None else None
        else:
            self._event_over(done=mark.done)

    def _event_over(self, *, done: bool) -> None:
        if self._halves():
            self._half(self._held_size)
            return
        if done and self._fault.drop_done and self._held:
            self._held.clear()
            self._copy, self.applied = None, True
        self._release()
        self._held_size = 0
        self._events += 1
        if self._copy is not None:
            self._send(self._read, bytes(self._copy))
            self._copy, self.applied = None, True
        cut = self._fault.cut
        if cut is not None and cut.after_event == self._events and cut.how != "half_event":
            self._cut()
            return
        if self._fault.slow is not None:
            self._sleep = self._fault.slow.gap
        self._before_event()

    def _before_event(self) -> None:
        stall = self._fault.stall
        if stall is not None and stall.at_event == self._events + 1:
            self._sleep += stall.seconds
        if self._fault.duplicate_event == self._events + 1:
            self._copy = bytearray()

    # -- how it ends

    def _cut_here(self) -> None:
        """A cut before the first byte."""
        cut = self._fault.cut
        if cut is not None and (cut.after_byte == 0 or (cut.after_event == 0 and cut.how != "half_event")):
            self._cut()

    def _cut(self) -> None:
        self._release()
        self.applied = True
        if self._fault.cut is not None and self._fault.cut.how == "reset":
            self._stop("reset", _RESET)
        else:
            self._stop("complete")

    def _half(self, size: int) -> None:
        """The first half of an event that is held, and no more."""
        data = b"".join(piece for _, piece in self._held)
        self._held.clear()
        self._send(self._read, data[: size // 2])
        self._cut()

    def _last(self) -> None:
        """The body is over, and an event that has no end is held."""
        if self._halves():
            self._half(self._held_size)
        elif self._fault.drop_done and self._scanner.unfinished_done:
            self._held.clear()
            self.applied = True
        else:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for read, piece in held:
            self._send(read, piece)

    def _stop(self, end: End, error: str = "") -> None:
        if not self._stopped:
            self._stopped = True
            self._put(Stop(end, error))

    # -- what is to be done

    def _send(self, read: int, piece: bytes) -> None:
        """Pieces of one read leave in one read, unless something comes between."""
        if not piece:
            return
        if self._actions:
            before, last = self._actions[-1]
            if before == read and isinstance(last, Send):
                self._actions[-1] = (read, Send(last.data + piece))
                return
        self._actions.append((read, Send(piece)))

    def _put(self, action: Sleep | Stop) -> None:
        self._actions.append((self._read, action))

    def _taken(self) -> list[Action]:
        taken, self._actions = self._actions, []
        return [action for _, action in taken]
