"""From the coded form back to the reads. What people may have edited is checked, and a fault is named by its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, chain, pairwise, repeat
from typing import Any

import msgspec

from antiphon.tape.codec import columns, likeness, runs
from antiphon.tape.codec.pieces import swap
from antiphon.tape.codec.spelling import QUOTES, Quote, Spelling
from antiphon.tape.model import Json

#: What stands in a template where a value differs from event to event.
HOLE = "▢"


class Malformed(ValueError):
    """A coded stream that cannot be decoded. The message begins with the place, like ``values[2]: ...``."""


class _Coded(msgspec.Struct, forbid_unknown_fields=True):
    events: list[str | list[Any]]  # a text, its pieces, or a likeness.Like
    values: list[list[Any] | dict[str, Any]] = []
    order: runs.Runs | None = None
    reads: runs.Runs | None = None
    cuts: runs.Runs | None = None
    hole: str = HOLE  # empty: nothing is a hole
    spelling: Spelling = "utf8"


def decode(coded: Json) -> tuple[bytes, ...]:
    """The reads of a coded stream. Raises Malformed."""
    try:
        form = msgspec.convert(coded, _Coded)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error
    return _reads(form, [event.encode() for event in _events(form)])


def _events(form: _Coded) -> list[str]:
    templates = _templates(form)
    order = None if form.order is None else _unpack(form.order, "order")
    if order is not None and any(number >= len(templates) for number in order):
        raise Malformed(f"order: there are only {len(templates)} templates")
    often = None if order is None else Counter(order)
    quote = QUOTES[form.spelling]
    rows: list[list[str]] = []
    first = 0
    for number, template in enumerate(templates):
        parts = template.split(form.hole) if form.hole else [template]
        own = form.values[first : first + len(parts) - 1]
        if len(own) < len(parts) - 1:
            raise Malformed(f"events[{number}]: has {len(parts) - 1} holes, but the columns end after {len(own)}")
        times = _times(own, first) if often is None else often[number]
        rows.append(_fill(parts, [_column(own, at, first, times, quote) for at in range(len(own))], times))
        first += len(own)
    if first != len(form.values):
        raise Malformed(f"values[{first}]: belongs to no hole")
    if order is None:
        return list(chain.from_iterable(rows))
    iterators = [iter(own) for own in rows]
    return [next(iterators[number]) for number in order]


def _templates(form: _Coded) -> list[str]:
    """The texts of the templates. In the coded form their quotes are exchanged."""
    texts: list[str] = []
    for number, template in enumerate(form.events):
        if isinstance(template, str) or all(isinstance(piece, str) for piece in template):
            texts.append("".join(template))
            continue
        base = template[0]
        if not isinstance(base, int) or not 0 <= base < number:
            raise Malformed(f"events[{number}]: is like {base!r:.60}, which is no template before it")
        try:
            texts.append(likeness.resolve(template, texts[base]))
        except (TypeError, ValueError) as error:
            raise Malformed(f"events[{number}]: {error}") from error
    return [swap(text) for text in texts]


def _times(own: list[Any], first: int) -> int:
    """How often an event comes, as its columns tell."""
    if not own:
        return 1
    try:
        told = next((rows for column in own if (rows := columns.count(column)) is not None), None)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Malformed(f"values[{first}]: {_said(error)}") from error
    if told is None:
        raise Malformed(f"values[{first}]: does not tell how often the event comes, and there is no order")
    return told


def _column(own: list[Any], at: int, first: int, times: int, quote: Quote) -> list[str]:
    try:
        return columns.unpack(own[at], times, quote)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Malformed(f"values[{first + at}]: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"has no {error}" if isinstance(error, KeyError) else str(error)


def _fill(parts: list[str], cells: list[list[str]], times: int) -> list[str]:
    if not cells:
        return parts * times
    between: list[Iterator[str] | list[str]] = [repeat(parts[0])]
    for part, column in zip(parts[1:], cells, strict=True):
        between += [column, repeat(part)]
    return list(map("".join, zip(*between, strict=False)))


def _reads(form: _Coded, events: list[bytes]) -> tuple[bytes, ...]:
    if form.reads is not None:
        counts = _unpack(form.reads, "reads")
        if sum(counts) != len(events):
            raise Malformed(f"reads: tells of {sum(counts)} events, and there are {len(events)}")
        ends = list(accumulate(counts, initial=0))
        return tuple(b"".join(events[start:end]) for start, end in pairwise(ends))
    return tuple(events) if form.cuts is None else cut(b"".join(events), _unpack(form.cuts, "cuts"))


def cut(data: bytes, lengths: list[int]) -> tuple[bytes, ...]:
    """``data`` in reads of these lengths. Raises Malformed when they do not add up."""
    if sum(lengths) != len(data):
        raise Malformed(f"cuts: add up to {sum(lengths)} bytes, and there are {len(data)}")
    ends = list(accumulate(lengths, initial=0))
    return tuple(data[start:end] for start, end in pairwise(ends))


def _unpack(form: runs.Runs, place: str) -> list[int]:
    try:
        return runs.unpack(form)
    except ValueError as error:
        raise Malformed(f"{place}: {error}") from error
