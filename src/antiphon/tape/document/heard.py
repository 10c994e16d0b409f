"""The JSON objects that a response brought, whatever carried them: events, lines, an array, one body."""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.tape.model import HttpResponse

_decode = msgspec.json.Decoder().decode


def objects(response: HttpResponse, holding: tuple[bytes, ...] = (b"",)) -> list[dict[str, Any]]:
    """The objects of the body in order. What is no JSON is passed over: this serves reviewers, not replay.

    ``holding``: of a stream only those events that hold one of these.
    """
    content = response.content.strip()
    whole = _parse(content)
    if whole is not None:
        return whole
    found: list[dict[str, Any]] = []
    event: list[bytes] = []
    for line in [*content.splitlines(), b""]:
        if line.startswith(b"data:"):
            event.append(line[5:])
        elif line[:1] in (b"{", b"["):
            found += _wanted(line, holding)
        elif not line and event:
            found += _wanted(b"\n".join(event), holding)
            event = []
    return found


def _wanted(text: bytes, holding: tuple[bytes, ...]) -> list[dict[str, Any]]:
    return _parse(text) or [] if any(word in text for word in holding) else []


def _parse(text: bytes) -> list[dict[str, Any]] | None:
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, dict)]
