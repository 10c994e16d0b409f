"""The outer form of their files: who recorded, the request, the response, and the objects wrapped in class names.

Promise: reading a file runs none of the code it names. ``{"__type__": ..., "__data__": ...}`` is data with a label.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from antiphon.tape.model import Json

#: A file opens with one of these members; ours open with ``tape``.
_OPENING = re.compile(rb'\s*\{\s*"(?:test_id|request|response|id_normalization_mapping)"\s*:')


class Unreadable(ValueError):
    """This is no recording of Llama Stack, or a damaged one; the message says why."""


class Envelope(msgspec.Struct, frozen=True):
    """One file. ``test_id`` is the pytest node id; the oldest files lack it, and those of a session have null."""

    request: dict[str, Any]
    response: dict[str, Any]
    test_id: str | None = None


class _File(Envelope, frozen=True):
    id_normalization_mapping: dict[str, str] | None = None


class _Top(msgspec.Struct, frozen=True):
    """A file with its response left as text: an index has no use for it."""

    request: dict[str, Any]
    response: msgspec.Raw
    test_id: str | None = None
    id_normalization_mapping: dict[str, str] | None = None


_file = msgspec.json.Decoder(_File)
_top = msgspec.json.Decoder(_Top)


def is_recording(data: bytes) -> bool:
    """Whether these are the bytes of one of their files, by a glance at both ends of the envelope."""
    return _OPENING.match(data) is not None and b'"request"' in data and b'"response"' in data


def parse(data: bytes) -> Envelope:
    """The whole file. Raises ``Unreadable``."""
    found = _decode(data, _file)
    return _renamed(found) if found.id_normalization_mapping else found


def parse_request(data: bytes) -> tuple[str | None, dict[str, Any]]:
    """The test id and the request alone, without decoding the response. Raises ``Unreadable``."""
    try:
        top = _top.decode(data)
    except (msgspec.DecodeError, RecursionError):
        found = parse(data)
        return found.test_id, found.request
    if top.id_normalization_mapping:
        found = parse(data)
        return found.test_id, found.request
    return top.test_id, top.request


def unwrap(value: Json) -> Json:
    """``value`` with every labelled object, at any depth, replaced by its data."""
    if isinstance(value, dict):
        if value.keys() == {"__type__", "__data__"}:
            return unwrap(value["__data__"])
        return {name: unwrap(item) for name, item in value.items()}
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    return value


def _decode(data: bytes, decoder: msgspec.json.Decoder[_File]) -> _File:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        return _lenient(data, error)


def _lenient(data: bytes, error: Exception) -> _File:
    # Their files are Python's JSON, which also holds NaN and half a surrogate pair.
    try:
        return msgspec.convert(json.loads(data), _File)
    except (ValueError, RecursionError) as worse:
        raise Unreadable(f"not a recording of Llama Stack: {error}") from worse


def _renamed(found: _File) -> Envelope:
    """``found`` with the ids of its mapping replaced wherever they stand, which is how their loader does it.

    The mapping goes from the name to use to the name that was recorded.
    """
    text = json.dumps({"test_id": found.test_id, "request": found.request, "response": found.response})
    for name, recorded in (found.id_normalization_mapping or {}).items():
        if recorded:
            text = text.replace(recorded, name)
    try:
        return msgspec.convert(json.loads(text), Envelope)
    except ValueError as error:
        raise Unreadable(f"the id mapping of this recording breaks it: {error}") from error
