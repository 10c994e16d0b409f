"""What somebody declared not to matter, beyond the equivalences that hold for everyone.

``volatile`` takes away places (JSON paths) and pieces of text (regular expressions) that differ from run to run;
``relax`` takes away what matters in general and shall not now. Both work on the request as it was sent, so that a path
can be read off a recording. Without rules only requests that mean the same are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from antiphon.tape.model import Json

#: The version of the equivalences that new recordings are made with. It goes up when one is added or taken away.
VERSION = 1
#: What stands where something volatile was and cannot be missing.
BLANK = "<volatile>"

_STEP = re.compile(r"""(\.\.)?(?:\.?([A-Za-z_][\w-]*|\*)|\.?\[(?:(-?\d+|\*)|'([^']*)'|"([^"]*)")\])""")
_SYSTEM_FIELDS = ("instructions", "system", "systemInstruction", "system_instruction")
_TURNS = ("messages", "input", "contents")
_SYSTEM_ROLES = ("system", "developer")

Step: TypeAlias = "str | int | None"
_Change: TypeAlias = Callable[[Any], Any]


class BadRuleError(ValueError):
    """A rule that cannot be read; the message names it."""


class Rules(msgspec.Struct, frozen=True):
    """What is left out of a comparison.

    ``volatile``: JSON paths into the body or the arguments of a tool (``$.metadata.run``, ``$.messages[*].name``,
    ``$..trace_id``), or ``re:`` and a regular expression, blanked in all strings, in the query and in the path.
    ``relax``: names from ``RELAXATIONS``. ``version``: of the equivalences. Raises ``BadRuleError``.
    """

    volatile: tuple[str, ...] = ()
    relax: tuple[str, ...] = ()
    version: int = VERSION

    def __post_init__(self) -> None:
        for rule in self.volatile:
            _pattern(rule[3:]) if rule.startswith("re:") else _steps(rule)
        for name in self.relax:
            if name not in RELAXATIONS:
                raise BadRuleError(f"there is no relaxation {name!r}; there are {', '.join(sorted(RELAXATIONS))}")

    def value(self, value: Json) -> Json:
        """A JSON body or arguments without what these rules leave out."""
        for rule in self.volatile:
            value = self._texts(value, rule) if rule.startswith("re:") else _without(value, _steps(rule))
        for name in self.relax:
            value = RELAXATIONS[name](value)
        return value

    def text(self, text: str) -> str:
        """A text without the pieces that these rules leave out."""
        for rule in self.volatile:
            if rule.startswith("re:"):
                text = _pattern(rule[3:]).sub(BLANK, text)
        return text

    def _texts(self, value: Json, rule: str) -> Json:
        pattern = _pattern(rule[3:])
        return _mapped(value, lambda text: pattern.sub(BLANK, text))


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRuleError(f"the volatile rule 're:{text}' is not a regular expression: {error}") from error


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[tuple[bool, Step], ...]:
    """The steps of a path: whether at any depth below, and the key, index or None for all."""
    if not path.startswith("$") or path == "$":
        raise BadRuleError(f"the volatile rule {path!r} is neither a path from $ nor re: and a regular expression")
    steps: list[tuple[bool, Step]] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if not found or not (found[1] or path[at] in ".["):
            raise BadRuleError(f"the volatile rule {path!r} cannot be read from {path[at:]!r} on")
        deep, name, index, single, double = found.groups()
        key: Step = name or single or double or ""
        if "*" in (name, index):
            key = None
        elif index is not None:
            key = int(index)
        steps.append((bool(deep), key))
        at = found.end()
    return tuple(steps)


def _without(value: Json, steps: tuple[tuple[bool, Step], ...]) -> Json:
    """The value without what a path leads to: a field is gone, an entry of a list is blank."""
    (deep, key), rest = steps[0], steps[1:]
    if isinstance(value, dict):
        out = {name: _without(inner, steps) if deep else inner for name, inner in value.items()}
        for name in [name for name in out if key is None or name == key]:
            if rest:
                out[name] = _without(out[name], rest)
            else:
                del out[name]
        return out
    if isinstance(value, list):
        entries = [_without(inner, steps) if deep else inner for inner in value]
        for at in _indices(key, len(entries)):
            entries[at] = _without(entries[at], rest) if rest else BLANK
        return entries
    return value


def _indices(key: Step, length: int) -> range:
    if key is None:
        return range(length)
    if isinstance(key, int) and -length <= key < length:
        return range(key % length, key % length + 1)
    return range(0)


def _mapped(value: Json, change: Callable[[str], str]) -> Json:
    """The value with every string changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return value


def _without_system(value: Json) -> Json:
    """Without instructions and system messages, wherever an API has them."""
    if not isinstance(value, dict):
        return value
    out = {key: inner for key, inner in value.items() if key not in _SYSTEM_FIELDS}
    for name in _TURNS:
        if isinstance(turns := out.get(name), list):
            out[name] = [turn for turn in turns if not (isinstance(turn, dict) and turn.get("role") in _SYSTEM_ROLES)]
    if isinstance(out.get("config"), dict):
        out["config"] = _without_system(out["config"])
    return out


def _without_tool_texts(value: Json) -> Json:
    """Without the descriptions of tools and of their parameters."""
    if not isinstance(value, dict):
        return value
    out = {key: _undescribed(inner) if key in ("tools", "functions") else inner for key, inner in value.items()}
    if isinstance(out.get("config"), dict):
        out["config"] = _without_tool_texts(out["config"])
    return out


def _undescribed(value: Json) -> Json:
    if isinstance(value, list):
        return [_undescribed(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    # A parameter may be called description: then it is a schema and no string.
    return {k: _undescribed(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}


#: What can be left out by name.
RELAXATIONS: dict[str, _Change] = {"system_prompt": _without_system, "tools.description": _without_tool_texts}

#: No rules: requests are the same when they mean the same.
EXACT = Rules()
