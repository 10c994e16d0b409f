"""Pieces of a long text: its beginning, and the places where words stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Characters shown on either side of what was found.
AROUND = 300


def beginning(text: str, characters: int) -> str:
    """At most so many characters, cut at a blank where there is one near the end."""
    if len(text) <= characters:
        return text
    head = text[:characters]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return (head[:cut] if cut > characters * 0.8 else head).rstrip()


def fitting(text: str, size: int) -> str:
    """The beginning that is at most so many bytes of UTF-8."""
    raw = text.encode("utf-8", "surrogatepass")
    return text if len(raw) <= size else raw[: max(0, size)].decode("utf-8", "ignore")


def find(text: str, pattern: str, most: int) -> tuple[int, list[str]]:
    """How often the words are there, and up to ``most`` passages with them; places near each other share one.

    Capitals and the kind of blanks make no difference.
    """
    words = pattern.split()
    if not words:
        return 0, []
    wanted = re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE)
    count = 0
    passages: list[tuple[int, int]] = []
    for start, end in _places(text, wanted):
        count += 1
        if passages and start - AROUND <= passages[-1][1]:
            # A word that stands everywhere would else make one passage of the whole text.
            if end + AROUND - passages[-1][0] <= 4 * AROUND:
                passages[-1] = (passages[-1][0], end + AROUND)
        elif len(passages) < most:
            passages.append((max(0, start - AROUND), end + AROUND))
    return count, [_trimmed(text, start, end) for start, end in passages]


def _places(text: str, wanted: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    return (found.span() for found in wanted.finditer(text))


def _trimmed(text: str, start: int, end: int) -> str:
    """From word to word."""
    if start > 0 and (blank := re.search(r"\s", text[start : start + 40])):
        start += blank.end()
    passage = text[start:end]
    if end < len(text) and (blank_at := max(passage[-40:].rfind(" "), passage[-40:].rfind("\n"))) >= 0:
        passage = passage[: len(passage) - 40 + blank_at] if len(passage) > 40 else passage
    return " ".join(passage.split())
