"""The thorough search of one text: everything that counts as a secret in it, also in JSON that the text holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from antiphon.tape.marks import PLACEHOLDER
from antiphon.tape.secrets.environment import Environment, Literals
from antiphon.tape.secrets.hits import Hit, settle, standing
from antiphon.tape.secrets.leaves import closed, decoded, leaves, offsets
from antiphon.tape.secrets.names import secret_span
from antiphon.tape.secrets.shapes import credentials, fields, shapes

#: JSON in a string of JSON in a string: no real call goes deeper.
DEPTH = 4
#: What the name of a query's parameter begins with.
QUERY = "?"
#: What stands for a secret already found, while its neighbours are looked at again. No secret can hold it.
_MASK = "<"


class Finder:
    """Searches texts with the variables of one environment. ``allow``: values that are never secrets; one that begins
    with ``re:`` is a pattern the whole value must match."""

    def __init__(self, environment: Environment, allow: Sequence[str] = ()) -> None:
        self._environment = environment
        self._exact = frozenset(each for each in allow if not each.startswith("re:"))
        self._patterns = [re.compile(each[3:]) for each in allow if each.startswith("re:")]

    def hits(self, text: str, name: str = "", known: Literals | None = None, depth: int = DEPTH) -> list[Hit]:
        """The secrets of a text that stands under the name ``name``, without overlaps, in order; numbered placeholders
        that it holds already are among them. ``known`` are values found elsewhere in the same exchange."""
        found: list[Hit] = []
        masked = text
        # What is cut out can make a boundary of its edge, so look again until nothing is left.
        while fresh := self._fresh(masked, found, name, known, depth):
            found = settle([*found, *fresh], text)
            for hit in fresh:
                masked = masked[: hit.start] + _MASK * (hit.end - hit.start) + masked[hit.end :]
        # A placeholder inside something larger goes with it.
        return settle([*found, *standing(text)], text)

    def _fresh(self, text: str, found: list[Hit], name: str, known: Literals | None, depth: int) -> list[Hit]:
        every = [self._owned(h) for h in self._all(text, name, known, depth) if not self._allowed(h.value)]
        every = [h for h in every if not any(f.start <= h.start and h.end <= f.end for f in found)]
        return settle(every, text)

    def _all(self, text: str, name: str, known: Literals | None, depth: int) -> Iterator[Hit]:
        plain = name.removeprefix(QUERY)
        if name and (span := secret_span(plain, text, query=plain != name)) and not _covered(text[slice(*span)]):
            yield Hit(*span, text[slice(*span)], f"field {plain}", False)
        if len(text) < 4:
            return
        yield from self._environment.find(text)
        if known:
            yield from known.find(text)
        yield from shapes(text)
        yield from credentials(text)
        yield from fields(text)
        if depth and "\\" in text:
            yield from self._nested(text, known, depth - 1)

    def _nested(self, text: str, known: Literals | None, depth: int) -> Iterator[Hit]:
        """Secrets in the strings of a text that is itself JSON, where only unescaping shows them."""
        whole = closed(text)
        if whole is None:
            return
        for leaf in leaves(whole, msgspec.json.decode(whole)):
            raw = whole[leaf.start : min(leaf.end, len(text))]
            if "\\" not in raw:
                continue
            at = offsets(raw)
            for hit in self.hits(decoded(raw), leaf.name, known, depth):
                if not PLACEHOLDER.fullmatch(hit.value):
                    yield hit._replace(start=leaf.start + at[hit.start], end=leaf.start + at[hit.end])

    def _allowed(self, value: str) -> bool:
        return value in self._exact or any(pattern.fullmatch(value) for pattern in self._patterns)

    def _owned(self, hit: Hit) -> Hit:
        """A value that is a variable's, by the variable's name."""
        name = "" if hit.env else self._environment.exact.get(hit.value, "")
        return hit._replace(env=name) if name else hit


def _covered(text: str) -> bool:
    return set(text) == {_MASK}


def values(hits: Iterable[Hit]) -> list[str]:
    """The values that are worth looking for elsewhere: long, and no plain words."""
    return [h.value for h in hits if not h.env and len(h.value) >= 8 and not h.value.isalpha()]
