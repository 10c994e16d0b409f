"""Timers finer than an event loop's: when each token of each stream is due, to the microsecond (Linux).

libuv and asyncio round a timer to the millisecond, and then thirty-two streams of 200 tokens a second go off seven at
a time: the server under test wakes once for seven reads, and how often depends on how the streams happen to lie. Here
one timerfd carries the earliest due time of a heap, so that streams which do not tick together are not heard
together.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import itertools
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # timerfd_create takes the same bits


class _Spec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "first_s", "first_ns")]


class Due:
    """One planned call; ``cancel`` it or let it run."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """It will not be called."""
        self.call = None


class Pacer:
    """Calls functions at absolute times of ``time.monotonic()``. One for a process; it lives as long as the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self.libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.heap: list[tuple[float, int, Due]] = []
        self.order = itertools.count()
        self.armed = 0.0  # what the timerfd is set to; 0 when it is not
        loop.add_reader(self.fd, self._fire)

    def at(self, when: float, call: Callable[[], None]) -> Due:
        """Plan ``call`` for ``when``; a time that has passed means at once."""
        due = Due(call)
        heapq.heappush(self.heap, (when, next(self.order), due))
        if not self.armed or when < self.armed:
            self._arm(when)
        return due

    def _arm(self, when: float) -> None:
        self.armed = max(when, 1e-9)  # zero would switch the timer off
        seconds, fraction = divmod(self.armed, 1.0)
        spec = _Spec(0, 0, int(seconds), int(fraction * 1e9))
        if self.libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _fire(self) -> None:
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            pass  # set anew since it went off; what is due is due all the same
        self.armed = -1.0  # earlier than any time: calls made below plan more, and the timer is set once, at the end
        now = time.monotonic()
        while self.heap and self.heap[0][0] <= now:
            _, _, due = heapq.heappop(self.heap)
            if due.call is not None:
                due.call()
        self.armed = 0.0
        if self.heap:
            self._arm(self.heap[0][0])
