"""Secrets in the body of a response: in its bytes, joined across reads, and in its values, joined across events.

A body is JSON, or lines that hold JSON (server-sent events, newline-delimited JSON), or text. The strings of one path
in the events of a stream are one text: that is how a delta is known without knowing the dialect.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from antiphon.tape.model import Json
from antiphon.tape.secrets.cuts import Cut, cut
from antiphon.tape.secrets.environment import Literals
from antiphon.tape.secrets.finder import Finder
from antiphon.tape.secrets.hits import STANDING, Hit
from antiphon.tape.secrets.leaves import Label, Leaf, by_index, closed, gather, leaves, offsets
from antiphon.tape.secrets.ledger import Ledger
from antiphon.tape.secrets.names import strength
from antiphon.tape.secrets.sieve import Sieve

#: What tells the parts of a stream's events apart, at their top.
_PARTS = ("type", "item_id", "output_index", "content_index", "summary_index", "index")
_LINE = re.compile(r"[^\r\n]+")
_DATA = re.compile(r"(?:data:)?\s*")
_BARE_DATA = re.compile(r"data: ?")
_LOGPROBS = re.compile(r'"logprobs"\s*:\s*([{\[])')
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
#: The path of the data of events that is not JSON.
_BARE = "data:"


class Found(NamedTuple):
    """A secret of a body: the pieces of the text it lies in, in order."""

    spans: tuple[tuple[int, int], ...]
    hit: Hit


class Body:
    """A body's text, with the strings of it that are JSON's and the rest of it."""

    def __init__(self, text: str, label: Label = by_index) -> None:
        self.text = text
        self.leaves: list[Leaf] = []
        self.plain: list[tuple[int, int]] = []
        for start, end, value in _parts(text):
            if value is None:
                self._add_plain(start, end)
            else:
                part = closed(text[start:end]) or text[start:end]
                self.leaves += leaves(part, value, _listed(label, value), start, _root(value))

    def found(self, finder: Finder, known: Literals | None = None) -> list[Found]:
        """Every secret, in order; none overlaps another."""
        taken = bytearray(len(self.text))
        found = [f for f in (*self._joined(finder, known), *self._single(finder, known)) if f.hit.kind != STANDING]
        kept: list[Found] = []
        for each in found:
            spans = tuple(free for span in each.spans for free in _free(taken, *span))
            for start, end in spans:
                taken[start:end] = b"\1" * (end - start)
            if spans:
                # A remainder of one already found is only removed.
                kept.append(Found(spans, each.hit if spans[0][0] == each.spans[0][0] else each.hit._replace(value="")))
        return sorted(kept)

    def _add_plain(self, start: int, end: int) -> None:
        if marked := _BARE_DATA.match(self.text, start, end):
            self.leaves.append(Leaf(marked.end(), end, "", _BARE, self.text[marked.end() : end]))
            self.plain.append((start, end))
        elif self.plain and not self.text[self.plain[-1][1] : start].strip():
            self.plain[-1] = (self.plain[-1][0], end)
        else:
            self.plain.append((start, end))

    def _joined(self, finder: Finder, known: Literals | None) -> Iterator[Found]:
        groups: dict[str, list[Leaf]] = defaultdict(list)
        for leaf in self.leaves:
            if leaf.path:
                groups[leaf.path].append(leaf)
        for group in groups.values():
            if len(group) > 1 and len({leaf.value for leaf in group}) > 1:
                for hit in finder.hits("".join(leaf.value for leaf in group), "", known):
                    yield Found(tuple(self._across(group, hit)), hit)

    def _across(self, group: Sequence[Leaf], hit: Hit) -> Iterator[tuple[int, int]]:
        begins = 0
        for leaf in group:
            ends = begins + len(leaf.value)
            if begins < hit.end and hit.start < ends:
                at = self._offsets(leaf)
                first, last = max(hit.start, begins) - begins, min(hit.end, ends) - begins
                yield leaf.start + at[first], leaf.start + at[min(last, len(at) - 1)]
            begins = ends

    def _offsets(self, leaf: Leaf) -> Sequence[int]:
        bare = leaf.path == _BARE
        return range(leaf.end - leaf.start + 1) if bare else offsets(self.text[leaf.start : leaf.end])

    def _single(self, finder: Finder, known: Literals | None) -> Iterator[Found]:
        seen: dict[tuple[str, str], list[Hit]] = {}
        for leaf in self.leaves:
            name = leaf.name if leaf.name and strength(leaf.name) else ""
            hits = seen.get((name, leaf.value))
            if hits is None:
                hits = seen[name, leaf.value] = finder.hits(leaf.value, name, known)
            for hit in hits:
                yield Found(tuple(self._across([leaf], hit)), hit)
        for start, end in self.plain:
            for hit in finder.hits(self.text[start:end], "", known):
                yield Found(((start + hit.start, start + hit.end),), hit)


def redacted(
    reads: tuple[bytes, ...], finder: Finder, sieve: Sieve, ledger: Ledger, known: Literals | None
) -> tuple[bytes, ...]:
    """The reads without secrets; the very same object where there are none."""
    data = b"".join(reads)
    if not known and not perhaps(data, sieve):
        return reads
    body = Body(data.decode("utf-8", "surrogateescape"))
    found = body.found(finder, known)
    if not found:
        return reads
    return cut(reads, _in_bytes(body.text, _cuts(body.text, found, ledger)))


def perhaps(data: bytes, sieve: Sieve) -> bool:
    """Whether the body is worth a thorough search: for its bytes, or for what its events say together."""
    digest = hashlib.blake2b(data).digest()
    try:
        sieve.clean.remove(digest)  # a body that was just looked at, and is looked at once more in its file
        return False
    except ValueError:
        pass  # any other body
    found = sieve.perhaps(data) or sieve.perhaps(_deltas(data))
    if not found:
        sieve.clean.append(digest)
    return found


def _cuts(text: str, found: Sequence[Found], ledger: Ledger) -> list[Cut]:
    blanked = list(_logprobs(text))
    cuts: list[Cut] = []
    for spans, hit in found:
        for n, (start, end) in enumerate(spans):
            shown = ledger.place(hit) if hit.value and n == 0 else ""
            if not any(blank.start <= start and end <= blank.end for blank in blanked):
                cuts.append(Cut(start, end, shown.encode()))
    return sorted([*cuts, *blanked])


def _logprobs(text: str) -> Iterator[Cut]:
    """Log probabilities tell a text a second time, as tokens and as bytes: a body that loses a secret loses them."""
    for marked in _LOGPROBS.finditer(text):
        depth = 0
        for bracket in _BRACKET.finditer(text, marked.end() - 1):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(bracket[0], 0)
            if depth == 0:
                yield Cut(marked.end() - 1, bracket.end(), b"null" if marked[1] == "{" else b"[]")
                break


def _in_bytes(text: str, cuts: Sequence[Cut]) -> list[Cut]:
    if text.isascii():
        return list(cuts)
    out: list[Cut] = []
    chars = place = 0
    for each in cuts:
        start = place + len(text[chars : each.start].encode("utf-8", "surrogateescape"))
        place = start + len(text[each.start : each.end].encode("utf-8", "surrogateescape"))
        chars = each.end
        out.append(Cut(start, place, each.text))
    return out


def _free(taken: bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of the span that nothing has taken; an empty span has none."""
    while start < end:
        begins = taken.find(b"\0", start, end)
        if begins < 0:
            return
        stop = taken.find(b"\1", begins, end)
        start = end if stop < 0 else stop
        yield begins, start


