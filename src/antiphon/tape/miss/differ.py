"""How two JSON values differ: by path, and by word inside long strings."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from antiphon.tape.miss.words import WordChange, changes
from antiphon.tape.model import Json

Path: TypeAlias = tuple[str | int, ...]
Kind = Literal["changed", "added", "removed", "moved"]

#: Differences that are looked for: more of them say no more.
MOST = 100
#: Places inside one string that are kept.
_PLACES = 20
#: Characters of a value that are kept.
_SHOWN = 300

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


class Difference(msgspec.Struct, frozen=True):
    """One difference. ``pointer`` is the JSON path in what was asked, or in the recording for what was removed.

    ``recorded`` and ``asked`` are the values as JSON, cut short; ``words`` are the places inside a string, of
    ``places`` in all. ``path`` is the pointer in its steps.
    """

    pointer: str
    kind: Kind
    recorded: str = ""
    asked: str = ""
    words: tuple[WordChange, ...] = ()
    places: int = 0
    path: Path = ()


def pointer(path: Path, root: str = "$") -> str:
    """A path as JSON path: ``$.messages[0].content``."""
    steps = [root]
    for step in path:
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif _NAME.match(step):
            steps.append(f".{step}")
        else:
            steps.append(f"['{step}']")
    return "".join(steps)


def differences(recorded: Json, asked: Json) -> list[Difference]:
    """What is different in ``asked``, in its order: at most ``MOST``."""
    found: list[Difference] = []
    for one in _walk(recorded, asked, ()):
        found.append(one)
        if len(found) == MOST:
            break
    return found


def encode(value: Json) -> str:
    """As JSON text that is the same for equal values. The standard library's, for it lets odd surrogates pass."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def brief(value: Json) -> str:
    """A value as JSON, cut short."""
    text = encode(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} … {text[-_SHOWN // 2 :]}"


def same(one: Json, other: Json) -> bool:
    """Equal, and not by Python's habit of taking True for 1."""
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _walk(recorded: Json, asked: Json, path: Path) -> Iterator[Difference]:
    if same(recorded, asked):
        return
    if isinstance(recorded, dict) and isinstance(asked, dict):
        yield from _members(recorded, asked, path)
    elif isinstance(recorded, list) and isinstance(asked, list):
        yield from _elements(recorded, asked, path)
    elif isinstance(recorded, str) and isinstance(asked, str):
        words = changes(recorded, asked)
        yield _difference(path, "changed", recorded, asked, words)
    else:
        yield _difference(path, "changed", recorded, asked)


def _members(recorded: dict[str, Any], asked: dict[str, Any], path: Path) -> Iterator[Difference]:
    for key, value in asked.items():
        if key in recorded:
            yield from _walk(recorded[key], value, (*path, key))
        else:
            yield _difference((*path, key), "added", asked=value)
    for key, value in recorded.items():
        if key not in asked:
            yield _difference((*path, key), "removed", recorded=value)


def _elements(recorded: list[Any], asked: list[Any], path: Path) -> Iterator[Difference]:
    if len(recorded) == len(asked):
        old, new = _keys(recorded), _keys(asked)
        if old != new and sorted(old) == sorted(new):
            first = next(at for at, key in enumerate(new) if key != old[at])
            yield _difference((*path, first), "moved", recorded[first], asked[first])
            return
        for at, (one, other) in enumerate(zip(recorded, asked, strict=True)):
            yield from _walk(one, other, (*path, at))
        return
    for tag, i, k, j, m in _blocks(recorded, asked):
        if tag == "equal":
            continue
        both = min(k - i, m - j)
        for at in range(both):
            yield from _walk(recorded[i + at], asked[j + at], (*path, j + at))
        for at in range(j + both, m):
            yield _difference((*path, at), "added", asked=asked[at])
        for at in range(i + both, k):
            yield _difference((*path, at), "removed", recorded=recorded[at])


def _blocks(recorded: list[Any], asked: list[Any]) -> Iterator[tuple[str, int, int, int, int]]:
    """The differing stretches. What both begin and end with is cut off first: it is nearly all of a conversation."""
    head, least = 0, min(len(recorded), len(asked))
    while head < least and same(recorded[head], asked[head]):
        head += 1
    tail = 0
    while tail < least - head and same(recorded[-1 - tail], asked[-1 - tail]):
        tail += 1
    old, new = _keys(recorded[head : len(recorded) - tail]), _keys(asked[head : len(asked) - tail])
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=True)
    for tag, i, k, j, m in matcher.get_opcodes():
        yield tag, i + head, k + head, j + head, m + head


def _keys(values: list[Any]) -> list[str]:
    return [encode(value) for value in values]


_Absent: Any = object()


def _difference(
    path: Path, kind: Kind, recorded: Json = _Absent, asked: Json = _Absent, words: list[WordChange] | None = None
) -> Difference:
    old = "" if recorded is _Absent else brief(recorded)
    new = "" if asked is _Absent else brief(asked)
    found = words or []
    return Difference(pointer(path), kind, old, new, tuple(found[:_PLACES]), len(found), path)
