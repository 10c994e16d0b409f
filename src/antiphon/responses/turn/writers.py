"""Output items while they are being written: each makes its events, from ``added`` to ``done``, in order.

A writer appends to its own ``events`` and does not care who reads them when; the Turn lets out those of one writer
after the other. ``close`` ends an item with its full ``.done`` sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import msgspec

from antiphon.errors import UpstreamError
from antiphon.responses.turn.calls import Extent
from antiphon.responses.turn.cite import Annotation, Citations
from antiphon.responses.turn.freeform import FreeformInput
from antiphon.wire import events
from antiphon.wire.events import AnyEvent, Channel, Delta, Kind
from antiphon.wire.items import (
    CustomToolCall,
    FunctionCall,
    Item,
    ItemStatus,
    Logprob,
    Message,
    MessagePart,
    OutputText,
    Part,
    Reasoning,
    ReasoningText,
    Refusal,
    SummaryText,
)

#: Gives an opaque form of reasoning text, for clients that keep the state themselves.
Seal = Callable[[str], str]

NewId = Callable[[str], str]


class CallShape(Protocol):
    """Which wire item a call of an offered function becomes; ``served`` ones are ours to make, and become none here."""

    @property
    def kind(self) -> Literal["function_call", "custom_tool_call", "served"]: ...
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str | None: ...


class PartWriter(msgspec.Struct, eq=False):
    """One part of an item: its channel, and the text so far."""

    channel: Channel
    pieces: list[str] = []
    logprobs: list[Logprob] = []
    annotations: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def open(self) -> AnyEvent:
        return events.part_added(self.channel, _part(self.channel.kind, "", []))

    def write(self, text: str, logprobs: list[Logprob] | None = None) -> AnyEvent:
        self.pieces.append(text)
        if logprobs:
            self.logprobs.extend(logprobs)
        return Delta(self.channel, text, logprobs)

    def annotate(self, annotation: dict[str, Any]) -> AnyEvent:
        self.annotations.append(annotation)
        return events.annotation_added(self.channel, len(self.annotations) - 1, annotation)

    def close(self, out: list[AnyEvent], *, interrupted: bool) -> Part:
        channel, text = self.channel, self.text
        part = _part(channel.kind, text, self.logprobs)
        if self.annotations and isinstance(part, OutputText):
            part = msgspec.structs.replace(part, annotations=self.annotations)
        out += (channel.done(text, self.logprobs), events.part_done(channel, part, interrupted=interrupted))
        return part


class MessageWriter:
    """An assistant message: parts of text and of refusal, one after the other."""

    __slots__ = ("_citations", "_content", "_id", "_index", "_sources", "closed", "events", "part")

    def __init__(self, item_id: str, output_index: int, sources: Mapping[str, Annotation] | None = None) -> None:
        self.closed = False
        self._sources = sources
        self._citations: Citations | None = None
        self.part: PartWriter | None = None
        """The part being written; the Turn writes text straight to it."""
        self._id = item_id
        self._index = output_index
        self._content: list[MessagePart] = []
        self.events: list[AnyEvent] = [events.item_added(output_index, Message(id=item_id, status="in_progress"))]

    def write(self, kind: Kind, text: str, logprobs: list[Logprob] | None = None) -> None:
        """Text of this kind; a change of kind closes one part and opens the next."""
        part = self.part
        if part is None or part.channel.kind is not kind:
            part = self._open_part(kind)
        if self._citations is not None:
            self._cite(self._citations.feed(text), logprobs)
        elif text:
            self.events.append(part.write(text, logprobs))

    def _open_part(self, kind: Kind) -> PartWriter:
        if self.part is not None:
            self._close_part(self.part)
        part = self.part = PartWriter(Channel(kind, self._id, self._index, len(self._content)))
        self.events.append(part.open())
        if self._sources:
            self._citations = Citations(self._sources) if kind is events.OUTPUT_TEXT else None
        return part

    def _cite(self, pieces: list[str | Annotation], logprobs: list[Logprob] | None = None) -> None:
        assert self.part is not None
        for piece in pieces:
            if isinstance(piece, str):
                self.events.append(self.part.write(piece, logprobs))
                logprobs = None
            else:
                self.events.append(self.part.annotate(piece))

    def close(self, status: ItemStatus) -> None:
        self.closed = True
        if self.part is not None:
            self._close_part(self.part, interrupted=status == "incomplete")
        item = Message(id=self._id, status=status, content=self._content)
        self.events.append(events.item_done(self._index, item))

    def _close_part(self, part: PartWriter, *, interrupted: bool = False) -> None:
        if self._citations is not None:
            self._cite(self._citations.flush())
        self._content.append(cast("MessagePart", part.close(self.events, interrupted=interrupted)))


class ReasoningWriter:
    """A reasoning item: its text goes out raw, or as a summary where the client asked for one."""

    __slots__ = ("_id", "_index", "_part", "_seal", "closed", "events")

    def __init__(self, item_id: str, output_index: int, *, summary: bool, seal: Seal | None) -> None:
        self.closed = False
        self._id = item_id
        self._index = output_index
        self._seal = seal
        kind = events.SUMMARY_TEXT if summary else events.REASONING_TEXT
        self._part = PartWriter(Channel(kind, item_id, output_index))
        added = events.item_added(output_index, self._item("in_progress", []))
        self.events: list[AnyEvent] = [added, self._part.open()]

    def write(self, text: str) -> None:
        self.events.append(self._part.write(text))

    def close(self, status: ItemStatus) -> None:
        self.closed = True
        part = self._part.close(self.events, interrupted=status == "incomplete")
        item = self._item(status, [part])
        if self._seal is not None:
            item = msgspec.structs.replace(item, encrypted_content=self._seal(self._part.text))
        self.events.append(events.item_done(self._index, item))

    def _item(self, status: ItemStatus, parts: Sequence[Part]) -> Reasoning:
        if self._part.channel.kind is events.SUMMARY_TEXT:
            return Reasoning(id=self._id, status=status, summary=[p for p in parts if isinstance(p, SummaryText)])
        return Reasoning(id=self._id, status=status, content=[p for p in parts if isinstance(p, ReasoningText)])


class CallWriter:
    """A tool call: an item where the client is to make it, and silence where we are (``served``).

    It makes no event before it has a name and a call id. Where the back end gives no id, or one that another call of
    this answer has already, the id is derived from the call itself, which is known only when it is closed. Its place
    in the output is taken when it is known to be an item: at its name, or when another item begins.
    """

    __slots__ = (
        "_channel", "_extent", "_freeform", "_id", "_index", "_new_id", "_pieces", "_position", "_said", "_scanned",
        "_take_index", "again", "call_id", "closed", "events", "given_id", "name", "shape", "status",
    )  # fmt: skip

    def __init__(self, take_index: Callable[[], int], position: int, new_id: NewId) -> None:
        self.closed = False
        self.events: list[AnyEvent] = []
        self.given_id: str | None = None
        """What the back end calls it."""
        self.call_id: str | None = None
        """What the wire calls it."""
        self.name: str | None = None
        """The function's name as the model says it."""
        self.shape: CallShape | None = None
        self.again = False
        """The name came again after whole arguments."""
        self.status: ItemStatus = "in_progress"
        self._index: int | None = None
        self._take_index = take_index
        self._position = position
        self._new_id = new_id
        self._id = ""
        self._channel: Channel | None = None
        self._freeform: FreeformInput | None = None
        self._pieces: list[str] = []
        self._said: list[str] = []
        self._extent = Extent()
        self._scanned = 0

    @property
    def complete(self) -> bool:
        """Whether the arguments are a whole JSON object, to which nothing can be added."""
        for piece in self._pieces[self._scanned :]:
            self._extent.add(piece)
        self._scanned = len(self._pieces)
        return self._extent.whole

    @property
    def served(self) -> bool:
        """Whether the call is ours to make."""
        return self.shape is not None and self.shape.kind == "served"

    @property
    def arguments(self) -> str:
        """All of them, so far."""
        return "".join(self._pieces)

    def settle(self) -> None:
        """Another item begins: this one takes its place before it, if it is one, or cannot be told from one."""
        if self._index is None and not self.served:
            self._index = self._take_index()

    def write(self, piece: str) -> None:
        """More of the arguments, or nothing but a name or an id newly known."""
        if self.served and self._index is not None:
            raise UpstreamError(
                f"The model named the call of {self.name!r} only after it had gone on.",
                code="upstream_invalid_response",
            )
        if self._channel is None and not self.closed:
            if piece:
                self._pieces.append(piece)
            if self.shape is not None and self.call_id is not None and not self.served:
                self._open(self.shape, self.call_id)
        elif not self.closed:
            if piece:
                self._pieces.append(piece)
                self._argue(piece)
        elif piece.strip():
            raise UpstreamError(
                f"The model went on with the arguments of {self.name!r} after they were complete.",
                code="upstream_invalid_response",
            )

    def close(self, status: ItemStatus) -> None:
        """Raises ``UpstreamError`` for a call that was never named."""
        if self.shape is None:
            raise UpstreamError("The model began a tool call without a name.", code="upstream_invalid_response")
        if self.call_id is None:
            self.call_id = _derived_call_id(self._position, self.shape.name, "".join(self._pieces))
        self.status = status
        if self.served:
            self.closed = True
            return
        if self._channel is None:
            self._open(self.shape, self.call_id)
        assert self._channel is not None
        assert self._index is not None
        self.closed = True
        if self._freeform is not None:
            self._say(self._freeform.flush())
        elif status == "completed" and not "".join(self._said).strip():
            # A call without arguments: some back ends send nothing, and every client parses what it gets.
            self._say("{}")
        said = "".join(self._said)
        self.events.append(self._channel.done(said, name=self.shape.name if self._freeform is None else None))
        self.events.append(events.item_done(self._index, self._item(self.shape, self.call_id, said, status)))

    def _open(self, shape: CallShape, call_id: str) -> None:
        self.settle()
        assert self._index is not None
        self._id = self._new_id(shape.kind)
        custom = shape.kind == "custom_tool_call"
        self._freeform = FreeformInput() if custom else None
        kind = events.CUSTOM_INPUT if custom else events.FUNCTION_ARGUMENTS
        self._channel = Channel(kind, self._id, self._index)
        self.events.append(events.item_added(self._index, self._item(shape, call_id, "", "in_progress")))
        for piece in self._pieces:
            self._argue(piece)

    def _argue(self, piece: str) -> None:
        self._say(piece if self._freeform is None else self._freeform.feed(piece))

    def _say(self, text: str) -> None:
        if text:
            assert self._channel is not None, "opened first"
            self._said.append(text)
            self.events.append(Delta(self._channel, text))

    def _item(self, shape: CallShape, call_id: str, said: str, status: ItemStatus) -> Item:
        namespace = shape.namespace or msgspec.UNSET
        if shape.kind == "custom_tool_call":
            return CustomToolCall(
                id=self._id, call_id=call_id, name=shape.name, input=said, status=status, namespace=namespace
            )
        return FunctionCall(
            id=self._id, call_id=call_id, name=shape.name, arguments=said, status=status, namespace=namespace
        )


Writer = MessageWriter | ReasoningWriter | CallWriter


def _derived_call_id(position: int, name: str, arguments: str) -> str:
    """Never random: it goes upstream again with the next request. Space around the arguments may be that of the next
    call, where a back end does not tell them apart."""
    return "call_" + hashlib.sha256(f"{position}\0{name}\0{arguments.strip()}".encode()).hexdigest()[:24]


def _part(kind: Kind, text: str, logprobs: list[Logprob]) -> Part:
    if kind is events.OUTPUT_TEXT:
        return OutputText(text=text, logprobs=logprobs)
    if kind is events.REFUSAL:
        return Refusal(refusal=text)
    if kind is events.SUMMARY_TEXT:
        return SummaryText(text=text)
    return ReasoningText(text=text)
