"""Cutting pieces out of a body that came in several reads, so that it still comes in as many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Cut(NamedTuple):
    """Bytes ``start`` to ``end`` of the joined body become ``text``, which is ASCII."""

    start: int
    end: int
    text: bytes


def cut(reads: Sequence[bytes], cuts: Sequence[Cut]) -> tuple[bytes, ...]:
    """The reads with the cuts made; these are in order and do not overlap.

    The new text goes to the read in which the old one began. A read that lay wholly inside the old one would become
    empty, which to many readers is the end of the body: it takes one byte from the end of the new text, as long as
    there are any.
    """
    out: list[bytes] = []
    start, first = 0, 0
    shares: dict[int, list[bytes]] = {}
    for read in reads:
        end = start + len(read)
        pieces: list[bytes] = []
        at = start
        while first < len(cuts) and cuts[first].end <= start:
            shares.pop(first, None)
            first += 1
        for n in range(first, len(cuts)):
            each = cuts[n]
            if each.start >= end:
                break
            if each.start >= start:
                pieces.append(read[at - start : each.start - start])
                shares[n] = _shares(each, reads, len(out), end)
            if shares[n] and (each.start >= start or each.end >= end > start):
                pieces.append(shares[n].pop(0))
            at = min(each.end, end)
        pieces.append(read[at - start :])
        out.append(b"".join(pieces))
        start = end
    return tuple(out)


def _shares(each: Cut, reads: Sequence[bytes], place: int, end: int) -> list[bytes]:
    """The new text in as many parts as reads begin it or lie wholly inside it: all in the first where none does."""
    swallowed = 0
    for read in reads[place + 1 :]:
        end += len(read)
        if end > each.end:
            break
        swallowed += bool(read)
    swallowed = max(0, min(swallowed, len(each.text) - 1))
    whole = len(each.text) - swallowed
    return [each.text[:whole], *(each.text[i : i + 1] for i in range(whole, len(each.text)))]
