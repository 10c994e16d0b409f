"""Filters: what they mean, and what is said of those that are wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest
from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.filters import MAX_DEPTH, MAX_FILTERS, MAX_VALUES, Filter, matches, parse
from antiphon.knowledge.index.attributes import Attributes

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.sampled_from(["", "x", "y", "é"]), st.integers(-2, 2), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans()
)
ORDERED = st.one_of(st.sampled_from(["", "x", "y", "é"]), st.integers(-2, 2), st.sampled_from([0.5, 1.0]))
ATTRIBUTES = st.dictionaries(KEYS, SCALARS)

COMPARISONS = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["eq", "ne"]), "key": KEYS, "value": SCALARS}),
    st.fixed_dictionaries({"type": st.sampled_from(["gt", "gte", "lt", "lte"]), "key": KEYS, "value": ORDERED}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["in", "nin"]), "key": KEYS, "value": st.lists(SCALARS, max_size=3)}
    ),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["and", "or"]), "filters": st.lists(inner, max_size=3)}
    ),
    max_leaves=6,
)


def let_through(json: dict[str, Any], attributes: dict[str, Any]) -> bool:
    """Whether this filter takes a file of these attributes."""
    return matches(parse(json, "filters"), attributes)


@given(FILTERS, ATTRIBUTES)
def test_opposites(json: dict[str, Any], attributes: dict[str, Any]) -> None:
    """A filter turned round takes exactly what the filter does not, where every comparison has an opposite."""
    opposite = {"eq": "ne", "ne": "eq", "in": "nin", "nin": "in", "and": "or", "or": "and"}

    def turned(one: dict[str, Any]) -> dict[str, Any] | None:
        if one["type"] not in opposite:
            return None
        if "filters" not in one:
            return {**one, "type": opposite[one["type"]]}
        inner = [turned(each) for each in one["filters"]]
        return None if None in inner else {"type": opposite[one["type"]], "filters": inner}

    other = turned(json)
    if other is not None:
        assert let_through(json, attributes) != let_through(other, attributes)


@given(KEYS, ORDERED, ATTRIBUTES)
def test_order(key: str, value: Any, attributes: dict[str, Any]) -> None:
    """``gte`` is ``gt`` or equal; of two things that can be put in order exactly one of less, equal and more holds."""

    def is_(kind: str) -> bool:
        return let_through({"type": kind, "key": key, "value": value}, attributes)

    assert is_("gte") == (is_("gt") or (is_("gte") and is_("eq")))
    assert is_("lte") == (is_("lt") or (is_("lte") and is_("eq")))
    assert is_("lt") + is_("eq") + is_("gt") == (is_("lte") or is_("gte"))
    if key not in attributes:
        assert not any(map(is_, ("eq", "gt", "gte", "lt", "lte")))
        assert is_("ne")


@given(KEYS, st.lists(SCALARS, max_size=4), ATTRIBUTES)
def test_in_is_any_equal(key: str, values: list[Any], attributes: dict[str, Any]) -> None:
    """``in`` is ``eq`` of any of its values."""
    each = [let_through({"type": "eq", "key": key, "value": value}, attributes) for value in values]
    assert let_through({"type": "in", "key": key, "value": values}, attributes) == any(each)


@given(FILTERS, st.lists(ATTRIBUTES, max_size=8))
def test_columns_agree(json: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """Many files at once are judged as one by one."""
    import msgspec

    tree: Filter = parse(json, "filters")
    numpy()
    allowed = Attributes([msgspec.json.encode(file) for file in files]).allowed(tree)
    assert allowed.tolist() == [matches(tree, msgspec.json.decode(msgspec.json.encode(file))) for file in files]


@pytest.mark.parametrize(
    ("filter_", "attributes", "expected"),
    [
        ({"type": "eq", "key": "a", "value": 1}, {"a": True}, False),
        ({"type": "eq", "key": "a", "value": 1}, {"a": 1.0}, True),
        ({"type": "eq", "key": "a", "value": "1"}, {"a": 1}, False),
        ({"type": "gt", "key": "a", "value": 1}, {"a": "2"}, False),
        ({"type": "gt", "key": "a", "value": 0}, {"a": True}, False),
        ({"type": "lt", "key": "a", "value": "b"}, {"a": "a"}, True),
        ({"type": "nin", "key": "a", "value": [1]}, {}, True),
        ({"type": "and", "filters": []}, {}, True),
        ({"type": "or", "filters": []}, {}, False),
    ],
)
def test_examples(filter_: dict[str, Any], attributes: dict[str, Any], expected: bool) -> None:
    """What the laws leave open."""
    assert let_through(filter_, attributes) is expected


def nested(depth: int) -> dict[str, Any]:
    """Filters in filters."""
    tree: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(depth - 1):
        tree = {"type": "and", "filters": [tree]}
    return tree


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ("x", "filters"),
        (None, "filters"),
        ({}, "filters.type"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type"),
        ({"type": "eq", "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value"),
        ({"type": "gt", "key": "a", "value": True}, "filters.value"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value"),
        ({"type": "in", "key": "a", "value": ["b", None]}, "filters.value[1]"),
        ({"type": "in", "key": "a", "value": ["b"] * (MAX_VALUES + 1)}, "filters.value"),
        ({"type": "and"}, "filters.filters"),
        ({"type": "or", "filters": [nested(1), {"type": "or", "filters": [3]}]}, "filters.filters[1].filters[0]"),
        (nested(MAX_DEPTH + 1), "filters" + ".filters[0]" * MAX_DEPTH),
        ({"type": "or", "filters": [nested(1)] * MAX_FILTERS}, f"filters.filters[{MAX_FILTERS - 1}]"),
    ],
)
def test_errors_name_the_place(wrong: Any, param: str) -> None:
    """Where it is wrong stands in the error and in its text."""
    with pytest.raises(InvalidRequest) as caught:
        parse(wrong, "filters")
    assert caught.value.param == param
    assert param in caught.value.message


def test_the_limits_themselves_are_fine() -> None:
    """As deep and as many as is allowed."""
    assert matches(parse(nested(MAX_DEPTH), "filters"), {"a": 1})
    parse({"type": "or", "filters": [nested(1)] * (MAX_FILTERS - 1)}, "filters")
