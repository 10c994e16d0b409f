"""The Response is what its events add up to.

The fold is total and pure: an event it does not know leaves the Response as it is. Deltas may be left out, because the
``.done`` events repeat what they said; with them the fold also shows the text of an item that is still growing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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


class Fold:
    """A Response growing event by event. ``output`` are its items so far, those that grow as they began."""

    __slots__ = ("_growing", "_pieces", "_response", "output")

    def __init__(self) -> None:
        self.output: list[Item] = []
        self._response: Response | None = None
        """As the last event that carries one has it; its output may be behind ``output``."""
        self._growing: dict[int, list[Part]] = {}
        """Items between ``added`` and ``done``: their parts as they began."""
        self._pieces: dict[tuple[int, int], list[str]] = {}
        """What deltas added to the parts of these items."""

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
        else:
            self.follow((event,))

    def follow(self, batch: Iterable[AnyEvent]) -> None:
        """Take events in, without the deltas."""
        for event in batch:
            if type(event) is Delta:
                continue
            assert isinstance(event, Event)
            step = _STEPS.get(event.type)
            if step is not None:
                step(self, event)
            elif (response := event.payload.get("response")) is not None:
                self._response = response
                self.output = list(response.output)
                self._growing.clear()
                self._pieces.clear()

    def snapshot(self) -> Response:
        """The Response with the text that growing items have so far."""
        response = self.response
        if not self._growing:
            return response
        output = list(response.output)
        for index, parts in self._growing.items():
            output[index] = self._grown(output[index], index, parts)
        return msgspec.structs.replace(response, output=output)

    def _grow(self, delta: Delta) -> None:
        channel = delta.channel
        if channel.output_index in self._growing:
            self._pieces.setdefault((channel.output_index, channel.part_index), []).append(delta.text)

    def _added(self, event: Event) -> None:
        index = event.payload["output_index"]
        self.output[index : index + 1] = [event.payload["item"]]
        self._growing[index] = []

    def _done(self, event: Event) -> None:
        index = event.payload["output_index"]
        self.output[index : index + 1] = [event.payload["item"]]
        self._growing.pop(index, None)

    def _part_added(self, event: Event) -> None:
        assert event.channel is not None
        parts = self._growing.get(event.channel.output_index)
        if parts is not None:
            parts.append(event.payload["part"])

    def _text(self, index: int, part: int) -> str:
        return "".join(self._pieces.get((index, part), ()))

    def _grown(self, item: Item, index: int, begun: list[Part]) -> Item:
        """The item with what its parts have so far."""
        if isinstance(item, FunctionCall):
            return msgspec.structs.replace(item, arguments=self._text(index, 0))
        if isinstance(item, CustomToolCall):
            return msgspec.structs.replace(item, input=self._text(index, 0))
        parts = [_filled(part, self._text(index, n)) for n, part in enumerate(begun)]
        if isinstance(item, Message):
            return msgspec.structs.replace(item, content=[p for p in parts if isinstance(p, OutputText | Refusal)])
        if not isinstance(item, Reasoning):
            return item  # of a tool of ours: it is told whole
        summary = [part for part in parts if isinstance(part, SummaryText)]
        raw = [part for part in parts if isinstance(part, ReasoningText)]
        return Reasoning(id=item.id, status=item.status, summary=summary, content=raw or item.content)


#: What changes the items. The events that carry a Response say all of it; any other repeats what deltas said.
_STEPS: dict[str, Callable[[Fold, Event], None]] = {
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


def _filled(part: Part, text: str) -> Part:
    if isinstance(part, Refusal):
        return Refusal(refusal=text)
    return msgspec.structs.replace(part, text=text)
