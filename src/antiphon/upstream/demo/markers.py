"""The demo model's script language: ``[[verb arguments]]`` in a prompt. ``docs/demo-model.md`` lists the verbs.

Brackets inside a marker nest, and brackets inside JSON strings do not count, so arguments may hold any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

VERBS = frozenset(
    {
        "again",
        "before",
        "break",
        "call",
        "cut",
        "error",
        "fail",
        "filter",
        "hang",
        "json",
        "long",
        "refuse",
        "say",
        "slow",
        "then",
        "think",
        "think-field",
        "think-tags",
        "together",
        "wait",
        "window",
    }
)

_OPENING = re.compile(r"\[\[\s*([a-z][a-z-]*)\s*")


class Marker(NamedTuple):
    """One instruction of the script."""

    verb: str
    argument: str


class Script:
    """The markers of a text, and the text without them. Unknown verbs are ordinary text."""

    def __init__(self, text: str) -> None:
        self.markers: list[Marker] = []
        rest: list[str] = []
        at = 0
        for start, end, marker in _found(text):
            rest.append(text[at:start])
            self.markers.append(marker)
            at = end
        rest.append(text[at:])
        self.text = " ".join(" ".join(rest).split()) if self.markers else text.strip()

    def __bool__(self) -> bool:
        return bool(self.markers)

    def has(self, verb: str) -> bool:
        """Whether the verb stands there."""
        return any(m.verb == verb for m in self.markers)

    def get(self, verb: str) -> str | None:
        """The argument of the first such marker; None without one."""
        return next((m.argument for m in self.markers if m.verb == verb), None)

    def every(self, verb: str) -> list[str]:
        """The arguments of all such markers, in order."""
        return [m.argument for m in self.markers if m.verb == verb]

    def number(self, verb: str, default: int) -> int:
        """The argument as a whole number >= 0; ``default`` where there is no marker or no number."""
        found = re.match(r"\d{1,9}", self.get(verb) or "")
        return int(found[0]) if found else default


def _found(text: str) -> Iterator[tuple[int, int, Marker]]:
    at = 0
    while match := _OPENING.search(text, at):
        end = _closing(text, match.end()) if match[1] in VERBS else None
        if end is None:
            at = match.start() + 2
            continue
        yield match.start(), end, Marker(match[1], text[match.end() : end - 2].strip())
        at = end


def _closing(text: str, at: int) -> int | None:
    """Where the marker whose argument starts at ``at`` ends, behind its brackets; None when it never does."""
    depth = 0
    quoted = False
    while at < len(text):
        char = text[at]
        if quoted:
            if char == "\\":
                at += 1
            elif char == '"':
                quoted = False
        elif char == '"' and _opens_string(text, at):
            quoted = True
        elif char == "[":
            depth += 1
        elif char == "]":
            if depth:
                depth -= 1
            elif text.startswith("]]", at):
                return at + 2
        at += 1
    return None


def _opens_string(text: str, at: int) -> bool:
    """A quote opens a JSON string only after JSON's own punctuation; elsewhere it is prose."""
    return text[:at].rstrip()[-1:] in ("{", ",", ":", "[")