def _parts(text: str) -> Iterator[tuple[int, int, Json]]:
    """(start, end, value) of every part of the body that is JSON; the value of other parts is None."""
    whole = _parsed(text)
    if whole is not None:
        yield 0, len(text), whole
        return
    for line in _LINE.finditer(text):
        marked = _DATA.match(text, *line.span())
        start = marked.end() if marked else line.start()
        value = _parsed(text[start : line.end()])
        if value is None and line.end() >= len(text.rstrip("\r\n")):  # the last one may be cut off
            value = _parsed(closed(text[start : line.end()]) or "")
        yield (start if value is not None else line.start()), line.end(), value


def _parsed(text: str) -> Json:
    """The object or list that the text is, or None."""
    if text[:1] not in ("{", "[") and text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _deltas(data: bytes) -> bytes:
    """The texts of a stream's paths, each joined over its events; nothing where the body is no stream."""
    paths: dict[str, list[str]] = defaultdict(list)
    text = data.decode("utf-8", "surrogateescape")
    for start, end, value in _parts(text):
        if value is not None:
            gather(value, _root(value), _listed(by_index, value), paths)
        elif marked := _BARE_DATA.match(text, start, end):
            paths[_BARE].append(text[marked.end() : end])
    paths.pop("", None)
    texts = ["".join(each) for each in paths.values() if len(each) > 1 and len(set(each)) > 1]
    return '"'.join(texts).encode("utf-8", "surrogateescape")


def _root(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    return "|".join([str(value[part]) for part in _PARTS if part in value and isinstance(value[part], (str, int))])


def _listed(label: Label, value: Any) -> Label:
    """A body that is one list of events is a stream too."""
    if not (isinstance(value, list) and value and isinstance(value[0], dict) and "candidates" in value[0]):
        return label
    return lambda path, place, element, nested: "/*" if not path else label(path, place, element, nested)
