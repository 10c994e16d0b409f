"""The tapes of one process: one for each directory and way of using it, all paying from one budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from antiphon.tape import faults as fault_files
from antiphon.tape.counts import Count
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.faults import Faults
from antiphon.tape.shelf import Shelf


class Tapes:
    """Tapes are kept, for opening one reads its directory. Tests run one after the other, and so does their use."""

    def __init__(self, budget: int | None) -> None:
        """``budget``: tokens that may be recorded, on all of them together."""
        self._budget = budget
        self._tapes: dict[bytes, tuple[Callable[..., Any] | None, Tape]] = {}
        self._closed = Count()

    def take(self, settings: Settings, rewrite: Callable[..., Any] | None, fault: Any) -> Tape:
        """The tape for a test. ``fault`` as a marker or an option gives it: counted from the first call again."""
        key = msgspec.json.encode(settings)
        matcher, tape = self._tapes.get(key, (None, None))
        if tape is None or matcher is not rewrite:
            # A function that is made anew for each test would make a tape for each, so the last one goes.
            if tape is not None:
                self._close(tape)
            tape = Tape(settings, environ=os.environ, rewrite=rewrite)
            self._tapes[key] = (rewrite, tape)
        if self._budget is not None:
            left = self._budget - self._recorded(but=tape)
            tape.settings = msgspec.structs.replace(settings, budget=max(left, 0))
        tape.faults = _faults(fault) if fault is not None else None
        return tape

    def shelves(self) -> Iterator[Shelf]:
        """Those of the directories in use, one for each tape."""
        return (tape.shelf for _, tape in self._tapes.values())

    def close(self) -> Count:
        """Closes all; what happened on them."""
        for _, tape in self._tapes.values():
            self._close(tape)
        return self._closed

    def _close(self, tape: Tape) -> None:
        self._closed.add(tape.stats())
        tape.close()

    def _recorded(self, but: Tape) -> int:
        others = sum(tape.stats().tokens_recorded for _, tape in self._tapes.values() if tape is not but)
        return others + self._closed.tokens_recorded


def _faults(given: Any) -> Faults:
    if isinstance(given, Path):
        return Faults(fault_files.load(given))
    if isinstance(given, str) and not given.lstrip().startswith(("{", "[")):
        return Faults(fault_files.load(Path(given)))
    return Faults(fault_files.parse(given))
