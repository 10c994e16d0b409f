"""What happened to the calls of each scope."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

import msgspec

from antiphon.tape.miss import Asked
from antiphon.tape.model import Request

#: Makes a context for one call of a run; and makes such a maker for the run of a scope.
Around: TypeAlias = Callable[[], AbstractContextManager[None]]
Hook: TypeAlias = Callable[[str], Around]

#: Requests of a scope that are remembered to say where a run left the recorded one.
_HISTORY = 200


class Count(msgspec.Struct):
    """What happened to the calls of a scope, or of all. Tokens as the other side counted them."""

    hits: int = 0
    recorded: int = 0
    live: int = 0
    misses: int = 0
    relaxed: int = 0
    tokens_replayed: int = 0
    tokens_recorded: int = 0

    def add(self, other: Count) -> None:
        """Sum up."""
        for name in self.__struct_fields__:
            if more := getattr(other, name):
                setattr(self, name, getattr(self, name) + more)


class Drift(msgspec.Struct, frozen=True):
    """A live answer that differs in shape from its recording, which lies at ``path``."""

    path: str
    scope: str
    differences: tuple[str, ...]


class Run:
    """A scope from its first call until it is started anew: how often each key was asked, and what was asked."""

    __slots__ = ("_cursors", "_lock", "around", "count", "history", "played", "recorded")

    def __init__(self, lock: threading.RLock, around: list[Around]) -> None:
        self._lock = lock
        #: What surrounds its calls: each makes a context, to be entered many times.
        self.around = around
        self._cursors: Counter[str] = Counter()
        self.history: list[Asked] = []
        self.played: set[str] = set()
        self.recorded: set[str] = set()
        self.count = Count()

    def next(self, key: str) -> int:
        """Which time this is that the key is asked for, from 1."""
        with self._lock:
            self._cursors[key] += 1
            return self._cursors[key]

    def asked(self, request: Request, path: str | None) -> None:
        """Remembers a request, and the recording that answered it."""
        with self._lock:
            self.history.append(Asked(request, path))
            del self.history[:-_HISTORY]


class Tally:
    """The runs of all scopes, and the sum of their counts."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        self._hooks: list[Hook] = []
        self.total = Count()

    def hook(self, make: Hook) -> None:
        """Each new run asks ``make`` what surrounds its calls."""
        self._hooks.append(make)

    def run(self, scope: str) -> Run:
        """The run of a scope."""
        with self._lock:
            run = self._runs.get(scope)
            if run is None:
                run = self._runs[scope] = Run(self._lock, [make(scope) for make in self._hooks])
            return run

    def known(self) -> dict[str, Run]:
        """The runs by scope."""
        with self._lock:
            return dict(self._runs)

    def restart(self, scope: str) -> None:
        """The next call of this scope is its first."""
        with self._lock:
            self._runs.pop(scope, None)

    def add(self, scope: str, count: Count) -> None:
        """Count something."""
        with self._lock:
            self.total.add(count)
            self.run(scope).count.add(count)
