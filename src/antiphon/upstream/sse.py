"""Server-sent events, decoded as the bytes arrive: only the ``data`` of each event, which is all that back ends use.

Splitting the bytes anywhere gives the same payloads. The usual read - whole ``data: {...}`` events, ended by a blank
line - is cut with bytes operations; everything else (CR, CRLF, comments, other fields, several data lines, a byte
order mark, events that span reads) goes line by line.
"""

from __future__ import annotations

import re

#: Longest event we hold.
MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLong(ValueError):
    """An event grew over ``limit`` bytes; ``before`` holds the payloads that the same read completed before it."""

    def __init__(self, limit: int, before: list[bytes]) -> None:
        super().__init__(f"an event is longer than {limit} bytes")
        self.limit = limit
        self.before = before


class SSEDecoder:
    """``feed`` bytes, get the data payloads of the events they complete; ``flush`` at the end of the stream."""

    __slots__ = ("_data", "_limit", "_size", "_start", "_tail", "held")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self.held = False
        """Whether there is anything in the three below: an event has begun and not ended."""
        self._tail = b""  # an unfinished line
        self._data: list[bytes] = []  # data lines of the unfinished event
        self._size = 0
        self._start = True  # a byte order mark may still come

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that these bytes complete. Raises ``EventTooLong``."""
        # Within a payload, JSON has no raw line break: so with no CR, and blank lines only between
        # pieces that begin with "data:", each piece is one event. ("in" would cost five times what "find" does.)
        if not self.held and data[-2:] == b"\n\n" and data[:6] == b"data: " and data.find(b"\r") < 0:
            self._start = False
            pieces = data[6:-2].split(b"\n\ndata: ")
            if b"".join(pieces).find(b"\n") < 0:
                return pieces
        return self._by_line(data)

    def flush(self) -> list[bytes]:
        """The event that the end of the stream left open: back ends that forget the last blank line are understood."""
        out: list[bytes] = []
        tail, self._tail = self._tail, b""
        if tail:
            self._line(tail.removesuffix(b"\r"), out)
        self._line(b"", out)
        self.held = False
        return out

    def _by_line(self, data: bytes) -> list[bytes]:
        out: list[bytes] = []
        seen = max(0, len(self._tail) - 1)  # no line ends in the tail, but for a CR as its last byte
        if self._tail:
            data = self._tail + data
        if self._start:
            if data[:3] != _BOM[: len(data)]:
                self._start = False
            elif len(data) >= 3:
                data = data[3:]
                seen = 0
                self._start = False
            else:
                self._tail, self.held = data, True
                return out
        at = 0
        for match in _LINE_END.finditer(data, seen):
            end = match.end()
            if end == len(data) and data[end - 1] == 13:
                break  # a CR at the end may be half a CRLF: keep it until the next byte is known
            self._line(data[at : match.start()], out)
            at = end
        self._tail = data[at:]
        if len(self._tail) + self._size > self._limit:
            raise EventTooLong(self._limit, out)
        self.held = bool(self._tail or self._data)
        return out

    def _line(self, line: bytes, out: list[bytes]) -> None:
        if not line:
            if self._data:
                out.append(b"\n".join(self._data) if len(self._data) > 1 else self._data[0])
                self._data.clear()
                self._size = 0
            return
        if line[:5] == b"data:":
            value = line[6:] if line[5:6] == b" " else line[5:]
        elif line == b"data":
            value = b""
        else:
            return  # a comment, or a field we do not use
        self._data.append(value)
        self._size += len(value) + 1
        if self._size > self._limit:
            raise EventTooLong(self._limit, out)
