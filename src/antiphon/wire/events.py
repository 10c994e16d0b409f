"""Wire events: the one truth about a response.

An event has no number yet; the Journal gives it one. Two shapes are enough. ``Delta`` is the one of which there are
thousands: a piece of text and the ``Channel`` it belongs to, which knows everything its pieces have in common.
``Event`` is everything else: a type and its payload.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from antiphon.wire.items import Item, Logprob, Part
from antiphon.wire.response import Response


class Kind(msgspec.Struct, frozen=True):
    """What is peculiar to one kind of text: the names of its events, the ``.done`` key, and the key of its part."""

    stem: str
    delta: str
    done: str
    done_key: str
    index_key: str | None
    part_added: str
    part_done: str
    logprobs: bool


def _kind(stem: str, done_key: str, index_key: str | None, *, part: str = "", logprobs: bool = False) -> Kind:
    stem, part = f"response.{stem}", f"response.{part}"
    return Kind(stem, f"{stem}.delta", f"{stem}.done", done_key, index_key, f"{part}.added", f"{part}.done", logprobs)


OUTPUT_TEXT = _kind("output_text", "text", "content_index", part="content_part", logprobs=True)
REFUSAL = _kind("refusal", "refusal", "content_index", part="content_part")
REASONING_TEXT = _kind("reasoning_text", "text", "content_index", part="content_part")
SUMMARY_TEXT = _kind("reasoning_summary_text", "text", "summary_index", part="reasoning_summary_part")
FUNCTION_ARGUMENTS = _kind("function_call_arguments", "arguments", None)
CUSTOM_INPUT = _kind("custom_tool_call_input", "input", None)
MCP_ARGUMENTS = _kind("mcp_call_arguments", "arguments", None)


class Channel(msgspec.Struct, frozen=True):
    """One growing text: of which kind, of which item, and (where the kind has parts) of which part."""

    kind: Kind
    item_id: str
    output_index: int
    part_index: int = 0

    def place(self) -> dict[str, Any]:
        """The keys that all events of this text share."""
        key = self.kind.index_key
        if key is None:
            return {"item_id": self.item_id, "output_index": self.output_index}
        return {"item_id": self.item_id, "output_index": self.output_index, key: self.part_index}

    def done(self, text: str, logprobs: Iterable[Logprob] = (), *, name: str | None = None) -> Event:
        """The event that repeats what the deltas said. Older clients want the function's ``name`` here."""
        kind = self.kind
        payload: dict[str, Any] = {kind.done_key: text}
        if kind.logprobs:
            payload["logprobs"] = list(logprobs)
        if name is not None:
            payload["name"] = name
        return Event(kind.done, payload, self)


class Event(msgspec.Struct, frozen=True):
    """Any event but a delta: its type, and its payload without ``type``, ``sequence_number`` and, where it is of a
    ``channel``, the keys that all events of that share."""

    type: str
    payload: dict[str, Any]
    channel: Channel | None = None

    @property
    def output_index(self) -> int | None:
        """The place of its item in the output; None where it is of no item."""
        return self.payload.get("output_index") if self.channel is None else self.channel.output_index


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a growing text. ``logprobs`` only where the client asked for them."""

    channel: Channel
    text: str
    logprobs: list[Logprob] | None = None

    @property
    def type(self) -> str:
        """The wire type, before any dialect."""
        return self.channel.kind.delta


AnyEvent = Event | Delta


def lifecycle(type_: str, response: Response) -> Event:
    """An event that carries the whole Response (``response.created`` and its like)."""
    return Event(type_, {"response": response})


def error(*, type_: str, code: str | None, message: str, param: str | None) -> Event:
    """A failure inside a stream: flat for the clients that read it so, and nested for those that read it so."""
    nested = {"type": type_, "code": code, "message": message, "param": param}
    return Event("error", {"code": code, "message": message, "param": param, "error": nested})


def item_added(output_index: int, item: Item) -> Event:
    """An item begins."""
    return Event("response.output_item.added", {"output_index": output_index, "item": item})


def item_done(output_index: int, item: Item) -> Event:
    """An item is finished; clients that read nothing else get it whole from here."""
    return Event("response.output_item.done", {"output_index": output_index, "item": item})


def item_step(step: str, output_index: int, item_id: str) -> Event:
    """How far an item of ours is: ``mcp_call.in_progress``, ``web_search_call.searching`` and their like."""
    return Event(f"response.{step}", {"output_index": output_index, "item_id": item_id})


def moved(event: AnyEvent, by: int) -> AnyEvent:
    """The same event, of an item ``by`` places later in the output."""
    channel = event.channel
    if channel is not None:
        there = msgspec.structs.replace(channel, output_index=channel.output_index + by)
        return msgspec.structs.replace(event, channel=there)
    assert isinstance(event, Event)
    return Event(event.type, {**event.payload, "output_index": event.payload["output_index"] + by})


def annotation_added(channel: Channel, annotation_index: int, annotation: dict[str, Any]) -> Event:
    """The text cites something."""
    payload = {"annotation_index": annotation_index, "annotation": annotation}
    return Event(f"{channel.kind.stem}.annotation.added", payload, channel)


def part_added(channel: Channel, part: Part) -> Event:
    """A part of an item begins, empty."""
    return Event(channel.kind.part_added, {"part": part}, channel)


def part_done(channel: Channel, part: Part, *, interrupted: bool = False) -> Event:
    """A part is finished. A summary that was cut says so."""
    payload: dict[str, Any] = {"part": part}
    if interrupted and channel.kind is SUMMARY_TEXT:
        payload["status"] = "incomplete"
    return Event(channel.kind.part_done, payload, channel)
