"""Events to the bytes of a stream: each event once, when it gets its number. Every reader shares these bytes.

A delta is the hot path: everything but its text and its number is the same for all of its channel, so it is kept as
ready bytes and only the text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
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


#: A numbered, encoded event as it stands in a stream: its ``event:`` line, its ``data:`` line, and the blank one.
Frame = bytes

_DATA = b"\ndata: "

#: What every event of a type begins with, up to its number, by dialect and by our name for the type.
_HEADS: dict[Dialect, dict[str, bytes]] = {"openai": {}, "open-responses": {}}


class EventEncoder:
    """Encodes the events of one response. Remembers the last channel, because its events come in runs, and the last
    Response, because a stream begins with the same one twice."""

    __slots__ = ("_channel", "_dialect", "_head", "_heads", "_place", "_response", "_shown", "_tail")

    def __init__(self, dialect: Dialect = "openai") -> None:
        self._dialect = dialect
        self._heads = _HEADS[dialect]
        self._channel: Channel | None = None
        self._head = b""
        self._place = self._tail = b""
        self._response: Any = None
        self._shown = b""

    def frames(self, batch: Iterable[AnyEvent], first: int) -> list[Frame]:
        """The events, numbered from ``first`` on."""
        heads, frames = self._heads, []
        for number, event in enumerate(batch, first):
            if type(event) is Delta:
                frames.append(self.text(event, number))
                continue
            assert isinstance(event, Event)
            head, payload = heads.get(event.type) or self._begin(event.type), event.payload
            if (channel := event.channel) is not None:
                if channel is not self._channel:
                    self._enter(channel)
                frames.append(b"%b%d%b,%b\n\n" % (head, number, self._place, _encode(payload)[1:]))
                continue
            if (response := payload.get("response")) is None:
                frames.append(b"%b%d,%b\n\n" % (head, number, _encode(payload)[1:]))
                continue
            if response is not self._response:
                self._response, self._shown = response, _encode(response)
            frames.append(b'%b%d,"response":%b}\n\n' % (head, number, self._shown))
        return frames

    def text(self, delta: Delta, number: int) -> Frame:
        """A piece of text as ``sequence_number`` ``number``."""
        if delta.channel is not self._channel:
            self._enter(delta.channel)
        if delta.logprobs is None:
            return b"%b%d%b%b}\n\n" % (self._head, number, self._tail, _encode(delta.text))
        payload = {"logprobs": delta.logprobs, "delta": delta.text}
        return b"%b%d%b,%b\n\n" % (self._head, number, self._place, _encode(payload)[1:])

    def _enter(self, channel: Channel) -> None:
        name = channel.kind.delta
        self._channel = channel
        self._head = self._heads.get(name) or self._begin(name)
        self._place = b"," + _encode(channel.place())[1:-1]
        self._tail = self._place + (b',"logprobs":[],"delta":' if channel.kind.logprobs else b',"delta":')

    def _begin(self, type_: str) -> bytes:
        name = _RENAMED[self._dialect].get(type_, type_)
        head = self._heads[type_] = b'event: %b\ndata: {"type":%b,"sequence_number":' % (name.encode(), _encode(name))
        return head


def data_of(frame: Frame) -> bytes:
    """The JSON object in a frame."""
    return frame[frame.index(_DATA) + len(_DATA) : -2]
