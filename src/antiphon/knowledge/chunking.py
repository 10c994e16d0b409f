"""A text cut into overlapping chunks of a bounded number of tokens (``o200k_base``), as OpenAI does it.

A chunk is a window over the text's tokens. It may end up to a tenth early, where a paragraph, a line, a sentence or a
word ends there; the best of these in that tenth. The next begins exactly ``overlap`` tokens before the end of this.
No code point is ever cut: where a token ends inside one, the chunk ends before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from antiphon.upstream.tokens import token_lengths

#: ``chunking_strategy: auto``.
AUTO_TOKENS = 800
AUTO_OVERLAP = 400

#: What a chunk would best end with, the best first.
_ENDS = (b"\n\n", b"\n", b". ", b"! ", b"? ", "。".encode(), b"; ", b" ")

#: A chunk ends early by at most one part of so many.
_PART = 10


class Piece(msgspec.Struct, frozen=True):
    """A chunk's text, and how many tokens its window over the whole text has."""

    text: str
    tokens: int


def chunks(text: str, *, max_tokens: int = AUTO_TOKENS, overlap: int = AUTO_OVERLAP) -> list[Piece]:
    """The chunks in order; none for a blank text. Blocks; about a second for 10 MB.

    ``overlap`` is at most half of ``max_tokens``. Together the chunks cover the text. What no database can keep (NUL,
    a half surrogate pair) becomes U+FFFD.
    """
    if max_tokens < 1 or not 0 <= overlap <= max_tokens // 2:
        raise ValueError(f"an overlap of {overlap} does not fit chunks of {max_tokens} tokens")
    text = clean(text)
    if not text or text.isspace():
        return []
    data = text.encode()
    return [Piece(data[start:end].decode(), tokens) for start, end, tokens in windows(text, max_tokens, overlap)]


def clean(text: str) -> str:
    """The text without what cannot be written to every database as UTF-8."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        # Halves that belong together become one character again.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def windows(text: str, size: int, overlap: int) -> Iterator[tuple[int, int, int]]:
    """Of each chunk its first byte, the byte behind it, and its tokens."""
    data = text.encode()
    ends = list(accumulate(token_lengths(text)))  # of each token the byte behind it
    count, first = len(ends), 0
    while True:
        last = count if first + size >= count else _end(data, ends, first, first + size, first + overlap)
        start = ends[first - 1] if first else 0
        yield start, ends[last - 1], last - first
        if last == count:
            return
        # Forward by at least one token, on the boundary of a code point.
        first = _whole(data, ends, max(last - overlap, first + 1), first)


def _end(data: bytes, ends: Sequence[int], first: int, last: int, beyond: int) -> int:
    """Where a window that may end with token ``last`` (exclusive) ends best."""
    last = _whole(data, ends, last, first)
    least = max(last - max((last - first) // _PART, 1), beyond + 1, first + 1)
    low, high = ends[least - 1], ends[last - 1]
    for mark in _ENDS:
        at = high
        while (at := data.rfind(mark, low - len(mark), at)) >= 0:
            # A blank is most often the beginning of the next token.
            for end in (at + len(mark), at + len(mark.rstrip())):
                if (chosen := _token_at(ends, end, least, last)) is not None:
                    return chosen
    return last


def _token_at(ends: Sequence[int], at: int, least: int, last: int) -> int | None:
    """The number of tokens that end exactly at byte ``at``, from ``least`` to ``last``."""
    found = bisect_left(ends, at, least - 1, last)
    return found + 1 if found < last and ends[found] == at else None


def _whole(data: bytes, ends: Sequence[int], n: int, first: int) -> int:
    """``n`` tokens or fewer, so that they end with a whole code point; more when ``first`` would be reached."""
    tried = n
    while tried > first + 1 and _inside(data, ends[tried - 1]):
        tried -= 1
    while tried < len(ends) and _inside(data, ends[tried - 1]):
        tried += 1
    return tried


def _inside(data: bytes, at: int) -> bool:
    return at < len(data) and data[at] & 0xC0 == 0x80
