"""From reads to the coded form: events, their templates, and the columns of what differs between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise

import msgspec

from antiphon.tape.codec import columns, likeness, runs
from antiphon.tape.codec.decoding import HOLE
from antiphon.tape.codec.pieces import swap, wrap
from antiphon.tape.codec.spelling import QUOTES, Quote, spelling_of
from antiphon.tape.model import Json

#: A JSON scalar wherever it stands in a text, or the name of a field with its colon. Possessive, so linear in any text;
#: each branch begins with one sign, and looks behind it only then, which makes it five times as quick.
_TOKEN = re.compile(
    r'("[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"(?:\s*+:)?+'
    r"|[0-9](?<![\w.].)[0-9]*+(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+(?![\w.])"
    r"|-(?<![\w.].)[0-9]++(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+(?![\w.])"
    r"|\b(?:null|true|false)\b)"
)
_STRING = re.compile(r'"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"')
#: The last sign of a blank line. The sign comes first, so that the scan goes from line to line.
_BLANK_LINE = re.compile(r"[\n\r](?:(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r))")
#: Events that differ in more places than this are kept as they are.
_HOLES = 24
#: With so many templates a new one is likened only to the first of them.
_BASES = 6
#: Other marks for a hole, should the text hold the usual one.
_MARKS = [HOLE, "◇", "⬚", *map(chr, range(0xE000, 0xE100))]


class _Group(msgspec.Struct):
    """Events of one shape: ``rows`` of tokens, literal text at even places and scalars or names at odd ones."""

    rows: list[list[str]]


def encode(reads: Sequence[bytes]) -> Json | None:
    """The coded form of a stream; None when the reads together are not UTF-8."""
    data = b"".join(reads)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    events = _events(text, reads)
    mark = next((mark for mark in _MARKS if mark not in text), None)
    coded = (
        _code(events, mark, spelling_of(text))
        if mark
        else {"events": [wrap(swap(event)) for event in events], "hole": ""}
    )
    return coded | _boundaries(events, reads)


def _events(text: str, reads: Sequence[bytes]) -> list[str]:
    """The text in events: parted by blank lines, or else in lines; in lines too when that is how it was read."""
    ends = [0, *(found.end() for found in _BLANK_LINE.finditer(text)), len(text)]
    blocks = [text[start:end] for start, end in pairwise(ends) if start < end]
    if len(blocks) > 1 and not _reads_are_lines(text, len(blocks), reads):
        return blocks
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _reads_are_lines(text: str, blocks: int, reads: Sequence[bytes]) -> bool:
    return len(reads) > blocks and len(reads) == text.count("\n") and all(read.endswith(b"\n") for read in reads)


def _boundaries(events: list[str], reads: Sequence[bytes]) -> dict[str, Json]:
    """Nothing where a read is an event; events to a read where each ends with one; else the bytes of each read."""
    sizes = [len(event.encode()) for event in events]
    lengths = [len(read) for read in reads]
    if lengths == sizes:
        return {}
    number = {end: at for at, end in enumerate(accumulate(sizes), 1)} | {0: 0}
    counts: list[int] = []
    done = 0
    for end in accumulate(lengths):
        at = number.get(end)
        if at is None:
            return {"cuts": runs.pack(lengths)}
        counts.append(at - done)
        done = at
    return {"reads": runs.pack(counts)}


def _code(events: list[str], mark: str, spelling: str) -> dict[str, Json]:
    groups, order = _level(*_grouped(events))
    templates, values = _templates(groups, mark, QUOTES[spelling])
    coded: dict[str, Json] = {"events": templates}
    if mark != HOLE:
        coded["hole"] = mark
    if any(values):
        coded["values"] = [column for own in values for column in own]
    if spelling != "utf8":
        coded["spelling"] = spelling
    if not _is_plain(order, [_rows(own) for own in values], len(groups)):
        coded["order"] = runs.pack(order)
    return coded


def _grouped(events: list[str]) -> tuple[list[_Group], list[int]]:
    """The events in groups of one shape, and the group of each."""
    shapes: dict[tuple[tuple[str | None, ...], ...], int] = {}
    groups: list[_Group] = []
    order: list[int] = []
    alike: _Alike | None = None
    for event in events:
        if alike is not None and (tokens := alike.tokens(event)) is not None:
            number = alike.number
        else:
            tokens = _TOKEN.split(event)
            shape = tuple(tokens[::2]), tuple([token if token[-1] == ":" else None for token in tokens[1::2]])
            number = shapes.setdefault(shape, len(groups))
            if number == len(groups):
                groups.append(_Group([]))
            else:
                alike = _alike(number, groups[number].rows[-1], tokens) or alike
        groups[number].rows.append(tokens)
        order.append(number)
    return groups, order


class _Alike:
    """The events of a group that differ from a known one in a single string: most of a stream.

    They need not be taken apart. The string stands between quotes in either, so what is around it means the same.
    """

    def __init__(self, number: int, tokens: list[str], place: int) -> None:
        self.number = number
        self._tokens = tokens
        self._place = place
        self._head = "".join(tokens[:place])
        self._tail = "".join(tokens[place + 1 :])

    def tokens(self, event: str) -> list[str] | None:
        """The tokens of the event; None when it is another one."""
        start, end = len(self._head), len(event) - len(self._tail)
        if not (event.startswith(self._head) and event.endswith(self._tail) and _STRING.fullmatch(event, start, end)):
            return None
        tokens = self._tokens.copy()
        tokens[self._place] = event[start:end]
        return tokens


def _alike(number: int, one: list[str], other: list[str]) -> _Alike | None:
    """What two events of a group have in common, if they differ in a single string."""
    places = [at for at in range(1, len(one), 2) if one[at] != other[at]]
    if len(places) != 1 or one[places[0]][0] != '"' or other[places[0]][0] != '"':
        return None
    return _Alike(number, other, places[0])


def _level(groups: list[_Group], order: list[int]) -> tuple[list[_Group], list[int]]:
    """The groups with those taken apart whose events differ in too many places; one group then for each such text."""
    wild = {number for number, group in enumerate(groups) if len(list(_differing(group))) > _HOLES}
    if not wild:
        return groups, order
    iterators = [iter(group.rows) for group in groups]
    known: dict[tuple[int, str], int] = {}
    apart: list[_Group] = []
    new_order: list[int] = []
    for number in order:
        row = next(iterators[number])
        new = known.setdefault((number, "".join(row) if number in wild else ""), len(apart))
        if new == len(apart):
            apart.append(_Group([]))
        apart[new].rows.append(row)
        new_order.append(new)
    return apart, new_order


def _differing(group: _Group) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The places where the rows of a group differ, with what stands there."""
    for at, column in enumerate(zip(*group.rows, strict=True)):
        if at % 2 and column.count(column[0]) != len(column):
            yield at, column


