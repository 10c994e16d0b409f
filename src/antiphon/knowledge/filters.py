"""Filters over a file's attributes: OpenAI's comparison and compound filters as a typed tree.

What they mean, where OpenAI leaves it open:

- A file without the attribute is not equal to anything: ``ne`` and ``nin`` take it, every other comparison does not.
- ``true`` is not ``1``, and a number is not its text. ``1`` and ``1.0`` are the same number.
- Order is between two numbers or two texts (by code point); anything else has none, so it does not match.
- ``and`` of nothing is everything, ``or`` of nothing is nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from antiphon.errors import InvalidRequest

Scalar = str | int | float | bool
Ordered = Literal["gt", "gte", "lt", "lte"]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]

#: How deep filters may nest, how many there may be in one tree, and how many values ``in`` may list.
MAX_DEPTH = 16
MAX_FILTERS = 256
MAX_VALUES = 1024

_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS = ("and", "or")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Comparison(msgspec.Struct, frozen=True):
    """One attribute against one value, or for ``in`` and ``nin`` against several."""

    type: Operator
    key: str
    value: Scalar | tuple[Scalar, ...]


class Compound(msgspec.Struct, frozen=True):
    """All or any of several filters."""

    type: Literal["and", "or"]
    filters: tuple[Filter, ...]


Filter = Comparison | Compound


def parse(json: Any, param: str) -> Filter:
    """The tree of decoded JSON. Raises ``InvalidRequest`` naming the place below ``param``."""
    return _Parser().parse(json, param, 1)


def matches(filter: Filter, attributes: Mapping[str, Any]) -> bool:  # noqa: A002 - the API's word
    """Whether a file with these attributes is let through."""
    if isinstance(filter, Compound):
        every = all if filter.type == "and" else any
        return every(matches(one, attributes) for one in filter.filters)
    return holds(filter, attributes.get(filter.key))


def holds(comparison: Comparison, value: Any) -> bool:
    """Whether an attribute of this value matches; None is an attribute that is not there."""
    wanted = comparison.value
    match comparison.type:
        case "eq" | "ne":
            return same(value, wanted) == (comparison.type == "eq")
        case "in" | "nin":
            assert isinstance(wanted, tuple)
            return any(same(value, one) for one in wanted) == (comparison.type == "in")
        case ordered:
            return (
                _kind(value) in ("string", "number")
                and _kind(value) == _kind(wanted)
                and _ORDER[ordered](value, wanted)
            )


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it."""
    return _kind(one) == _kind(other) and bool(one == other)


class _Parser:
    """Counts the filters of one tree."""

    def __init__(self) -> None:
        self._count = 0

    def parse(self, json: Any, at: str, depth: int) -> Filter:
        self._count += 1
        if self._count > MAX_FILTERS:
            raise InvalidRequest(f"There are more than {MAX_FILTERS} filters; '{at}' is one too many.", param=at)
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"Filters are nested more than {MAX_DEPTH} deep at '{at}'.", param=at)
        if not isinstance(json, Mapping):
            raise _wrong(at, "a filter: an object with 'type'", json)
        kind = json.get("type")
        if kind in _COMPOUNDS:
            return self._compound(json, at, depth)
        if kind in _COMPARISONS:
            return _comparison(json, at)
        known = ", ".join(f"'{name}'" for name in (*_COMPARISONS, *_COMPOUNDS))
        if "type" not in json:
            raise InvalidRequest(
                f"Missing required parameter: '{at}.type' (one of {known}).",
                param=f"{at}.type",
                code="missing_required_parameter",
            )
        raise _wrong(f"{at}.type", f"one of {known}", kind)

    def _compound(self, json: Mapping[str, Any], at: str, depth: int) -> Compound:
        inner = json.get("filters")
        if not isinstance(inner, list):
            raise _wrong(f"{at}.filters", "an array of filters", inner)
        return Compound(
            json["type"], tuple(self.parse(one, f"{at}.filters[{n}]", depth + 1) for n, one in enumerate(inner))
        )


def _comparison(json: Mapping[str, Any], at: str) -> Comparison:
    key, value, kind = json.get("key"), json.get("value"), json["type"]
    if not isinstance(key, str):
        raise _wrong(f"{at}.key", "a string", key)
    if kind in ("in", "nin"):
        return Comparison(kind, key, _values(value, f"{at}.value"))
    if _kind(value) not in ("string", "number", "boolean"):
        raise _wrong(f"{at}.value", "a string, a number or a boolean", value)
    if kind in _ORDER and isinstance(value, bool):
        raise _wrong(f"{at}.value", f"a string or a number, which '{kind}' can put in order", value)
    return Comparison(kind, key, value)  # type: ignore[arg-type]


def _values(values: Any, at: str) -> tuple[Scalar, ...]:
    if not isinstance(values, list):
        raise _wrong(at, "an array of strings and numbers", values)
    if len(values) > MAX_VALUES:
        raise InvalidRequest(f"'{at}' holds {len(values)} values; at most {MAX_VALUES} are allowed.", param=at)
    for n, value in enumerate(values):
        if _kind(value) not in ("string", "number", "boolean"):
            raise _wrong(f"{at}[{n}]", "a string, a number or a boolean", value)
    return tuple(values)


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    ((int, float), "number"),
    (str, "string"),
    (type(None), "null"),
    (list, "array"),
    (Mapping, "object"),
)


def _kind(value: Any) -> str:
    return next((name for types, name in _KINDS if isinstance(value, types)), type(value).__name__)


def _wrong(at: str, expected: str, got: Any) -> InvalidRequest:
    shown = f" {got!r}" if isinstance(got, str) and len(got) <= 64 else ""
    return InvalidRequest(
        f"Invalid value for '{at}': expected {expected}, but got {_kind(got)}{shown} instead.",
        param=at,
        code="invalid_type" if not shown else "invalid_value",
    )
