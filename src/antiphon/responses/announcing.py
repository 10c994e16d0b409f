"""Several at once, told one after the other: the events of calls that run together, in the order of the calls.

Each counts its items from 0; they are told with their places in the output of the response. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from antiphon.wire import events
from antiphon.wire.events import AnyEvent, Event, moved
from antiphon.wire.items import Item

Emit = Callable[[Sequence[AnyEvent]], None]

#: Types that have no status ``failed``.
_INCOMPLETE = frozenset({"tool_search_call", "tool_search_output"})


class Announcer:
    """``take`` what the n-th says, and tell when it is ``over``. What comes before its time waits."""

    def __init__(self, emit: Emit, first_index: int, count: int) -> None:
        self.ends: list[int] = [first_index] * count
        """For each that is over: the place in the output after its items."""
        self._emit = emit
        self._base = first_index
        self._at = 0
        self._waiting: list[list[AnyEvent]] = [[] for _ in range(count)]
        self._open: list[dict[int, Item]] = [{} for _ in range(count)]
        self._items = [0] * count
        self._over = [False] * count

    def take(self, n: int, event: AnyEvent) -> None:
        """An event of the n-th."""
        if isinstance(event, Event):
            self._follow(n, event)
        if n == self._at:
            self._emit([moved(event, self._base)])
        else:
            self._waiting[n].append(event)

    def over(self, n: int) -> None:
        """The n-th says no more: the next may be told."""
        self._over[n] = True
        while self._at < len(self._over) and self._over[self._at]:
            self._base += self._items[self._at]
            self.ends[self._at] = self._base
            self._at += 1
            if self._at < len(self._over) and self._waiting[self._at]:
                waiting, self._waiting[self._at] = self._waiting[self._at], []
                self._emit([moved(event, self._base) for event in waiting])

    def fail(self, n: int) -> None:
        """The n-th broke off: its open items are closed as failed."""
        for event in self._closing(n):
            self.take(n, event)

    def left_open(self) -> list[AnyEvent]:
        """The events that close what is being told now; what waits was not seen by anybody."""
        if self._at >= len(self._over):
            return []
        return [moved(event, self._base) for event in self._closing(self._at)]

    def _closing(self, n: int) -> list[AnyEvent]:
        return [events.item_done(index, _failed(item)) for index, item in sorted(self._open[n].items())]

    def _follow(self, n: int, event: Event) -> None:
        if event.type == "response.output_item.added":
            self._items[n] += 1
            self._open[n][event.payload["output_index"]] = event.payload["item"]
        elif event.type == "response.output_item.done":
            self._open[n].pop(event.payload["output_index"], None)


def _failed(item: Item) -> Item:
    if not hasattr(item, "status"):
        return item
    status: Any = "incomplete" if item.__struct_config__.tag in _INCOMPLETE else "failed"
    return msgspec.structs.replace(item, status=status)
