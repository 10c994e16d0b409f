"""Values that a test makes while it is recorded: they wait for it to pass, as its exchanges do."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from antiphon.tape.engine import Tape
from antiphon.tape.model import Json


class _NotOnTapeError(Exception):
    """There is no such value yet."""


class Values:
    """Those of one test."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._made: dict[tuple[str, str], Json] = {}
        self._lock = threading.RLock()

    def get(self, scope: str, name: str, factory: Callable[[], Json]) -> Any:
        """The value on the tape, or that of ``factory``.

        Raises ``LookupError`` when it must be played and is not there, ``ValueError`` when it looks like a secret.
        """
        with self._lock:
            if (scope, name) in self._made:
                return self._made[scope, name]
            try:
                return self._tape.var(name, _none, scope=scope)
            except _NotOnTapeError:
                value = factory()
            if self._tape.mode_of("inference") in ("record", "record-if-missing"):
                self._check(name, value)
                self._made[scope, name] = value
            return value

    def keep(self) -> None:
        """They take their place on the tape."""
        with self._lock:
            for (scope, name), value in self._made.items():
                self._tape.var(name, functools.partial(_same, value), scope=scope)
            self._made.clear()

    def _check(self, name: str, value: Json) -> None:
        """What the tape would refuse in the end is refused where it is made."""
        text = msgspec.json.encode(value).decode()
        if self._tape.redactor.surviving(text.encode()) or self._tape.redactor.text(text) != text:
            raise ValueError(f"The variable '{name}' looks like a secret, and a tape does not keep secrets.")


def _same(value: Json) -> Json:
    return value


def _none() -> NoReturn:
    raise _NotOnTapeError
