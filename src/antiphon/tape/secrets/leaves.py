"""The strings of a JSON text with their places in it, so that they can be changed without writing the JSON anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from antiphon.tape.model import Json

_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_UNIT = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL)
#: How the path of an element of a list is spelled: the path of the list, the element's place, the element, and whether
#: the list is itself an element of one.
Label = Callable[[str, int, Json, bool], str]


class Leaf(NamedTuple):
    """A string of a JSON text. ``start`` and ``end`` are inside its quotes; ``name`` is the field whose value it is,
    or is in; it is empty for the name of a field, which has no ``path`` either."""

    start: int
    end: int
    name: str
    path: str
    value: str


def by_index(path: str, place: int, element: Json, _nested: bool) -> str:
    """Elements that say their index are known by it: a stream sends the deltas of choice 1 at place 0."""
    index = element.get("index") if isinstance(element, dict) else None
    return f"{path}/{index if isinstance(index, int) else place}"


def leaves(text: str, value: Json, label: Label = by_index, at: int = 0, root: str = "") -> Iterator[Leaf]:
    """Every string of the JSON text, which begins at offset ``at`` of a larger one and decodes to ``value``."""
    strings: list[tuple[str, str, str]] = []
    walk(value, root, "", label, strings)
    spans = [m.span(1) for m in _LITERAL.finditer(text)]
    if len(spans) != len(strings):  # a name occurs twice in one object: places are known, paths are not
        for start, end in spans:
            yield Leaf(at + start, at + end, "", "", decoded(text[start:end]))
        return
    for (start, end), (path, name, string) in zip(spans, strings, strict=True):
        yield Leaf(at + start, at + end, name, path, string)


def walk(
    value: Json, path: str, name: str, label: Label, out: list[tuple[str, str, str]], nested: bool = False
) -> None:
    """Append (path, name, string) for every string of the value, names of fields included, in the order of the text."""
    if isinstance(value, str):
        out.append((path, name, value))
    elif isinstance(value, dict):
        scored = "logprob" in value  # its "token" is one of the model's
        for key, each in value.items():
            out.append(("", "", key))
            walk(each, f"{path}/{key}", "" if scored else key, label, out)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            walk(each, label(path, place, each, nested), name, label, out, True)


def gather(value: Json, path: str, label: Label, out: dict[str, list[str]], nested: bool = False) -> None:
    """The strings of an object or a list by their paths: what ``walk`` gives without names, in a third of its time."""
    if isinstance(value, dict):
        for key, each in value.items():
            kind = type(each)
            if kind is str:
                out[f"{path}/{key}"].append(each)
            elif kind is dict or kind is list:
                gather(each, f"{path}/{key}", label, out)
        return
    for place, each in enumerate(value):
        kind = type(each)
        if kind is str:
            out[label(path, place, each, nested)].append(each)
        elif kind is dict or kind is list:
            gather(each, label(path, place, each, nested), label, out, True)


def decoded(raw: str) -> str:
    """The string that stands between two quotes of a JSON text."""
    return "".join(_unit(m[0]) for m in _UNIT.finditer(raw)) if "\\" in raw else raw


_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unit(unit: str) -> str:
    if unit[0] != "\\":
        return unit
    if unit[1] != "u" or len(unit) == 2:
        return _SHORT.get(unit[1], unit[1])
    if len(unit) == 6:
        return chr(int(unit[2:6], 16))
    return chr(0x10000 + ((int(unit[2:6], 16) - 0xD800) << 10) + int(unit[8:], 16) - 0xDC00)


def offsets(raw: str) -> list[int] | range:
    """Where in ``raw`` each character of ``decoded(raw)`` begins, and where the last one ends."""
    if "\\" not in raw:
        return range(len(raw) + 1)
    return [*(m.start() for m in _UNIT.finditer(raw)), len(raw)]


_OPEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)


def closed(text: str) -> str | None:
    """The text, if it is a JSON object or list, or with what it needs to be one where it was cut off; else None."""
    stripped = text.lstrip()
    if stripped[:1] not in ("{", "["):
        return None
    if _is_json(text):
        return text
    ends: list[str] = []
    tail = ""
    for m in _OPEN.finditer(text):
        part = m[0]
        if part in "{[":
            ends.append("}" if part == "{" else "]")
        elif part in "}]":
            if not ends or ends.pop() != part:
                return None
        elif m.end() >= len(text) - 1 and (len(part) == 1 or not _LITERAL.fullmatch(part)):
            tail = '"'
    cut = re.sub(r"\\(?:u[0-9a-fA-F]{0,3})?\Z", lambda e: " " * len(e[0]), text) if tail else text
    rest = "".join(reversed(ends))
    for middle in (tail, f"{tail}:null", f"{tail}null", '"":null'):
        if _is_json(cut + middle + rest):
            return cut + middle + rest
    return None


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
