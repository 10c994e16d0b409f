"""The Response is what its events add up to.

The fold is total and pure: an event it does not know leaves the Response as it is. Deltas may be left out, because the
``.done`` events repeat what they said; with them the fold also shows the text of an item that is still growing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from antiphon.wire.events import AnyEvent, Delta, Event
from antiphon.wire.items import (
    CustomToolCall,
    FunctionCall,
    Item,
    Message,
    OutputText,
    Part,
    Reasoning,
    ReasoningText,
    Refusal,
    SummaryText,
)
from antiphon.wire.response import Response


class _Growing:
    """An item between ``added`` and ``done``: its parts as they began, and the pieces each has got."""

    __slots__ = ("parts", "pieces")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.pieces: dict[int, list[str]] = {}

    def text(self, part_index: int) -> str:
        return "".join(self.pieces.get(part_index, ()))


class Fold:
    """A Response growing event by event. ``output`` are its items so far, those that grow as they began."""

    __slots__ = ("_growing", "_response", "output")

    def __init__(self) -> None:
        self.output: list[Item] = []
        self._response: Response | None = None
        """As the last event that carries one has it; its output may be behind ``output``."""
        self._growing: dict[int, _Growing] = {}

    @property
    def response(self) -> Response:
        """Its value so far, with growing items as they began."""
        assert self._response is not None, "the first event carries the Response"
        if self._response.output != self.output:
            self._response = msgspec.structs.replace(self._response, output=list(self.output))
        return self._response

    def apply(self, event: AnyEvent) -> None:
        """Take one event in."""
        if type(event) is Delta:
            self._grow(event)
            return
        assert isinstance(event, Event)
        if (step := _STEPS.get(event.type)) is not None:
            step(self, event.payload)
        elif (response := event.payload.get("response")) is not None:
            self._response = response
            self.output = list(response.output)
            self._growing.clear()

    def snapshot(self) -> Response:
        """The Response with the text that growing items have so far."""
        response = self.response
        if not self._growing:
            return response
        output = list(response.output)
        for index, growing in self._growing.items():
            output[index] = _grown(output[index], growing)
        return msgspec.structs.replace(response, output=output)

    def _grow(self, delta: Delta) -> None:
        channel = delta.channel
        growing = self._growing.get(channel.output_index)
        if growing is not None:
            growing.pieces.setdefault(channel.part_index, []).append(delta.text)

    def _added(self, payload: dict[str, Any]) -> None:
        index = payload["output_index"]
        self.output[index : index + 1] = [payload["item"]]
        self._growing[index] = _Growing()

    def _done(self, payload: dict[str, Any]) -> None:
        index = payload["output_index"]
        self.output[index : index + 1] = [payload["item"]]
        self._growing.pop(index, None)

    def _part_added(self, payload: dict[str, Any]) -> None:
        growing = self._growing.get(payload["output_index"])
        if growing is not None:
            growing.parts.append(payload["part"])


#: What changes the items. The events that carry a Response say all of it; any other repeats what deltas said.
_STEPS: dict[str, Callable[[Fold, dict[str, Any]], None]] = {
    "response.output_item.added": Fold._added,
    "response.output_item.done": Fold._done,
    "response.content_part.added": Fold._part_added,
    "response.reasoning_summary_part.added": Fold._part_added,
}


def fold(events: Iterable[AnyEvent]) -> Response:
    """The Response that these events, from the first on, add up to."""
    folding = Fold()
    for event in events:
        folding.apply(event)
    return folding.snapshot()


def _grown(item: Item, growing: _Growing) -> Item:
    if isinstance(item, FunctionCall):
        return msgspec.structs.replace(item, arguments=growing.text(0))
    if isinstance(item, CustomToolCall):
        return msgspec.structs.replace(item, input=growing.text(0))
    parts = [_filled(part, growing.text(n)) for n, part in enumerate(growing.parts)]
    if isinstance(item, Message):
        return msgspec.structs.replace(item, content=[p for p in parts if isinstance(p, OutputText | Refusal)])
    if not isinstance(item, Reasoning):
        return item  # of a tool of ours: it is told whole
    summary = [part for part in parts if isinstance(part, SummaryText)]
    raw = [part for part in parts if isinstance(part, ReasoningText)]
    return Reasoning(id=item.id, status=item.status, summary=summary, content=raw or item.content)


def _filled(part: Part, text: str) -> Part:
    if isinstance(part, Refusal):
        return Refusal(refusal=text)
    return msgspec.structs.replace(part, text=text)
