"""The quick look: may these bytes hold a secret at all? Most hold none, and must not pay for a thorough search.

The answer "no" is binding, also for JSON and for JSON inside JSON; "perhaps" costs only time. Long runs of token
characters are cut out first (they are few), and every prefix and every long value is looked for in those alone.
"""

from __future__ import annotations

import re
from collections import deque

from antiphon.tape.secrets.environment import HEAD, Literals
from antiphon.tape.secrets.names import Strength, strength
from antiphon.tape.secrets.shapes import RUN, shaped

_TOKEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.~+/=\\%")
_CLASSES = bytes(0x61 if byte in _TOKEN else 0x20 for byte in range(256))
_LONG = b"a" * RUN
_UNESCAPED = re.compile(r"[ -!#-.0-\[\]-~]+")
_CORE = re.compile(rb"[A-Za-z0-9_.\\%-]+")
# A character that JSON need not escape, escaped all the same: what follows may spell anything.
_ODD_ESCAPE = re.compile(rb"\\u00[2-7]")
_NAME = re.compile(rb"\"([A-Za-z][A-Za-z0-9_. -]{1,39}+)\\*+\"\s*+[:=]")
_QUOTED_NAME = re.compile(rb"'([A-Za-z][A-Za-z0-9_. -]{1,39}+)'\s*+[:=]")
# After a separator, at the beginning of a string, of an event's data, of everything.
_PARAMETERS = [
    re.compile(rb"%s([A-Za-z][A-Za-z0-9_.-]{0,39})=" % before) for before in (rb"[?&;\"]", rb"data: ?", rb"\A")
]
# What stands before a secret in a text. Found by its last sign, which is rarer than words are.
_HEADER = re.compile(rb":(?:(?<=key:)|(?<=token:)|(?<=cookie:)|(?<=authorization:))")
_USERINFO = re.compile(rb":(?:\\*/){2}[^\s/?#:@\"'<>]*:[^\s\"']+@")
_BASIC = re.compile(rb"basic(?:\s|%20|\+|\\[nrt])+[a-z0-9+/_-]{8}")
_SLASH = re.compile(rb"\\+/")
#: Names that were seen and say nothing are kept, up to so many.
_MOST = 4096
_REMEMBERED = 16


class Sieve:
    """Looks for whatever the search could find. ``literals`` are those of the environment."""

    def __init__(self, literals: Literals) -> None:
        self._long: list[bytes] = []
        self._short: list[bytes] = []
        self._harmless: set[bytes] = set()
        #: The digests of the bodies that were last found to hold none (see ``body.perhaps``).
        self.clean: deque[bytes] = deque(maxlen=_REMEMBERED)
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
        if b"\\" in data:
            if b"\\u00" in data and _ODD_ESCAPE.search(data):
                return True
            data = _SLASH.sub(b"/", data) if b"\\/" in data else data
        runs = _runs(data)
        if runs and (any(core in runs for core in self._long) or shaped(runs.decode())):
            return True
        if any(raw in data for raw in self._short) or (b"<" in data and b"<secret:" in data):
            return True
        return _introduced(data, runs) or self._named(data)

    def _named(self, data: bytes) -> bool:
        """Whether a field or a parameter is named like a secret."""
        if self._telling(_NAME.findall(data)) or (b"'" in data and self._telling(_QUOTED_NAME.findall(data))):
            return True
        if b"=" not in data:
            return False
        if b"Key=" in data:
            return True
        names = {name for pattern in _PARAMETERS for name in pattern.findall(data)}
        return any(strength(name.decode(), query=True) is not Strength.NONE for name in names)

    def _telling(self, names: list[bytes]) -> bool:
        if self._harmless.issuperset(names):
            return False
        new = set(names) - self._harmless
        if any(strength(name.decode()) is not Strength.NONE for name in new):
            return True
        if len(self._harmless) < _MOST:
            self._harmless |= new
        return False


def _introduced(data: bytes, runs: bytes) -> bool:
    """Whether there is something that stands before a secret: a scheme, the line of a header, a URL's user."""
    lower = data.lower()
    if (runs and b"bearer" in lower) or b"PRIVATE KEY" in data or _HEADER.search(lower):
        return True
    if b"basic" in lower and _BASIC.search(lower):
        return True
    return b"@" in data and _USERINFO.search(data) is not None


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
