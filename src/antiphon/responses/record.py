"""What a run has told so far: the Journal, the Response that its events add up to, and what is kept beside items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.responses.fold import Fold
from antiphon.responses.journal import Journal, ResponseTooLarge
from antiphon.responses.serving import Made
from antiphon.storage.model import Step, StoredItem
from antiphon.wire import seen
from antiphon.wire.chat import ChatRequest
from antiphon.wire.events import AnyEvent
from antiphon.wire.response import Response
from antiphon.wire.seen import Seen

ItemDict = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class Record:
    """The events of one response. ``first_item`` counts the items before its output, for what is stored."""

    def __init__(self, journal: Journal, first_item: int) -> None:
        self.journal = journal
        self._fold = Fold()
        self._first_item = first_item
        self._seen: dict[int, list[Seen]] = {}
        """By the place in the output after which it was shown."""

    @property
    def response(self) -> Response:
        """The Response so far, growing items as they began."""
        return self._fold.response

    @property
    def told(self) -> int:
        """How many items the output has."""
        return len(self._fold.output)

    @property
    def snapshot(self) -> Response:
        """The Response with the text that growing items have so far."""
        return self._fold.snapshot()

    def emit(self, batch: Sequence[AnyEvent]) -> None:
        """Tell these events. Raises ``ResponseTooLarge`` once they are told."""
        if not batch:
            return
        try:
            self.journal.extend(batch)
        except ResponseTooLarge:
            # What the Turn has told it will not tell again, and what follows refers to it: this batch still goes out.
            self.publish(batch)
            raise
        self.apply(batch)

    def publish(self, batch: Sequence[AnyEvent]) -> None:
        """Events that must be told, whatever the size of the log."""
        if not batch:
            return
        self.journal.publish(self.journal.number(batch, over_limit=True))
        self.apply(batch)

    def apply(self, batch: Sequence[AnyEvent]) -> None:
        """Events that are told elsewhere."""
        self._fold.follow(batch)

    def asked(self, request: ChatRequest, *, first_item: int, first_event: int, exchange: bytes | None = None) -> None:
        """One answer of the model is told; ``exchange`` is how it came, where that is kept."""
        parameters = request.copy()
        del parameters["messages"]
        self._step("model", first_item, first_event, _encode(parameters), exchange)

    def made(self, calls: Sequence[Made], *, first_item: int, first_event: int) -> None:
        """Calls of ours are told, with what the model is shown of them."""
        for call in calls:
            self._seen.setdefault(max(call.items_to - 1, 0), []).append(call.seen)
        self._step("tool", first_item, first_event, b"{}")

    def produced(self) -> list[ItemDict]:
        """What the response has added so far, as the model is shown it."""
        output = self.response.output
        return seen.unfold((msgspec.to_builtins(item), self._seen.get(n, ())) for n, item in enumerate(output))

    def stored(self, response: Response) -> list[StoredItem]:
        """The output as it is kept."""
        shown, first = self._seen, self._first_item
        return [
            StoredItem(item.id, "out", first + n, _encode(item), seen.encode(shown[n]) if n in shown else None)
            for n, item in enumerate(response.output)
        ]

    def _step(
        self, kind: Any, first_item: int, first_event: int, parameters: bytes, exchange: bytes | None = None
    ) -> None:
        self.journal.steps.append(
            Step(
                n=len(self.journal.steps),
                kind=kind,
                first_seq=first_event,
                last_seq=len(self.journal.frames) - 1,
                item_from=self._first_item + first_item,
                item_to=self._first_item + len(self._fold.output),
                request_parameters=parameters,
                exchange=exchange,
            )
        )
