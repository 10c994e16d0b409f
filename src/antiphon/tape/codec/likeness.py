"""A template as another one with a few passages replaced.

``[7, left, new, right, left, new, right]``: like template 7, except that between the first ``left`` and the ``right``
that follows it stands ``new``, and so on to the right. An empty ``right`` follows at once: ``new`` is put in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from antiphon.tape.codec.pieces import join, wrap

#: A number and texts; msgspec and mypy cannot say it closer.
Like: TypeAlias = list[Any]

#: Texts that agree for less than this many characters are not worth an edit of their own.
_BRIDGE = 24
#: The longest passage that names a place.
_ANCHOR = 80
#: Above so many tokens the comparison would take longer than it saves.
_TOKENS = 600
_WORD = re.compile(r"\w+")


def describe(number: int, base: Sequence[str], text: Sequence[str]) -> Like | None:
    """The template of tokens ``text`` as one like template ``number`` of tokens ``base``; None if that says no less."""
    if len(base) + len(text) > _TOKENS:
        return None
    whole, wanted = "".join(base), "".join(text)
    like: Like = [number]
    cursor = 0
    for start, stop, new in _edits(base, text):
        left, right = _before(whole, cursor, start), _behind(whole, start, stop)
        if left is None or right is None:
            return None
        like += [left, wrap(new, ","), right]
        cursor = stop
    return like if size(like) < size(wanted) and resolve(like, whole) == wanted else None


def size(template: Like | str) -> int:
    """How long a template is when written."""
    return len(json.dumps(template, ensure_ascii=False))


def resolve(like: Like, base: str) -> str:
    """The text of a template that is like ``base``. Raises ValueError for a passage not found, or TypeError."""
    edits = [join(item) for item in like[1:]]
    if len(edits) % 3:
        raise ValueError("a template like another one needs three texts for each replacement")
    out: list[str] = []
    cursor = 0
    for left, new, right in zip(edits[0::3], edits[1::3], edits[2::3], strict=True):
        start = base.find(left, cursor)
        stop = base.find(right, start + len(left))
        if start < 0 or stop < 0:
            raise ValueError(f"{left if start < 0 else right!r:.60} is not in the template it is like")
        out += [base[cursor : start + len(left)], new]
        cursor = stop
    return "".join([*out, base[cursor:]])


def _edits(base: Sequence[str], text: Sequence[str]) -> list[tuple[int, int, str]]:
    """What to replace, as (start, stop, new text), positions in characters of the base."""
    ends = [0]
    for token in base:
        ends.append(ends[-1] + len(token))
    # What both begin and end with is cut off first: it is nearly all of two events of one stream.
    head, tail, least = 0, 0, min(len(base), len(text))
    while head < least and base[head] == text[head]:
        head += 1
    while tail < least - head and base[-1 - tail] == text[-1 - tail]:
        tail += 1
    matcher = SequenceMatcher(None, base[head : len(base) - tail], text[head : len(text) - tail], autojunk=False)
    edits: list[tuple[int, int, str]] = []
    for kind, base_from, base_to, text_from, text_to in matcher.get_opcodes():
        if kind == "equal":
            continue
        start, stop = ends[head + base_from], ends[head + base_to]
        new = "".join(text[head + text_from : head + text_to])
        if edits and start - edits[-1][1] < _BRIDGE:
            before, end, earlier = edits.pop()
            start, new = before, earlier + "".join(base)[end:start] + new
        edits.append((start, stop, new))
    return edits


def _before(whole: str, cursor: int, start: int) -> str | None:
    """The shortest passage of whole words that ends at ``start`` and is found there first."""
    if start == cursor:
        return ""
    window = max(cursor, start - _ANCHOR)
    words = [match.start() + window for match in _WORD.finditer(whole[window:start])]
    for begin in [*reversed(words), window]:
        if whole.find(whole[begin:start], cursor) == begin:
            return whole[begin:start]
    return None


def _behind(whole: str, start: int, stop: int) -> str | None:
    """The shortest passage that begins at ``stop`` and is found there first."""
    for end in range(stop, min(len(whole), stop + _ANCHOR) + 1):
        if whole.find(whole[stop:end], start) == stop:
            return whole[stop:end]
    return None
