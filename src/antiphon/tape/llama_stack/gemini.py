"""Google's answers: attribute names of its SDK, member names of its wire, both ways.

Promise: ``to_sdk(to_wire(x)) == x`` apart from the SDK's own HTTP headers, which no answer holds. Members that hold
other people's names (the arguments of a function, the properties of a schema) are left alone.
"""

from __future__ import annotations

import re

from antiphon.tape.model import Json

_FREE = frozenset({"args", "response", "properties", "labels", "defs", "$defs"})
_FREE_SCHEMA = ("json_schema", "JsonSchema")
_SDK_ONLY = "sdk_http_response"


def to_wire(value: Json) -> Json:
    """An answer as the API writes it."""
    if isinstance(value, dict):
        return {
            _camel(name): item if _free(name) else to_wire(item) for name, item in value.items() if name != _SDK_ONLY
        }
    return [to_wire(item) for item in value] if isinstance(value, list) else value


def to_sdk(value: Json) -> Json:
    """An answer as the SDK dumps it."""
    if isinstance(value, dict):
        return {_snake(name): item if _free(name) else to_sdk(item) for name, item in value.items()}
    return [to_sdk(item) for item in value] if isinstance(value, list) else value


def _free(name: str) -> bool:
    return name in _FREE or name.endswith(_FREE_SCHEMA)


def _camel(name: str) -> str:
    changed = _up(name)
    return changed if _down(changed) == name else name


def _snake(name: str) -> str:
    changed = _down(name)
    return changed if _up(changed) == name else name


def _up(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def _down(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)
