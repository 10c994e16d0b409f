"""JSON in, typed structs out, and every failure a 400 that says where.

Malformed JSON names its line, column and byte; a wrong type or value names its JSON path as ``param`` and says what
was expected and what came. Nothing here knows a particular endpoint.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from antiphon.errors import InvalidRequest

T = TypeVar("T")

#: How deep JSON may nest. Recursive code further in (prompt, canonical form) then stays far from the stack's end.
MAX_DEPTH = 200
#: A body with fewer opening brackets than this cannot nest too deep, so it is not walked; nor can one that has no room
#: for so many, and for as many that close.
_SHALLOW = MAX_DEPTH

_decode = msgspec.json.Decoder().decode
_BYTE = re.compile(r"\s*\(byte (\d+)\)$")
_AT = re.compile(r" - at (?:`key` in )?`\$\.?(.*)`$")
_MISSING = re.compile(r"^Object missing required field `(.+)`$")
_JSON_NAMES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "NoneType": "null",
    "dict": "object",
    "list": "array",
}


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object that is this request body.

    Raises InvalidRequest: not JSON (with line, column and byte), not UTF-8, too deep, or not an object.
    """
    try:
        tree = _decode(body)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.ValidationError as error:
        reason = _AT.sub("", str(error))
        raise InvalidRequest(
            f"The request body holds a number too large to read: {reason}.", code="invalid_json"
        ) from error
    except msgspec.DecodeError as error:
        raise _malformed(body, error) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request body is not valid UTF-8: {error.reason}.", code="invalid_json") from error
    if not isinstance(tree, dict):
        raise InvalidRequest(f"The request body must be a JSON object, got {describe(tree)}.", code="invalid_type")
    if len(body) > 2 * _SHALLOW and body.count(b"{") + body.count(b"[") > _SHALLOW:
        _check_depth(tree)
    return tree


def convert(tree: Any, into: type[T] | Any, where: str = "") -> T:
    """``tree`` (decoded JSON) as ``into``; ``where`` is its own JSON path. Raises InvalidRequest naming the path."""
    try:
        return msgspec.convert(tree, into)
    except msgspec.ValidationError as error:
        raise explain(str(error), tree, where) from error


def explain(problem: str, tree: Any, where: str = "") -> InvalidRequest:
    """msgspec's sentence as OpenAI's error: path in ``param``, JSON's names for the types, what was sent."""
    at = _AT.search(problem)
    reason = problem[: at.start()] if at else problem
    path, value = _found(tree, at, reason) if at else ("", tree)
    param = join(where, path)
    if missing := _MISSING.match(reason):
        return missing_parameter(join(param, missing.group(1)))
    if got := re.search(r", got `\w+`$", reason):
        expected, code, sent = reason[: got.start()], "invalid_type", describe(value)
    else:
        expected, code, sent = reason, "invalid_value", quote(value)
    expected = re.sub(r"`([^`]+)`", lambda name: _json_type(name.group(1)), expected)
    expected = expected[0].lower() + expected[1:]
    if expected.startswith("invalid"):
        return InvalidRequest(
            f"Invalid value for '{param}': {sent} is not one of the supported values.", param=param, code=code
        )
    return InvalidRequest(f"Invalid value for '{param}': {expected}, got {sent}.", param=param or None, code=code)


def missing_parameter(param: str) -> InvalidRequest:
    """The error for a required field that was not sent."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def join(where: str, path: str) -> str:
    """Two pieces of a JSON path: ``input[0]`` and ``role`` make ``input[0].role``."""
    if not where or not path or path.startswith("["):
        return where + path
    return f"{where}.{path}"


def value_at(tree: Any, path: str) -> Any:
    """What stands at a JSON path such as ``input[0].role``; as far as the path can be followed."""
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
        elif isinstance(tree, list) and index and int(index) < len(tree):
            tree = tree[int(index)]
        else:
            break
    return tree


def describe(value: Any) -> str:
    """The JSON type of a value, and the value itself where it is short."""
    kind = _JSON_NAMES.get(type(value).__name__, type(value).__name__)
    return kind if isinstance(value, dict | list) or value is None else f"{kind} {quote(value)}"


def quote(value: Any) -> str:
    """A value as JSON, cut to a length that fits a sentence."""
    if isinstance(value, dict | list):
        return f"{describe(value)} of length {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 64 else f"{text[:60]}... ({len(text)} characters)"


def _found(tree: Any, at: re.Match[str], reason: str) -> tuple[str, Any]:
    """Path and value at fault; msgspec does not name keys of a mapping, so the first entry that fits is taken."""
    path = at.group(1).removesuffix("[...]")
    value = value_at(tree, path)
    if not isinstance(value, dict) or (path == at.group(1) and "`key`" not in at.group(0)):
        return path, value
    length = re.search(r"of length <= (\d+)$", reason)
    limit = int(length.group(1)) if length else sys.maxsize
    for key, entry in value.items():
        if "`key`" in at.group(0):
            if len(key) > limit:
                return join(path, key), key
        elif (isinstance(entry, str) and len(entry) > limit) or _got(reason, entry):
            return join(path, key), entry
    return path, value


def _got(reason: str, entry: Any) -> bool:
    """Whether this is what msgspec says it got; some types it calls by JSON's names."""
    name = type(entry).__name__
    return reason.endswith((f"got `{name}`", f"got `{_JSON_NAMES.get(name, name)}`"))


def _json_type(name: str) -> str:
    names = [_JSON_NAMES.get(one, one) for one in name.split(" | ") if one != "null"]
    return " or ".join(names)


def _malformed(body: bytes, error: msgspec.DecodeError) -> InvalidRequest:
    """Both parsers' knowledge: the stdlib's finds the token at fault, the fast one knows what the other lets pass."""
    reason = str(error)
    at = len(body)
    if byte := _BYTE.search(reason):
        at, reason = int(byte.group(1)), reason[: byte.start()]
    try:
        json.loads(body)
    except json.JSONDecodeError as second:
        at, reason = len(second.doc[: second.pos].encode("utf-8", "surrogatepass")), second.msg
    except (ValueError, RecursionError):
        pass  # the stdlib gave up without a position; what the first parser said stands
    before = body[:at]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return InvalidRequest(
        f"We could not parse the JSON body of your request: {reason} at line {line}, column {column} (byte {at}).",
        code="invalid_json",
    )


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The request body nests deeper than {MAX_DEPTH} levels.", code="invalid_json")


def _check_depth(tree: Any) -> None:
    level: list[Any] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise _too_deep()


def _children(node: Any) -> Iterator[Any]:
    values: Iterable[Any] = node.values() if isinstance(node, dict) else node
    return (value for value in values if isinstance(value, dict | list))
