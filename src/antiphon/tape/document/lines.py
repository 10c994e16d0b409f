"""JSON for people: one space of indent, lines near 110 columns, small things on one line, numbers packed.

What may stand between two tokens is all that is decided here; the order of keys is that of the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from json.encoder import encode_basestring

from antiphon.tape.model import Json

#: Where a line ends, unless a single string is longer.
WIDTH = 110
#: Objects up to this depth always have a line for each key: the document and its sections.
_OPEN = 2
#: Deeper than this everything goes on one line: what is nested so deep is not read anyway.
_DEEP = 64
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_SURROGATE = re.compile("[\ud800-\udfff]")


def render(value: Json) -> bytes:
    """``value`` as UTF-8 text that ends with a newline."""
    out: list[str] = []
    _put(out, value, 0, 0)
    out.append("\n")
    text = "".join(out)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a pair, which JSON knows only as an escape
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def sort(value: Json) -> Json:
    """``value`` with the keys of all its objects sorted."""
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value)}
    return [sort(item) for item in value] if isinstance(value, list) else value


def _put(out: list[str], value: Json, depth: int, column: int) -> None:
    """Write ``value``, of which the first character stands at ``column``."""
    if not isinstance(value, (dict, list)) or not value or depth > _DEEP:
        out.append(_dumps(value))
        return
    flat = None if depth < _OPEN and isinstance(value, dict) else _flat(value, WIDTH - column - 1)
    if flat is not None:
        out.append(flat)
    elif isinstance(value, dict):
        _put_object(out, value, depth)
    elif any(isinstance(item, dict) for item in value):
        _put_items(out, value, depth)
    else:
        _put_filled(out, value, depth, column)


def _put_object(out: list[str], value: dict[str, Json], depth: int) -> None:
    pad = "\n" + " " * (depth + 1)
    before = "{"
    for key, item in value.items():
        name = f"{_dumps(key)}: "
        out += [before, pad, name]
        _put(out, item, depth + 1, depth + 1 + len(name))
        before = ","
    out += ["\n", " " * depth, "}"]


def _put_items(out: list[str], value: list[Json], depth: int) -> None:
    pad = "\n" + " " * (depth + 1)
    before = "["
    for item in value:
        out += [before, pad]
        _put(out, item, depth + 1, depth + 1)
        before = ","
    out += ["\n", " " * depth, "]"]


def _put_filled(out: list[str], value: list[Json], depth: int, column: int) -> None:
    """As many items on a line as fit; the closing bracket follows the last."""
    pad = " " * (depth + 1)
    out.append("[")
    column += 1
    before = ""
    for item, flat in zip(value, _flats(value, WIDTH - depth - 2), strict=True):
        fits = flat is not None and column + len(before) + len(flat) < WIDTH
        if not fits and column > depth + 2:
            out += [before, "\n", pad]
            column = depth + 1
        else:
            out.append(before)
            column += len(before)
        if flat is None:
            _put(out, item, depth + 1, column)
            column = WIDTH  # so that the next item begins a line
        else:
            out.append(flat)
            column += len(flat)
        before = ","
    out.append("]")


def _flats(value: list[Json], room: int) -> Iterable[str | None]:
    if all(type(item) in (int, float) for item in value):
        return json.dumps(value, separators=(",", ":"))[1:-1].split(",")  # one call for a whole embedding
    return [_flat(item, room) if isinstance(item, list) else _dumps(item) for item in value]


def _flat(value: Json, room: int) -> str | None:
    """``value`` on one line of at most ``room`` characters, or None. Looks at no more than fits."""
    if not isinstance(value, (dict, list)):
        if isinstance(value, str) and len(value) + 2 > room:
            return None
        text = _dumps(value)
        return text if len(text) <= room else None
    parts: list[str] = []
    left = room - 2
    for item in value:
        name = f"{_dumps(item)}: " if isinstance(value, dict) else ""
        flat = _flat(value[item] if isinstance(value, dict) else item, left - len(name))
        if flat is None:
            return None
        parts.append(name + flat)
        left -= len(parts[-1]) + 2
    inner = ", ".join(parts)
    return f"{{{inner}}}" if isinstance(value, dict) else f"[{inner}]"


def _dumps(value: Json) -> str:
    return encode_basestring(value) if isinstance(value, str) else _ENCODER.encode(value)
