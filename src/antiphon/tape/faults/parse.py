"""Faults as people write them down: a TOML or JSON file, a mapping, the value of a header.

A mistake is refused with the name of the field, what it may be, and what to do instead: a fault that is silently not
there makes a test green that proves nothing.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from antiphon.tape.faults.fault import Cut, Fault, Malformed, Slow, Stall
from antiphon.tape.model import BOUNDARIES, Json

#: Faults of one source, characters of a header.
MOST_FAULTS = 1000
MOST_HEADER = 2000

_DAY = 86_400
_MANY = 1_000_000_000
_STREAM = ("cut", "slow", "stall", "malformed", "drop_done", "duplicate_event")
_JSON = re.compile(r"\s*(\{|\[\s*[\]{])")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")

_Reader: TypeAlias = Callable[[Any, str], Any]


class FaultError(ValueError):
    """A fault that cannot be understood; the message names the field, its limit and the way out."""


def parse(source: str | Mapping[str, Json] | Sequence[Json]) -> tuple[Fault, ...]:
    """The faults of a text (TOML or JSON), of one mapping, or of a list of mappings. Raises ``FaultError``.

    A mapping with the one key ``fault`` (or ``faults``) holds a list of them: ``[[fault]]`` in TOML.
    """
    value: Any = _text(source) if isinstance(source, str) else source
    if isinstance(value, Mapping) and len(value) == 1 and (name := next(iter(value))) in ("fault", "faults"):
        value = value[name]
    if isinstance(value, Mapping):
        return (_fault(value, "fault"),)
    if not isinstance(value, list | tuple):
        raise FaultError("faults: must be a mapping or a list of mappings; write [[fault]] above each one in TOML.")
    if len(value) > MOST_FAULTS:
        raise FaultError(f"faults: {len(value)} of them, at most {MOST_FAULTS} are taken; use 'nth' or patterns.")
    return tuple(_fault(one, f"fault {n}") for n, one in enumerate(value, 1))


def load(path: Path) -> tuple[Fault, ...]:
    """The faults of a TOML or JSON file. Raises ``FaultError`` and ``OSError``."""
    try:
        return parse(path.read_text("utf-8"))
    except UnicodeDecodeError as wrong:
        raise FaultError(f"{path.name}: is not UTF-8 text; save it as such.") from wrong
    except FaultError as wrong:
        raise FaultError(f"{path.name}, {wrong}") from wrong


def parse_header(value: str) -> Fault:
    """The fault of a header: ``cut=after_event:5,how:reset; path=*/chat/completions``. Raises ``FaultError``."""
    if len(value) > MOST_HEADER:
        raise FaultError(f"header: {len(value)} characters, at most {MOST_HEADER} are read; use a file of faults.")
    fields: dict[str, Json] = {}
    for item in filter(None, (piece.strip() for piece in value.split(";"))):
        name, equals, text = (piece.strip() for piece in item.partition("="))
        if name in fields:
            raise FaultError(f"header, {name}: is given twice; a header holds one fault, use a file for more.")
        fields[name] = _header_value(name, text) if equals else True
    return _fault(fields, "header")


def _text(source: str) -> Any:
    if _JSON.match(source):
        try:
            return json.loads(source)
        except ValueError as wrong:
            raise FaultError(f"faults: are no JSON ({wrong}); correct that, or write TOML.") from wrong
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as wrong:
        raise FaultError(f"faults: are no TOML ({wrong}); correct that, or write JSON.") from wrong


def _header_value(name: str, text: str) -> Json:
    if name in _NESTED:
        pairs = [piece.partition(":") for piece in text.split(",")]
        return {key.strip(): _scalar(one.strip()) for key, _, one in pairs}
    if name == "nth":
        return [_scalar(one.strip()) for one in text.split(",")]
    return text if name in _WORDS else _scalar(text)


def _scalar(text: str) -> Json:
    if _NUMBER.match(text):
        return float(text) if "." in text else int(text)
    return {"true": True, "false": False}.get(text, text)


def _fault(value: Any, where: str) -> Fault:
    fields = _fields(value, where, _FIELDS)
    effects = [name for name in ("status", "tool_error", "tool_timeout") if fields.get(name) not in (None, False)]
    if any(fields.get(name) for name in _STREAM):
        effects.append("/".join(name for name in _STREAM if fields.get(name)))
    if not effects:
        raise FaultError(
            f"{where}: does nothing; give it one of status, tool_error, tool_timeout, {', '.join(_STREAM)}."
        )
    if len(effects) > 1:
        raise FaultError(f"{where}: {' and '.join(effects)} exclude each other; write them as faults of their own.")
    for name in ("retry_after", "message"):
        if name in fields and "status" not in fields:
            raise FaultError(f"{where}, {name}: goes with an error only; give 'status' too, such as status = 429.")
    fault = Fault(**fields)
    if fault.on_tools and (fault.path is not None or fault.model is not None):
        raise FaultError(f"{where}: a tool's call has no path and no model; select by tool, provider or scope.")
    if fault.tool is not None and not fault.on_tools:
        raise FaultError(f"{where}, tool: selects calls of tools; use it with tool_error or tool_timeout.")
    return fault


def _fields(value: Any, where: str, readers: Mapping[str, _Reader]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise FaultError(f"{where}: is {_shown(value)}, must be a mapping of {', '.join(readers)}.")
    for name in value:
        if name not in readers:
            close = difflib.get_close_matches(str(name), readers, 1)
            way = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(readers)}."
            raise FaultError(f"{where}, {name}: there is no such field; {way}")
    return {name: readers[name](one, f"{where}, {name}") for name, one in value.items() if one is not None}


def _number(low: int, high: int, hint: str, *, whole: bool = True) -> _Reader:
    def read(value: Any, where: str) -> int | float:
        kind = "a whole number" if whole else "a number of seconds"
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        if not right or isinstance(value, bool) or not low <= value <= high:
            raise FaultError(f"{where}: is {_shown(value)}, must be {kind} from {low} to {high}; {hint}")
        return int(value) if whole else float(value)

    return read


def _choice(options: Sequence[str], hint: str) -> _Reader:
    def read(value: Any, where: str) -> str:
        if value not in options:
            raise FaultError(f"{where}: is {_shown(value)}, must be one of {', '.join(options)}; {hint}")
        return str(value)

    return read


def _word(hint: str, most: int = 1000) -> _Reader:
    def read(value: Any, where: str) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise FaultError(f"{where}: is {_shown(value)}, must be a text of 1 to {most} characters; {hint}")
        return value

    return read


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise FaultError(f"{where}: is {_shown(value)}, must be true or false; leave it out for false.")
    return value


def _nth(value: Any, where: str) -> tuple[int, ...]:
    read = _number(1, _MANY, "the first call is 1; leave nth out for every call.")
    values = value if isinstance(value, list | tuple) else [value]
    if not 0 < len(values) <= MOST_FAULTS:
        raise FaultError(f"{where}: must name 1 to {MOST_FAULTS} calls; leave it out for every call.")
    return tuple(sorted({read(one, where) for one in values}))


def _cut(value: Any, where: str) -> Cut:
    hows = ("reset", "close", "half_event")
    count = _number(0, _MANY, "0 cuts before the first.")
    readers = {"after_event": count, "after_byte": count, "how": _choice(hows, "leave it out for reset.")}
    found = Cut(**_fields(value, where, readers))
    if (found.after_event is None) == (found.after_byte is None):
        raise FaultError(f"{where}: needs either after_event or after_byte, and not both.")
    if found.how == "half_event" and found.after_byte is not None:
        raise FaultError(f"{where}, how: half_event goes with after_event; a byte may lie within an event anyway.")
    return found


def _slow(value: Any, where: str) -> Slow:
    seconds = _number(0, _DAY, "leave it out for no delay.", whole=False)
    found = Slow(**_fields(value, where, {"first": seconds, "gap": seconds}))
    if not found.first and not found.gap:
        raise FaultError(f"{where}: delays nothing; give 'first' or 'gap' in seconds.")
    return found


def _stall(value: Any, where: str) -> Stall:
    readers = {"at_event": _EVENT, "seconds": _number(0, _DAY, "a client's timeout is shorter.", whole=False)}
    return Stall(**_needed(_fields(value, where, readers), where, readers))


def _malformed(value: Any, where: str) -> Malformed:
    readers = {"event": _EVENT}
    return Malformed(**_needed(_fields(value, where, readers), where, readers))


def _needed(fields: dict[str, Any], where: str, names: Mapping[str, _Reader]) -> dict[str, Any]:
    for name in names:
        if name not in fields:
            raise FaultError(
                f"{where}, {name}: is missing; give it, such as {where.rpartition(', ')[2]} = {{{name} = 3}}."
            )
    return fields


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_EVENT = _number(1, _MANY, "the first event is 1.")
_NESTED: dict[str, _Reader] = {"cut": _cut, "slow": _slow, "stall": _stall, "malformed": _malformed}
_WORDS: dict[str, _Reader] = {
    "provider": _word("a name, or a pattern with *."),
    "scope": _word("a name, or a pattern with *."),
    "path": _word("the path of a URL, or a pattern such as */chat/completions."),
    "model": _word("a name, or a pattern such as gpt-*."),
    "tool": _word("a name, or a pattern with *."),
    "message": _word("the text of the error."),
    "tool_error": _word("the text of the tool's error."),
}
_FIELDS: dict[str, _Reader] = {
    "boundary": _choice(BOUNDARIES, "leave it out for all."),
    **_WORDS,
    "nth": _nth,
    "times": _number(1, _MANY, "leave it out for every call."),
    "status": _number(400, 599, "an error's; to spoil an answer that is none, use cut or malformed."),
    "retry_after": _number(0, _DAY, "leave it out for no such header.", whole=False),
    **_NESTED,
    "drop_done": _flag,
    "duplicate_event": _EVENT,
    "tool_timeout": _flag,
}
