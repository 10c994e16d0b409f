"""Events to JSON bytes: each event once, when it gets its number.

A delta is the hot path: everything but its text and its number is the same for all of its channel, so it is kept as
ready bytes and only the text is escaped.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from antiphon.wire.events import AnyEvent, Channel, Delta, Event

Dialect = Literal["openai", "open-responses"]

#: Open Responses' names for the events that it calls differently.
_RENAMED: dict[Dialect, dict[str, str]] = {
    "openai": {},
    "open-responses": {
        "response.reasoning_text.delta": "response.reasoning.delta",
        "response.reasoning_text.done": "response.reasoning.done",
    },
}

_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A numbered, encoded event: its wire type and its JSON object. Its number is its place in the Journal."""

    type: str
    data: bytes


#: The beginning of every event of a type, up to its number.
_HEADS: dict[str, bytes] = {}


class EventEncoder:
    """Encodes the events of one response. Remembers the last channel, because deltas come in runs, and the last
    Response, because a stream begins with the same one twice."""

    __slots__ = ("_channel", "_head", "_names", "_response", "_shown", "_tail", "_type")

    def __init__(self, dialect: Dialect = "openai") -> None:
        self._names = _RENAMED[dialect]
        self._channel: Channel | None = None
        self._type = ""
        self._head = b""
        self._tail = b""
        self._response: Any = None
        self._shown = b""

    def encode(self, event: AnyEvent, number: int) -> Entry:
        """The event as ``sequence_number`` ``number``."""
        if type(event) is Delta:
            if event.channel is not self._channel:
                self._enter(event.channel)
            if event.logprobs is None:
                return Entry(self._type, b"%b%d%b%b}" % (self._head, number, self._tail, _encode(event.text)))
            return self._with_logprobs(event, number)
        assert isinstance(event, Event)
        name, payload = self._names.get(event.type, event.type), event.payload
        if (response := payload.get("response")) is not None and len(payload) == 1:
            if response is not self._response:
                self._response, self._shown = response, _encode(payload)
            rest = self._shown
        else:
            rest = _encode(payload)
        return Entry(name, b"%b%d,%b" % (_HEADS.get(name) or _head(name), number, rest[1:]))

    def _enter(self, channel: Channel) -> None:
        name = channel.kind.stem + ".delta"
        self._channel = channel
        self._type = self._names.get(name, name)
        self._head = _head(self._type)
        place = channel.place()
        if channel.kind.logprobs:
            place["logprobs"] = []
        self._tail = b"," + _encode(place)[1:-1] + b',"delta":'

    def _with_logprobs(self, event: Delta, number: int) -> Entry:
        payload = {**event.channel.place(), "logprobs": event.logprobs, "delta": event.text}
        return Entry(self._type, _encode({"type": self._type, "sequence_number": number, **payload}))


def _head(name: str) -> bytes:
    head = _HEADS[name] = _encode({"type": name})[:-1] + b',"sequence_number":'
    return head
