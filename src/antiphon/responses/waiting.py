"""One timer for all who wait equally long: who comes first is first to have waited long enough."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """Calls ``due`` with each one that is still here ``seconds`` after it came.

    Most leave long before. So the timer is set for the first one and left as it is when that one leaves; when it comes
    it is set anew for whoever is first then.
    """

    def __init__(self, seconds: float, due: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._due = due
        self._until: dict[T, float] = {}
        """In the order in which they came, which is that of the times."""
        self._timer: asyncio.TimerHandle | None = None
        #: Not that of whoever set the timer, which would be kept for as long as somebody is here.
        self._context = contextvars.copy_context()

    def add(self, one: T, now: float) -> None:
        """It comes ``now``, by the clock of the loop that runs."""
        self._until[one] = until = now + self._seconds
        if self._timer is None:
            self._set(until)

    def leave(self, one: T) -> None:
        """It is not waited for any more, if it was."""
        self._until.pop(one, None)

    def close(self) -> None:
        """Nobody will come any more."""
        self._until.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        try:
            while self._until and self._first() <= now:
                one = next(iter(self._until))
                del self._until[one]
                self._due(one)
        finally:  # where one of them failed, the others are still waited for
            self._timer = None
            if self._until:
                self._set(self._first())

    def _set(self, at: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(at, self._look, context=self._context)

    def _first(self) -> float:
        return next(iter(self._until.values()))
