"""Secrets that the environment holds, found wherever they stand and however they are spelled.

A value is looked for as it is, escaped for JSON, escaped for a URL, and inside base64 at each of the three places where
it can begin there (``Basic`` credentials, encoded configuration).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

import msgspec

from antiphon.tape.secrets.hits import Hit
from antiphon.tape.secrets.names import SHORTEST, findable, names_secret

#: A stream may be cut inside a secret: so much of its beginning, at the end of a text, is the secret.
HEAD = 16


class Literals:
    """Known values and the names they are shown by; an empty name means a numbered placeholder."""

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        self.plain: dict[str, tuple[str, str]] = {}
        self.coded: dict[str, tuple[str, str]] = {}
        for value, name in known:
            for spelling in _spellings(value):
                self.plain.setdefault(spelling, (value, name))
            for spelling in _base64(value):
                self.coded.setdefault(spelling, (value, name))

    def __bool__(self) -> bool:
        return bool(self.plain)

    def find(self, text: str) -> Iterator[Hit]:
        """Every place where a value stands."""
        for spelling, (value, name) in self.plain.items():
            at = text.find(spelling)
            while at >= 0:
                yield Hit(at, at + len(spelling), value, "value", True, name)
                at = text.find(spelling, at + len(spelling))
            yield from self._cut(text, spelling, value, name)
        for spelling, (value, name) in self.coded.items():
            if spelling in text:
                # The characters beside it hold bits of the value too, so the whole run goes.
                run = r"[A-Za-z0-9+/]*" if set(spelling).isdisjoint("-_") else r"[A-Za-z0-9_-]*"
                for m in re.finditer(f"{run}{re.escape(spelling)}{run}={{0,2}}", text):
                    yield Hit(m.start(), m.end(), value, "base64", True, name)

    @staticmethod
    def _cut(text: str, spelling: str, value: str, name: str) -> Iterator[Hit]:
        if spelling[:HEAD] not in text[-len(spelling) :]:
            return
        for size in range(len(spelling) - 1, HEAD - 1, -1):
            if text.endswith(spelling[:size]):
                yield Hit(len(text) - size, len(text), value, "value", True, name)
                return


class Environment(Literals):
    """The variables of ``environ`` that are named like keys. ``exact``: any value of theirs, for places where the whole
    value is known to be a secret; there a short one counts too."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.exact: dict[str, str] = {}
        known: list[tuple[str, str]] = []
        for name in sorted(environ):
            value = environ[name].strip()
            if not value or not names_secret(name):
                continue
            self.exact.setdefault(value, name)
            pieces = [value, *re.split(r"[,;\s]+", value)] if name.upper().endswith("S") else [value]
            known += [(piece, name) for piece in pieces if findable(name, piece)]
        super().__init__(known)


def _spellings(value: str) -> dict[str, None]:
    escaped = msgspec.json.encode(value).decode()[1:-1]
    ascii_only = "".join(c if c.isascii() else _escape(c) for c in escaped)
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), each) for each in quoted}
    nested = msgspec.json.encode(escaped).decode()[1:-1]
    every = [value, escaped, ascii_only, escaped.replace("/", "\\/"), nested, *sorted(quoted | lower)]
    return dict.fromkeys(every)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))


def _base64(value: str) -> dict[str, None]:
    """What base64 makes of the value wherever it begins, without the characters that its neighbours decide."""
    raw = value.encode("utf-8", "surrogatepass")
    if len(raw) < SHORTEST:
        return {}
    every: dict[str, None] = {}
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(b"\0" * offset + raw).decode()[first : (offset + len(raw)) * 8 // 6]
        every[coded] = None
        every[coded.translate(str.maketrans("+/", "-_"))] = None
    return every