def _templates(groups: list[_Group], mark: str, quote: Quote) -> tuple[list[Json], list[list[Json]]]:
    """The templates of the groups, and for each the columns of its holes."""
    templates: list[Json] = []
    values: list[list[Json]] = []
    bases: list[tuple[int, list[str]]] = []
    for number, group in enumerate(groups):
        tokens = [swap(token) for token in group.rows[0]]
        own: list[Json] = []
        for at, column in _differing(group):
            tokens[at] = mark
            own.append(columns.pack(column, quote))
        likes = [like for base, text in bases if (like := likeness.describe(base, text, tokens)) is not None]
        best = min(likes, key=likeness.size, default=None)
        templates.append(wrap("".join(tokens), ",") if best is None else best)
        values.append(own)
        if len(bases) < _BASES:
            bases.append((number, tokens))
    return templates, values


def _rows(own: list[Json]) -> int | None:
    """How many events the columns of a template tell of, if they tell; a template without holes comes once."""
    if not own:
        return 1
    return next((rows for column in own if (rows := columns.count(column)) is not None), None)


def _is_plain(order: list[int], rows: list[int | None], groups: int) -> bool:
    """Whether each template comes in one run, as often as its columns tell: then the order goes without saying."""
    told = [(number, sum(1 for _ in same)) for number, same in groupby(order)]
    return len(told) == groups and all(rows[number] == times for number, times in told)
