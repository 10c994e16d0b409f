"""Long strings out of an item and back in, without parsing it.

A string literal over 32 KiB (an image, a file) is cut out of the item's bytes and kept once per owner under its
SHA-256; what is left is remembered with the places of the cuts. Putting the pieces back gives the same bytes for
whatever was given, valid JSON or not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

#: Longest string literal (bytes between its quotes, as written) that stays inside its item.
LIMIT = 32 * 1024

# From the start of a JSON text every quote outside of a match opens a string, so scanning in order is enough.
_LITERAL = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class Cut(NamedTuple):
    """A literal's content, and the offset in what was left where it belongs."""

    at: int
    sha256: bytes
    data: bytes


def split(data: bytes) -> tuple[bytes, Sequence[Cut]]:
    """What stays, and what was cut out, in order."""
    if len(data) <= LIMIT:
        return data, ()
    left: list[bytes] = []
    cuts: list[Cut] = []
    kept = done = 0
    for match in _LITERAL.finditer(data):
        start, end = match.start() + 1, match.end() - 1
        if end - start > LIMIT:
            left.append(data[done:start])
            kept += start - done
            done = end
            content = data[start:end]
            cuts.append(Cut(kept, hashlib.sha256(content).digest(), content))
    if not cuts:
        return data, ()
    left.append(data[done:])
    return b"".join(left), cuts


def join(left: bytes, cuts: Sequence[tuple[int, bytes]]) -> bytes:
    """The inverse of ``split``: ``cuts`` are (offset, content) by rising offset."""
    pieces: list[bytes] = []
    done = 0
    for at, content in cuts:
        pieces += (left[done:at], content)
        done = at
    pieces.append(left[done:])
    return b"".join(pieces)
