"""Small things that every canonical form of JSON needs: numbers spelt one way, fields that say nothing left out."""

from __future__ import annotations

from typing import Any, TypeAlias

#: Field names and the values that mean the same as leaving the field out.
Defaults: TypeAlias = dict[str, tuple[Any, ...]]

#: Whole floats below it become integers. From here on JSON encoders have no one spelling for an integer.
_WHOLE = 2.0**63


def numbers(value: Any) -> Any:
    """The same value with whole floats as integers, in new containers all through."""
    if isinstance(value, dict):
        return {key: one if type(one) is str else numbers(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [one if type(one) is str else numbers(one) for one in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() and -_WHOLE < value < _WHOLE else value
    return value


def spare(fields: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """The fields without nulls and without those at their default."""
    return {
        key: value
        for key, value in fields.items()
        if value is not None and not (key in defaults and any(_same(value, default) for default in defaults[key]))
    }


def _same(value: Any, default: Any) -> bool:
    """Equal, and not by Python's habit of taking True for 1."""
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)
