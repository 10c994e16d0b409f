"""Long texts as lists of pieces, so that they stand on lines of a readable width. Joined, the pieces are the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import TypeAlias

#: A text, or the pieces of one.
Text: TypeAlias = str | list[str]

#: How wide the JSON spelling of a piece may be, its quotes included.
WIDTH = 102
_SWAP = str.maketrans("\"'", "'\"")


def wrap(text: str, after: str = "\n ") -> Text:
    """``text``, or its pieces where it is too long for a line, broken after one of the characters in ``after``."""
    if len(text) + 2 <= WIDTH and _width(text) + 2 <= WIDTH:
        return text
    return list(_lines(text, after))


def swap(text: str) -> str:
    """``text`` with its single and double quotes exchanged, which keeps JSON within JSON free of backslashes."""
    return text.translate(_SWAP)


def join(text: Text) -> str:
    """The text of a text or of its pieces."""
    return text if isinstance(text, str) else "".join(text)


def _lines(text: str, after: str) -> Iterator[str]:
    room = WIDTH - 2
    line: list[str] = []
    used = 0
    for piece in _short(text, after, room):
        width = _width(piece)
        if line and used + width > room:
            yield "".join(line)
            line, used = [], 0
        line.append(piece)
        used += width
    if line:
        yield "".join(line)


def _short(text: str, after: str, room: int) -> Iterator[str]:
    """The unbreakable pieces of ``text``; what is longer than a line is cut where the line ends."""
    kind = re.escape(after)
    for piece in re.findall(f"[^{kind}]*[{kind}]|[^{kind}]+", text) if after else [text]:
        if _width(piece) <= room:
            yield piece
        else:
            step = room // 6  # the widest spelling of one character is \u0000
            yield from (piece[at : at + step] for at in range(0, len(piece), step))


def _width(text: str) -> int:
    return len(encode_basestring(text)) - 2
