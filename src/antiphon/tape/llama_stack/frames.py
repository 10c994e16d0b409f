"""How a stream is cut into events on the wire, both ways: server-sent events, and JSON by the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from antiphon.tape.model import Json

#: The last event of OpenAI's streams of completions.
DONE = b"data: [DONE]\n\n"
_LINE_END = re.compile(r"\r\n|\n|\r")


def dumps(value: Json) -> bytes:
    """JSON as an API writes it: compact, in UTF-8."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, which a model may well stream, has no UTF-8.
        return json.dumps(value, separators=(",", ":")).encode()


def sse(value: Json, event: str = "") -> bytes:
    """One server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + dumps(value) + b"\n\n"


def ndjson(value: Json) -> bytes:
    """One line of JSON."""
    return dumps(value) + b"\n"


def joined(lines: Sequence[str]) -> tuple[bytes, ...]:
    """Recorded lines as reads, one an event: an event ends with its empty line."""
    reads, event = [], ""
    for line in lines:
        event += line + "\n"
        if not line:
            reads.append(event)
            event = ""
    return tuple(read.encode() for read in (*reads, *([event] if event else ())))


def split_lines(text: str) -> list[str]:
    """The lines of ``text`` as an HTTP client iterates over them."""
    lines = _LINE_END.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def events(text: str, *, whole: bool) -> Iterator[str]:
    """The data of each server-sent event in ``text``. Not ``whole``: the last may be half of one, and is left out."""
    data: list[str] = []
    for line in _LINE_END.split(text):
        if line == "":
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    if data and whole:
        yield "\n".join(data)
