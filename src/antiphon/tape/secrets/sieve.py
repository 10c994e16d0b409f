"""The quick look: may these bytes hold a secret at all? Most hold none, and must not pay for a thorough search.

The answer "no" is binding, also for JSON and for JSON inside JSON; "perhaps" costs only time. Long runs of token
characters are cut out first (they are few), and every prefix and every long value is looked for in those alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from antiphon.tape.secrets.environment import HEAD, Literals
from antiphon.tape.secrets.names import Strength, strength
from antiphon.tape.secrets.shapes import ANCHORS, RUN, shaped

_TOKEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.\\%")
_CLASSES = bytes(0x61 if byte in _TOKEN else 0x20 for byte in range(256))
_LONG = b"a" * RUN
_UNESCAPED = re.compile(r"[ -!#-.0-\[\]-~]+")
_CORE = re.compile(rb"[A-Za-z0-9_.\\%-]+")
# A character that JSON need not escape, escaped all the same: what follows may spell anything.
_ODD_ESCAPE = re.compile(rb"\\u00[2-7]")
_NAME = re.compile(rb"\"([A-Za-z][A-Za-z0-9_. -]{1,39})\\*\"\s*[:=]")
_QUOTED_NAME = re.compile(rb"'([A-Za-z][A-Za-z0-9_. -]{1,39})'\s*[:=]")
# After a separator, at the beginning of a string, of an event's data, of everything.
_PARAMETERS = [
    re.compile(rb"%s([A-Za-z][A-Za-z0-9_.-]{0,39})=" % before) for before in (rb"[?&;\"]", rb"data: ?", rb"\A")
]
_ANCHORS = [anchor.encode() for anchor in ANCHORS]
_WORDS = (b"bearer", b"private key", b"key:", b"token:", b"cookie:", b"authorization:")
_USERINFO = re.compile(rb":(?:\\*/){2}[^\s/?#:@\"'<>]*:[^\s\"']+@")
_BASIC = re.compile(rb"basic(?:\s|%20|\+|\\[nrt])+[a-z0-9+/_-]{8}")


class Sieve:
    """Looks for whatever the search could find. ``literals`` are those of the environment."""

    def __init__(self, literals: Literals) -> None:
        self._long: list[bytes] = []
        self._short: list[bytes] = []
        # A value may be cut off at the end of a text, so its head must do.
        for spelling in {*(plain[:HEAD] for plain in literals.plain), *literals.coded}:
            # However deep in JSON it stands, this much of it is spelled as it is.
            raw = max(_UNESCAPED.findall(spelling), key=len, default="").encode()
            core = max(_CORE.findall(raw), key=len, default=b"")
            if len(core) >= RUN:
                self._long.append(core)
            else:
                self._short.append(raw)

    def perhaps(self, data: bytes) -> bool:
        """Whether the thorough search is due."""
        runs = _runs(data)
        if any(core in runs for core in self._long):
            return True
        if any(anchor in runs for anchor in _ANCHORS) and shaped(runs.decode()):
            return True
        if any(raw in data for raw in self._short) or b"<secret:" in data or b"Key=" in data:
            return True
        if b"\\u00" in data and _ODD_ESCAPE.search(data):
            return True
        return _named(data)


def _named(data: bytes) -> bool:
    lower = data.lower()
    if any(word in lower for word in _WORDS) or (b"@" in data and _USERINFO.search(data)):
        return True
    if b"basic" in lower and _BASIC.search(lower):
        return True
    if _telling(_NAME.findall(data)) or (b"'" in data and _telling(_QUOTED_NAME.findall(data))):
        return True
    if b"=" not in data:
        return False
    return any(_telling(pattern.findall(data), query=True) for pattern in _PARAMETERS)


def _telling(names: Iterable[bytes], *, query: bool = False) -> bool:
    return any(strength(name.decode(), query=query) is not Strength.NONE for name in set(names))


def _runs(data: bytes) -> bytes:
    """The long runs of token characters, each once, one a line."""
    classes = data.translate(_CLASSES)
    runs: set[bytes] = set()
    end = 0
    while (inside := classes.find(_LONG, end)) >= 0:  # a plain search skips most of the text, a pattern none of it
        start = classes.rfind(b" ", end, inside) + 1 or end
        end = classes.find(b" ", inside + RUN)
        end = len(data) if end < 0 else end
        runs.add(data[start:end])
    return b"\n".join(runs)
