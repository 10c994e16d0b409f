"""What was found in a text, and how overlapping finds become one list that can be cut out."""

from __future__ import annotations

from typing import NamedTuple

from antiphon.tape.marks import PLACEHOLDER


def words(text: str) -> frozenset[str]:
    """The words of a table that is written as text."""
    return frozenset(text.split())


class Hit(NamedTuple):
    """A secret between two offsets of a text.

    ``value`` tells equal secrets from others; ``env`` names the variable that holds it, or is empty; a ``sure`` hit
    may stop a file from being written. ``kind`` is for people.
    """

    start: int
    end: int
    value: str
    kind: str
    sure: bool = True
    env: str = ""


#: The kind of the placeholders that a text already holds: they take part in the numbering.
STANDING = "placeholder"


def standing(text: str) -> list[Hit]:
    """The numbered placeholders in the text."""
    if "<secret:" not in text:
        return []
    return [Hit(m.start(), m.end(), m[0], STANDING) for m in PLACEHOLDER.finditer(text) if m[1] is not None]


def settle(hits: list[Hit], text: str) -> list[Hit]:
    """The hits without overlaps, in order. The longer wins, a variable's before others of its length; two hits that
    overlap in part become one."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (h.start - h.end, not h.env, h.start)):
        crossed = [k for k in kept if k.start < hit.end and hit.start < k.end]
        if not crossed:
            kept.append(hit)
        elif any(k.start <= hit.start and hit.end <= k.end for k in crossed):
            continue
        else:
            start, end = min(hit.start, *(k.start for k in crossed)), max(hit.end, *(k.end for k in crossed))
            first = crossed[0]
            kept = [k for k in kept if k not in crossed]
            kept.append(Hit(start, end, text[start:end], first.kind, any(h.sure for h in (hit, *crossed))))
    return sorted(kept)
