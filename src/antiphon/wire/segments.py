"""The Journal as it is stored: its frames one after the other, compressed.

A stream says everything several times: each token brings its place along, and the end tells the text four times over.
LZ4 finds that in a few microseconds, and the frames come back to the byte whatever they are. See
``docs/decisions/0018-journals-are-compressed.md``.
"""

from __future__ import annotations

from collections.abc import Iterable

import lz4.block

from antiphon.wire.encode import Frame

#: The first byte. Forms 1 and 2 were not compressed.
_FORM = b"\x03"
_END = b"\n\n"


def encode(frames: Iterable[Frame]) -> bytes:
    """Frames to be stored."""
    packed: bytes = lz4.block.compress(b"".join(frames))
    return _FORM + packed


def decode(data: bytes) -> list[Frame]:
    """The frames again. Raises ``ValueError`` for what this version cannot read."""
    if data[:1] != _FORM:
        raise ValueError(f"a journal segment of form {data[:1].hex()} cannot be read by this version of Antiphon")
    text: bytes = lz4.block.decompress(data[1:])
    return [frame + _END for frame in text.split(_END)[:-1]]
