"""A small value for a JSON schema, with fields taken from ``key=value`` pairs of the prompt. Pure and deterministic."""

from __future__ import annotations

import re
from typing import Any

_PAIR = re.compile(r"\b([A-Za-z_]\w*)=(?:\"([^\"]*)\"|([^\s,;\"]+))")
_MAX_DEPTH = 12
_SCALARS = ("string", "integer", "number", "boolean", "null")

_FORMATS = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def pairs(text: str) -> dict[str, str]:
    """The ``key=value`` and ``key="some words"`` pairs of a text."""
    return {m[1]: m[2] if m[2] is not None else m[3].rstrip(".") for m in _PAIR.finditer(text)}


def instance(schema: Any, given: dict[str, str], text: str = "demo") -> Any:
    """A value that fits the schema; ``given`` fills fields by name, ``text`` any other string."""
    return _Maker(schema, given, text).make(schema, None, 0)


class _Maker:
    def __init__(self, root: Any, given: dict[str, str], text: str) -> None:
        self.root = root
        self.given = given
        self.text = text

    def make(self, schema: Any, name: str | None, depth: int) -> Any:
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        given = self.given.get(name) if name is not None else None
        options = schema.get("enum")
        if options:
            return next((o for o in options if given is not None and str(o) == given), options[0])
        if depth > _MAX_DEPTH:
            return None
        for word in ("anyOf", "oneOf"):
            if schema.get(word):
                return self.make(self.likeliest(schema[word], depth), name, depth + 1)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        if kind == "object":
            return self.object(schema, depth)
        if kind == "array":
            return self.array(schema, given, depth)
        return self.scalar(kind, schema, given)

    def resolved(self, schema: Any) -> dict[str, Any]:
        """Follows ``$ref`` within the schema, and merges ``allOf``."""
        for _ in range(_MAX_DEPTH):
            if not (isinstance(schema, dict) and isinstance(schema.get("$ref"), str)):
                break
            found: Any = self.root
            for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
                if step:
                    found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
            schema = found
        if not isinstance(schema, dict):
            return {}
        if schema.get("allOf"):
            merged = {k: v for k, v in schema.items() if k != "allOf"}
            for part in map(self.resolved, schema["allOf"]):
                fields = {**merged.get("properties", {}), **part.get("properties", {})}
                needed = [*merged.get("required", []), *part.get("required", [])]
                merged = {**merged, **part, "properties": fields, "required": needed} if fields else {**merged, **part}
            return merged
        return schema

    def likeliest(self, options: list[Any], depth: int) -> Any:
        """The first option that is not null - unless we are deep in a recursive schema, where null ends it."""
        null = next((o for o in options if self.resolved(o).get("type") == "null"), None)
        if null is not None and depth > 3:
            return null
        return next((o for o in options if o is not null), options[0])

    def object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = schema.get("properties") or {}
        needed = schema.get("required")
        wanted = [n for n in fields if needed is None or n in needed or n in self.given]
        return {n: self.make(fields[n], n, depth + 1) for n in wanted}

    def array(self, schema: dict[str, Any], given: str | None, depth: int) -> list[Any]:
        inner = schema.get("items", {})
        plain = self.resolved(inner)
        kind = plain.get("type", "string" if not plain else None)
        if given is not None and kind in _SCALARS:
            return [self.scalar(kind, {}, piece) for piece in given.split("|")]
        prefix = [self.make(s, None, depth + 1) for s in schema.get("prefixItems", [])]
        least = 0 if depth > 4 else 1
        count = max(least, int(schema.get("minItems", 0))) - len(prefix)
        return prefix + [self.make(inner, None, depth + 1) for _ in range(max(0, count))]

    def scalar(self, kind: str, schema: dict[str, Any], given: str | None) -> Any:
        if kind == "null":
            return None
        if kind == "boolean":
            return given is None or given.lower() in ("true", "yes", "1", "on")
        if kind in ("integer", "number"):
            return _number(kind, schema, given)
        text = given if given is not None else _FORMATS.get(str(schema.get("format")), self.text)
        least = int(schema.get("minLength", 0))
        text = text.ljust(least, ".")
        return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _number(kind: str, schema: dict[str, Any], given: str | None) -> int | float:
    try:
        value = float(given) if given is not None else 0.0
    except ValueError:
        value = 0.0
    step = schema.get("multipleOf") or 1
    low = schema.get("minimum")
    above = schema.get("exclusiveMinimum")
    if isinstance(above, (int, float)) and not isinstance(above, bool) and value <= above:
        value = above + step
    if isinstance(low, (int, float)) and value < low:
        value = low
    high = schema.get("maximum")
    if isinstance(high, (int, float)) and value > high:
        value = high
    return int(value) if kind == "integer" or value == int(value) else value
