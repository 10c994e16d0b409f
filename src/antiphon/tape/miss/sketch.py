"""A few hundred bytes that tell how near two requests are, without either of them.

The nearest of ten thousand recordings is sought among their sketches; only a few are then read and compared. A sketch
is made of checksums: of each message, and of the two texts that people edit most (the instructions and the last
message) in stretches that double in length from either end, so that what two long texts begin and end with in common
can be told from a dozen numbers.
"""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import Any
from zlib import crc32

import msgspec

from antiphon.tape.miss import sections
from antiphon.tape.miss.differ import encode
from antiphon.tape.model import Request

_FIRST = 8
_WIDTH = 4

_ENCODER = msgspec.json.Encoder(order="sorted")

#: What a difference costs; the parts of a request weigh as much as they say about which recording was meant.
_MODEL, _CONVERSATION, _SYSTEM, _TOOLS, _PARAMS = 20.0, 12.0, 8.0, 4.0, 2.0


class Grain(msgspec.Struct, frozen=True, array_like=True):
    """A text: its length, and checksums of stretches of 8, 8, 16, 32 ... bytes from its head and from its tail."""

    size: int = 0
    head: bytes = b""
    tail: bytes = b""


class Sketch(msgspec.Struct, frozen=True, array_like=True):
    """The outline of a request. Fit to be kept in an index (msgpack); equal requests have equal ones."""

    endpoint: str
    model: str = ""
    messages: bytes = b""
    system: Grain = Grain()
    last: Grain = Grain()
    tools: int = 0
    params: int = 0


def sketch(request: Request) -> Sketch:
    """The outline of a request: some 20 microseconds for 20 kB."""
    body = sections.body(request)
    if not isinstance(body, dict) or not (messages := sections.messages(body)):
        return Sketch(sections.endpoint(request), sections.model(request), last=_grain(_text(body)))
    talk = [one for one in messages if not sections.is_system(one)]
    return Sketch(
        sections.endpoint(request),
        sections.model(request),
        b"".join(_sum(_text(one)) for one in talk),
        _grain(b"".join(map(_text, sections.system(body)))),
        _grain(_text(talk[-1]) if talk else b""),
        crc32(_plain(sections.tools(body))),
        crc32(_plain(sections.params(body))),
    )


def distance(one: Sketch, other: Sketch) -> float:
    """How far apart two requests seem to be; 0 for what seems equal. The endpoint is not looked at."""
    far = 0.0
    if one.model != other.model:
        far += _MODEL
    if one.system != other.system:
        far += _SYSTEM * (1 - _alike(one.system, other.system))
    if one.tools != other.tools:
        far += _TOOLS
    if one.params != other.params:
        far += _PARAMS
    if one.messages == other.messages and one.last == other.last:
        return far
    longest = max(len(one.messages), len(other.messages), _WIDTH)
    alike: float = sum(map(operator.eq, _numbers(one.messages), _numbers(other.messages))) * _WIDTH
    if alike < longest:
        alike += _WIDTH * _alike(one.last, other.last)
    return far + _CONVERSATION * max(0.0, 1 - alike / longest)


def _numbers(checksums: bytes) -> memoryview:
    return memoryview(checksums).cast("I")


def _text(value: Any) -> bytes:
    """What a message says; the whole of it, where that is not one text."""
    content = value.get("content") if isinstance(value, dict) and not value.get("tool_calls") else value
    if isinstance(content, str) and (content or content is value):
        return content.encode("utf-8", "surrogatepass")
    return _plain(value)


def _plain(value: Any) -> bytes:
    """Equal for equal values."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair in a string
        return encode(value).encode("utf-8", "surrogatepass")


def _sum(data: bytes) -> bytes:
    return crc32(data).to_bytes(_WIDTH, "little")


def _grain(data: bytes) -> Grain:
    size = len(data)
    head, tail = [], []
    at, step = 0, _FIRST
    while at < size:
        head.append(crc32(data[at : at + step]).to_bytes(_WIDTH, "little"))
        tail.append(crc32(data[max(0, size - at - step) : size - at]).to_bytes(_WIDTH, "little"))
        at, step = at + step, at + step
    return Grain(size, b"".join(head), b"".join(tail))


@lru_cache(maxsize=1024)  # recordings of one program share their instructions
def _alike(one: Grain, other: Grain) -> float:
    """The share of two texts that they begin and end with in common, as far as the stretches tell."""
    longest = max(one.size, other.size)
    if one == other or not longest:
        return 1.0
    common = _run(one.head, other.head) + _run(one.tail, other.tail)
    return min(common / longest, 0.99)


def _run(one: bytes, other: bytes) -> int:
    at, length = 0, 0
    while at < min(len(one), len(other)) and one[at : at + _WIDTH] == other[at : at + _WIDTH]:
        at += _WIDTH
        length = length * 2 or _FIRST
    return length
