"""The recording that was probably meant: the nearest among those of the same endpoint."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from antiphon.tape.miss import sections
from antiphon.tape.miss.differ import encode, same
from antiphon.tape.miss.sketch import Sketch, distance, sketch
from antiphon.tape.miss.words import common_head, common_tail
from antiphon.tape.model import Json, Request

#: Candidates that are compared in full.
_FEW = 6


class Candidate(msgspec.Struct, frozen=True):
    """A recording that might have been meant.

    ``request`` may be a function that reads it (``OSError`` when it is gone): it is called for a few of them only, if
    ``outline`` is given. ``played``: whether this run of the scope has had it.
    """

    request: Request | Callable[[], Request]
    scope: str
    variant: int
    path: str
    played: bool = False
    outline: Sketch | None = None


class Found(msgspec.Struct, frozen=True):
    """A candidate, its request as one JSON value, and how far it is from what was asked: 0 when nothing differs."""

    candidate: Candidate
    request: Request
    tree: Json
    far: float


def nearest(
    request: Request, scope: str, candidates: Iterable[Candidate], form: Callable[[Request], Json]
) -> Sequence[Found]:
    """A few of the candidates, the nearest first; among equals the scope's own, then those not played yet."""
    mine = sketch(request)
    ranked: list[tuple[float, bool, bool, int, str, Candidate]] = []
    for one in candidates:
        outline = one.outline if one.outline is not None else sketch(_read(one))
        if outline.endpoint == mine.endpoint:
            far = distance(mine, outline)
            ranked.append((far, one.scope != scope, one.played, one.variant, one.path, one))
    wanted = form(request)
    found: list[Found] = []
    for _, _, _, _, _, one in heapq.nsmallest(_FEW, ranked, key=lambda each: each[:5]):
        try:
            theirs = _read(one)
        except OSError:
            continue  # somebody has just deleted it
        tree = form(theirs)
        found.append(Found(one, theirs, tree, apart(tree, wanted)))
    return sorted(found, key=lambda each: (each.far, each.candidate.scope != scope, each.candidate.played))


def apart(recorded: Json, asked: Json) -> float:
    """How far two requests, as JSON values, are from each other."""
    if same(recorded, asked):
        return 0.0
    old, new = content(recorded), content(asked)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return 0.1 + 12.0 * (1 - _alike(_text(old), _text(new)))
    far = 0.1 + 20.0 * (old.get("model") != new.get("model"))
    far += 8.0 * (1 - _alike(_text(sections.system(old)), _text(sections.system(new))))
    far += 4.0 * _unlike(sections.tools(old), sections.tools(new))
    mine, theirs = sections.params(new), sections.params(old)
    far += sum(not same(mine.get(key), theirs.get(key)) for key in {*mine, *theirs})
    talk_old, talk_new = (
        [one for one in sections.messages(each) if not sections.is_system(one)] for each in (old, new)
    )
    longest = max(len(talk_old), len(talk_new), 1)
    alike = sum(_alike(_text(one), _text(other)) for one, other in zip(talk_old, talk_new, strict=False))
    return far + 12.0 * (1 - alike / longest)


def content(tree: Json) -> Json:
    """The body of an HTTP request, or the arguments of a tool, in the canonical form."""
    if not isinstance(tree, dict):
        return tree
    body = tree.get(sections.BODY, tree.get("arguments"))
    return body["json"] if isinstance(body, dict) and body.keys() == {"json"} and "arguments" not in tree else body


def _read(one: Candidate) -> Request:
    return one.request() if callable(one.request) else one.request


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value)


def _alike(one: str, other: str) -> float:
    """The share that two texts have in common: what both begin and end with, and the words in between."""
    if one == other:
        return 1.0
    head = common_head(one, other)
    tail = common_tail(one, other, head)
    old = Counter(one[head : len(one) - tail].split())
    new = Counter(other[head : len(other) - tail].split())
    words = (old & new).total() / max(old.total(), new.total(), 1)
    edges, longest = head + tail, max(len(one), len(other))
    return (edges + words * (longest - edges)) / longest


def _unlike(one: list[Any], other: list[Any]) -> float:
    """The share of two lists that is not in both."""
    old, new = Counter(map(encode, one)), Counter(map(encode, other))
    return 1 - (old & new).total() / max(old.total(), new.total(), 1)
