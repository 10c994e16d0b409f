"""Which call a piece of a chunk belongs to, and whether a call's arguments have come to their end.

The one place that knows how little back ends can be trusted about indexes, ids and names. Pure bookkeeping: it makes no
events.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from antiphon.wire.chat import ToolCallDelta

_MARKS = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class Extent:
    """Knows when a JSON object or array, written piece by piece, is whole. Each character is looked at once.

    Brackets are counted, nothing is validated: what is asked is whether more can come, not whether it is well formed.
    """

    __slots__ = ("_depth", "_escaped", "_in_string", "_unbounded", "whole")

    def __init__(self) -> None:
        self.whole = False
        self._unbounded = False
        """It began without a bracket: of such a value one never knows whether it is whole."""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def add(self, piece: str) -> None:
        """More of it."""
        if self.whole or self._unbounded or not piece:
            return
        start = 1 if self._escaped else 0
        self._escaped = False
        if not self._depth:
            beginning = piece.lstrip()
            self._unbounded = beginning[:1] not in ("", "{", "[")
            if self._unbounded:
                return
        for mark in _MARKS.finditer(piece, start):
            self._mark(mark[0])
            if not self._depth:  # the first mark was a bracket, so this one closed it
                self.whole = True
                return

    def _mark(self, mark: str) -> None:
        if self._in_string:
            if mark == '"':
                self._in_string = False
            elif mark == "\\":
                self._escaped = True
        elif mark == '"':
            self._in_string = True
        elif mark in "{[":
            self._depth += 1
        elif mark in "}]":
            self._depth -= 1


class Heard(Protocol):
    """What must be known of a call to tell whether a piece continues it."""

    given_id: str | None
    name: str | None
    again: bool

    @property
    def complete(self) -> bool: ...


HeardT = TypeVar("HeardT", bound=Heard)


def continued(calls: Sequence[HeardT], piece: ToolCallDelta) -> HeardT | None:
    """The one of the calls heard under this index that the piece continues, or None when it begins another.

    An index alone proves nothing, since some back ends give every call the same. Another call begins with an id that
    is new; with another name; and, where the same name comes again, with arguments after arguments that were whole.
    """
    if not calls:
        return None
    call = calls[-1]
    if piece.id and call.given_id and piece.id != call.given_id:
        known = [other for other in calls if other.given_id == piece.id]
        if not known:
            return None
        call = known[-1]
    function = piece.function
    if function is None:
        return call
    if function.name and call.name:
        if function.name != call.name:
            return None
        # Said once more with nothing behind it, the name may be a mere repetition: the next arguments will tell.
        call.again = call.again or call.complete
    if call.again and isinstance(function.arguments, str) and function.arguments.strip():
        return None
    return call
