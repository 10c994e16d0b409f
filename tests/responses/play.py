"""From chunks to a finished journal, the way a run does it, without a run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import UpstreamError
from antiphon.responses import lifecycle
from antiphon.responses.fold import Fold
from antiphon.responses.journal import Journal
from antiphon.responses.turn import Turn, TurnOptions
from antiphon.wire.chat import ChatChunk
from antiphon.wire.encode import Dialect, data_of
from antiphon.wire.events import AnyEvent
from antiphon.wire.response import Response, Usage

RESPONSE = Response(id="resp_1", created_at=1_700_000_000, model="m")


class Shape(msgspec.Struct, frozen=True):
    """What a function's name becomes: ``c_`` is a custom tool, ``ns__`` a namespace."""

    name: str
    kind: Literal["function_call", "custom_tool_call"] = "function_call"
    namespace: str | None = None


def shape_of(name: str) -> Shape:
    """The shape of a call of this name."""
    namespace, _, inner = name.rpartition("__")
    return Shape(inner, "custom_tool_call" if inner.startswith("c_") else "function_call", namespace or None)


def options(**changes: Any) -> TurnOptions:
    """Options with ids that count."""
    count = itertools.count()
    return TurnOptions(new_id=lambda kind: f"{kind}_{next(count)}", shape_of=shape_of, **changes)


def read(chunks: Sequence[dict[str, Any]]) -> list[ChatChunk]:
    """Chunks as they come out of the back end's JSON."""
    return msgspec.convert(chunks, list[ChatChunk])


class Played(Journal):
    """A journal that remembers the events themselves too."""

    def __init__(self, *, dialect: Dialect) -> None:
        super().__init__(dialect=dialect, max_bytes=10**9)
        self.events: list[AnyEvent] = []

    def extend(self, batch: Sequence[AnyEvent]) -> None:
        """Told now."""
        self.events += batch
        super().extend(batch)

    def number(self, batch: Sequence[AnyEvent], *, over_limit: bool = False) -> list[bytes]:
        """Told at the end."""
        self.events += batch
        return super().number(batch, over_limit=over_limit)


def play(
    chunks: Sequence[ChatChunk],
    settings: TurnOptions | None = None,
    *,
    dialect: Dialect = "openai",
    cut: Literal["", "failed", "cancelled"] = "",
) -> Played:
    """The journal of a run over one upstream stream; ``cut`` says how it ends when the stream broke off."""
    journal = Played(dialect=dialect)
    turn = Turn(settings or options())
    folding = Fold()

    def emit(batch: Sequence[AnyEvent]) -> None:
        journal.extend(batch)
        for event in batch:
            folding.apply(event)

    emit(lifecycle.opening(RESPONSE))
    failure = UpstreamError("The upstream broke off.", code="upstream_stream_cut")
    try:
        for chunk in chunks:
            emit(turn.feed([chunk]))
        emit(turn.flush(cut=bool(cut)))
    except UpstreamError as raised:
        failure, cut = raised, "failed"
        emit(turn.flush(cut=True))
    response = folding.response
    assert response is not None
    journal.end(journal.number(_ending(response, turn, cut, failure)))
    return journal


def _ending(response: Response, turn: Turn, cut: str, failure: UpstreamError) -> list[AnyEvent]:
    usage, tier = turn.usage, turn.service_tier or "auto"
    if cut == "failed":
        return [*lifecycle.failed(response, failure, usage=usage)]
    if cut == "cancelled":
        return [lifecycle.cancelled(response, usage=usage)]
    if turn.finish == "length":
        return [lifecycle.incomplete(response, "max_output_tokens", usage=usage, service_tier=tier)]
    if turn.finish == "content_filter":
        return [lifecycle.incomplete(response, "content_filter", usage=usage, service_tier=tier)]
    return [lifecycle.completed(response, usage=usage, service_tier=tier, at=1_700_000_001)]


def wire(journal: Journal) -> list[dict[str, Any]]:
    """What a client reads."""
    return [json.loads(data_of(frame)) for frame in journal.frames]


def output(journal: Journal) -> list[dict[str, Any]]:
    """The items of the terminal event."""
    items: list[dict[str, Any]] = wire(journal)[-1]["response"]["output"]
    return items


NO_USAGE = Usage()
