"""Where the events of a body begin and end, told as the bytes come, however they are cut into reads.

A body that begins with a brace or a bracket is lines of JSON, and every line that is not blank is an event; any other
is server-sent events: blocks ended by an empty line, of which those with data are events, and comments are not. Lines
end with LF, CRLF or CR. After a CR at the end of a read it is only known with the next byte where the line ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

_ENDS = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_FIELD = b"data:"
_DONE = b"[DONE]"
#: Bytes of a line that are looked at: a mark of the byte order, the field's name, ``[DONE]`` and one more.
_LOOKED_AT = len(_BOM) + len(_FIELD) + 1 + len(_DONE) + 1


class Mark(NamedTuple):
    """A place in a read. ``value``: here an event's data begins. ``event``: here it ends. ``block``: here something
    ends that was no event. ``done``: the data of the event was ``[DONE]``."""

    at: int
    kind: Literal["value", "event", "block"]
    done: bool = False


class Scanner:
    """Feed it the reads of one body in order."""

    __slots__ = ("_done", "_first", "_has_data", "_line", "_lines", "_pending", "_seen", "_valued")

    def __init__(self) -> None:
        self._lines: bool | None = None  # lines of JSON? not known before the first byte that is not blank
        self._first = True
        self._pending = False  # the last byte was a CR
        self._line = b""  # how the current line begins
        self._seen = 0  # bytes of the current line
        self._valued = False  # the value of this event was marked
        self._has_data = False
        self._done = False

    def feed(self, data: bytes) -> Iterator[Mark]:
        """The places in this read, in order."""
        at = 0
        if self._pending and data:
            at = 1 if data[:1] == b"\n" else 0
            self._pending = False
            yield from self._line_over(at)
        while at < len(data):
            found = _ENDS.search(data, at)
            end = found.start() if found else len(data)
            yield from self._content(data, at, end)
            if found is None:
                return
            yield from self._value_at(end)
            at = found.end()
            if found[0] == b"\r" and at == len(data):
                self._pending = True
            else:
                yield from self._line_over(at)

    def end(self) -> Iterator[Mark]:
        """What the end of the body decides: a line that ended with CR, a line of JSON without an end."""
        if self._pending:
            self._pending = False
            yield from self._line_over(0)
        elif self._lines and self._line.strip():
            yield from self._line_over(0)

    @property
    def unfinished_done(self) -> bool:
        """Whether the body ends in a ``[DONE]`` that has no empty line after it."""
        return self._done or (self._is_done() and not self._has_data)

    def _content(self, data: bytes, at: int, end: int) -> Iterator[Mark]:
        """A piece of a line."""
        before = self._seen
        if before < _LOOKED_AT:
            self._line += data[at : min(end, at + _LOOKED_AT - before)]
        self._seen += end - at
        if self._lines is None and (text := self._line.lstrip()):
            self._lines = text[:1] in (b"{", b"[")
        place = self._value()
        if self._lines and not self._valued:
            rest = data[at:end].lstrip()
            if rest:
                self._valued = True
                yield Mark(end - len(rest), "value")
        elif place is not None and not self._valued and self._seen > place:
            self._valued = True
            yield Mark(max(at, at + place - before), "value")

    def _value_at(self, at: int) -> Iterator[Mark]:
        """The data of an event that has none begins where its line ends."""
        if not self._lines and not self._valued and self._bare().startswith(_FIELD):
            self._valued = True
            yield Mark(at, "value")

    def _bare(self) -> bytes:
        return self._line.removeprefix(_BOM) if self._first else self._line

    def _value(self) -> int | None:
        """Where in the current line the data begins, as soon as that is known."""
        bare = self._bare()
        if self._lines or not bare.startswith(_FIELD) or len(bare) == len(_FIELD):
            return None
        skipped = len(self._line) - len(bare)
        return skipped + len(_FIELD) + (bare[len(_FIELD) :][:1] == b" ")

    def _is_done(self) -> bool:
        bare = self._bare()
        return not self._lines and bare.startswith(_FIELD) and bare[len(_FIELD) :].strip() == _DONE

    def _line_over(self, at: int) -> Iterator[Mark]:
        bare, blank = self._bare(), not self._seen
        if self._lines:
            self._has_data = self._valued
            blank = True
        elif bare.startswith(_FIELD) or bare == _FIELD[:-1]:
            self._done = self._is_done() and not self._has_data
            self._has_data = True
        self._line, self._seen, self._first = b"", 0, False
        if blank:
            kind: Literal["event", "block"] = "event" if self._has_data else "block"
            done = self._done
            self._has_data = self._done = self._valued = False
            yield Mark(at, kind, done)
