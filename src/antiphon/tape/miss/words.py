"""Which words differ between two texts, fast enough for prompts of any length.

What both begin and end with is cut off first. What remains is anchored at the words that occur once on either side (a
patience diff), so that two changes far apart in a long prompt cost no more than one; only short gaps are compared word
by word.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TypeAlias

import msgspec

_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")
#: Characters of a text that a change shows on either side of it.
_CONTEXT = 48
#: Characters of a replaced passage that are kept.
_KEPT = 400
#: A gap without anchors is compared word by word up to so many pairs of words: about 10 ms.
_PAIRS = 20_000
#: Lengths, in tokens, of what is looked for to anchor a comparison at.
_PHRASES = (1, 5, 15)
#: Between so many tokens only phrases that begin with a word of so many letters are anchors: there are enough of them.
_MANY, _LONG = 20_000, 8
#: Texts that share less than this of what differs are shown as one replaced passage: crumbs in common say nothing.
_ALIKE = 0.3

#: From and to in the tokens of one side, from and to in those of the other.
_Hunk: TypeAlias = tuple[int, int, int, int]


class WordChange(msgspec.Struct, frozen=True):
    """One place at which two texts differ, with the text around it. ``recorded`` or ``asked`` may be empty."""

    before: str
    recorded: str
    asked: str
    after: str


def changes(recorded: str, asked: str) -> list[WordChange]:
    """The places at which ``asked`` differs from ``recorded``, in order."""
    if recorded == asked:
        return []
    head = common_head(recorded, asked)
    while head and _inside_word(recorded, head, asked):
        head -= 1
    tail = common_tail(recorded, asked, head)
    while tail and _inside_word(recorded, len(recorded) - tail, asked, len(asked) - tail):
        tail -= 1
    old = _TOKENS.findall(recorded[head : len(recorded) - tail])
    new = _TOKENS.findall(asked[head : len(asked) - tail])
    old_at, new_at = _offsets(old, head), _offsets(new, head)
    return [_change(recorded, asked, (old_at[i], old_at[k], new_at[j], new_at[m])) for i, k, j, m in _hunks(old, new)]


def common_head(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def common_tail(one: str, other: str, head: int = 0) -> int:
    """How many characters both end with, leaving out the first ``head`` of either."""
    low, high = 0, min(len(one), len(other)) - head
    while low < high:
        middle = (low + high + 1) // 2
        if one.endswith(other[len(other) - middle : len(other) - low], 0, len(one) - low):
            low = middle
        else:
            high = middle - 1
    return low


def _inside_word(one: str, at: int, other: str, other_at: int | None = None) -> bool:
    """Whether a cut here would go through a word of either text."""
    return _joined(one, at) or _joined(other, at if other_at is None else other_at)


def _joined(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    return (_word(left) and _word(right)) or (left.isspace() and right.isspace())


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _offsets(tokens: list[str], start: int) -> list[int]:
    """Where each token begins, and where the last one ends."""
    return list(accumulate(map(len, tokens), initial=start))


def _hunks(old: list[str], new: list[str]) -> list[_Hunk]:
    found = _merged(sorted(_gaps(old, new)), old)
    differing = sum(len("".join(old[i:k])) + len("".join(new[j:m])) for i, k, j, m in found)
    whole = sum(map(len, old)) + sum(map(len, new))
    if len(found) > 1 and whole - differing < whole * _ALIKE:
        return [(0, len(old), 0, len(new))]
    return found


def _gaps(old: list[str], new: list[str]) -> list[_Hunk]:
    """What is left between the words that both have, in no order."""
    found: list[_Hunk] = []
    waiting: list[_Hunk] = [(0, len(old), 0, len(new))]
    while waiting:
        i, k, j, m = waiting.pop()
        while i < k and j < m and old[i] == new[j]:
            i, j = i + 1, j + 1
        while i < k and j < m and old[k - 1] == new[m - 1]:
            k, m = k - 1, m - 1
        if i == k or j == m:
            if i < k or j < m:
                found.append((i, k, j, m))
        elif anchors := _anchors(old[i:k], new[j:m]):
            left, right = i, j
            for x, y in [*anchors, (k - i, m - j)]:
                waiting.append((left, i + x, right, j + y))
                left, right = i + x + 1, j + y + 1
        else:
            found += _word_by_word(old, new, (i, k, j, m))
    return found


def _anchors(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """The longest run, in order, of places that can only correspond: their words occur once on either side.

    Texts that repeat themselves (tables, JSON) have few such words, so then phrases are looked for, and longer ones.
    """
    least = _LONG if max(len(old), len(new)) > _MANY else 1
    old_places, new_places = _places(old, least), _places(new, least)
    for length in _PHRASES:
        found = _in_order(_once(old, old_places, length), _once(new, new_places, length))
        if found:
            return found
    return []


def _places(tokens: list[str], least: int) -> list[int]:
    """Where the words of at least so many letters are."""
    return [at for at, token in enumerate(tokens) if len(token) >= least and _word(token[0])]


def _once(tokens: list[str], places: list[int], length: int) -> dict[tuple[str, ...], int]:
    """The phrases of so many tokens that begin at these places and occur once, and where."""
    phrases = [tuple(tokens[at : at + length]) for at in places]
    counts = Counter(phrases)
    return {
        phrase: at
        for phrase, at in zip(phrases, places, strict=True)
        if counts[phrase] == 1 and at + length <= len(tokens)
    }


def _in_order(old: dict[tuple[str, ...], int], new: dict[tuple[str, ...], int]) -> list[tuple[int, int]]:
    """The longest run of phrases of both, in the order of both."""
    pairs = [(at, new[phrase]) for phrase, at in old.items() if phrase in new]
    ends: list[int] = []  # the smallest end of a run of each length
    ends_at: list[int] = []
    before: list[int] = []
    for at, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(ends_at[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        ends_at[length : length + 1] = [at]
    found: list[tuple[int, int]] = []
    at = ends_at[-1] if ends_at else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]


def _word_by_word(old: list[str], new: list[str], gap: _Hunk) -> list[_Hunk]:
    i, k, j, m = gap
    if (k - i) * (m - j) > _PAIRS:
        return [gap]
    matcher = difflib.SequenceMatcher(None, old[i:k], new[j:m], autojunk=False)
    return [(i + a, i + b, j + c, j + d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def _merged(hunks: list[_Hunk], old: list[str]) -> list[_Hunk]:
    """Changes of neighbouring words are one change."""
    found: list[_Hunk] = []
    for hunk in hunks:
        between = "".join(old[found[-1][1] : hunk[0]]) if found else "begins"
        if not between or between.isspace():
            found[-1] = (found[-1][0], hunk[1], found[-1][2], hunk[3])
        else:
            found.append(hunk)
    return found


def _change(recorded: str, asked: str, at: _Hunk) -> WordChange:
    i, k, j, m = at
    return WordChange(
        _last_words(asked[max(0, j - _CONTEXT) : j], cut=j > _CONTEXT),
        _kept(recorded[i:k]),
        _kept(asked[j:m]),
        _first_words(asked[m : m + _CONTEXT], cut=m + _CONTEXT < len(asked)),
    )


def _kept(text: str) -> str:
    return text if len(text) <= _KEPT else f"{text[: _KEPT // 2]} … {text[-_KEPT // 2 :]}"


def _last_words(text: str, *, cut: bool) -> str:
    """Without the word that was cut in two."""
    return "…" + (text.partition(" ")[2] or text) if cut else text


def _first_words(text: str, *, cut: bool) -> str:
    return (text.rpartition(" ")[0] or text) + "…" if cut else text
