"""The Journal as it is stored: small, and giving back the identical bytes.

A run of deltas of one channel becomes that channel and a list of texts. Any other event keeps its bytes, except for
what events repeat. What all Response snapshots begin with, and how the first one goes on from there, are kept once. A
text and its log probabilities, which the ``.done`` events say again, are not kept at all, because the deltas tell them;
nor is, in a snapshot, an item that was told before.

Layout (MessagePack): ``[version, dialect, beginning, opening, records]``. A record is either a run of deltas, ``[kind,
item_id, output_index, part_index, texts]`` and perhaps a list of log probabilities behind, or any other event, ``[type,
*pieces]``. The pieces make up its JSON from its number on: bytes as they are, or the number of a phrase. Phrases 0 and
1 are the beginning and the opening; then, in order, every run of deltas adds its text as JSON and, where there are any,
its log probabilities, and every finished item its JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.wire.encode import Dialect, Entry, EventEncoder
from antiphon.wire.events import KINDS, AnyEvent, Channel, Delta, Event

_VERSION = 2
#: Shorter phrases are not looked for: an empty one would be found everywhere.
_WORTH_SHARING = 8
#: Bytes of a phrase that are looked for: a search prepares for every byte of what it is to find.
_ENOUGH = 64

#: What every event begins with, up to its number.
_HEAD = b'{"type":"%b","sequence_number":'
_HEAD_SIZE = len(_HEAD % b"")

_SNAPSHOT = b'"response":{'
#: Where a Response begins to change while it is made.
_CHANGING = b'"status":"'
_ITEM = b'"item":'
_ITEM_DONE = "response.output_item.done"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_json = msgspec.json.Encoder().encode


def encode(events: Sequence[AnyEvent], entries: Sequence[Entry], dialect: Dialect) -> bytes:
    """Pack events and their encoded form, which run side by side, first to last."""
    beginning, opening = _first_snapshot(events, entries)
    phrases = [beginning, opening]
    in_snapshots = [0, 1]
    in_item: list[int] = []  # what only the events of the item that grows say again
    records: list[list[Any]] = []
    at = 0
    while at < len(events):
        event = events[at]
        if isinstance(event, Delta):
            end = _end_of_run(events, at, event.channel)
            record = _run_of_deltas(event.channel, events[at:end])
            for phrase in _said(record):
                if len(phrase) >= _WORTH_SHARING:
                    in_item.append(len(phrases))
                phrases.append(phrase)
            at = end
        else:
            entry = entries[at]
            record = _record(entry, phrases, in_snapshots if "response" in event.payload else in_item)
            if entry.type == _ITEM_DONE:
                in_snapshots.append(len(phrases))
                phrases.append(_item(entry.data))
                in_item = []
            at += 1
        records.append(record)
    return _pack([_VERSION, dialect, beginning, opening, records])


def decode(data: bytes, first: int) -> list[Entry]:
    """The entries again; ``first`` is the sequence number of the first of them."""
    version, *rest = _unpack(data)
    if version != _VERSION:
        raise ValueError(f"a journal segment of version {version} cannot be read by this version of Antiphon")
    dialect, beginning, opening, records = rest
    encode_event = EventEncoder(dialect).encode
    phrases: list[bytes] = [beginning, opening]
    entries: list[Entry] = []
    for record in records:
        if isinstance(record[0], str):
            entry = _whole(record, phrases)
            entries.append(entry)
            if entry.type == _ITEM_DONE:
                phrases.append(_item(entry.data))
            continue
        phrases += _said(record)
        kind, item_id, output_index, part_index, texts, *logprobs = record
        channel = Channel(KINDS[kind], item_id, output_index, part_index)
        for text, some in zip(texts, logprobs[0] if logprobs else [None] * len(texts), strict=True):
            entries.append(encode_event(Delta(channel, text, some), first + len(entries)))
    return entries


# -- phrases


def _first_snapshot(events: Sequence[AnyEvent], entries: Sequence[Entry]) -> tuple[bytes, bytes]:
    """What a Response begins with as long as it is made, and how it goes on the first time."""
    for event, entry in zip(events, entries, strict=True):
        if _is_snapshot(event):
            beginning, changing, rest = entry.data[entry.data.find(_SNAPSHOT) :].rpartition(_CHANGING)
            return beginning, changing + rest
    return b"", b""


def _is_snapshot(event: AnyEvent) -> bool:
    return isinstance(event, Event) and "response" in event.payload


def _said(record: Sequence[Any]) -> list[bytes]:
    """What the events after a run of deltas will say again, without the quotes or brackets around it."""
    texts, *logprobs = record[4:]
    said = [_json("".join(texts))[1:-1]]
    if logprobs:
        said.append(_json([logprob for some in logprobs[0] for logprob in some or ()])[1:-1])
    return said


def _item(data: bytes) -> bytes:
    """The item of an event that ends with it."""
    return data[data.index(_ITEM) + len(_ITEM) : -1]


# -- records


def _end_of_run(events: Sequence[AnyEvent], at: int, channel: Channel) -> int:
    """The first place after ``at`` that has no delta of this channel."""
    for place in range(at + 1, len(events)):
        event = events[place]
        if not isinstance(event, Delta) or (event.channel is not channel and event.channel != channel):
            return place
    return len(events)


def _run_of_deltas(channel: Channel, deltas: Sequence[Any]) -> list[Any]:
    record = [KINDS.index(channel.kind), channel.item_id, channel.output_index, channel.part_index]
    record.append([delta.text for delta in deltas])
    logprobs = [delta.logprobs for delta in deltas]
    if logprobs.count(None) < len(logprobs):
        record.append(logprobs)
    return record


def _record(entry: Entry, phrases: Sequence[bytes], candidates: Sequence[int]) -> list[Any]:
    """An event, cut at the phrases, which it says in their order if at all."""
    name, data = entry.type, entry.data
    at = _HEAD_SIZE + len(name)
    if not candidates:
        return [name, data[at:]]
    record: list[Any] = [name]
    for number in candidates:
        phrase = phrases[number]
        found = data.find(phrase[:_ENOUGH], at)
        if found >= 0 and data.startswith(phrase, found):
            if found > at:
                record.append(data[at:found])
            record.append(number)
            at = found + len(phrase)
    if at < len(data):
        record.append(data[at:])
    return record


def _whole(record: Sequence[Any], phrases: Sequence[bytes]) -> Entry:
    """The event that such a record is made of."""
    name, *pieces = record
    body = b"".join([phrases[piece] if isinstance(piece, int) else piece for piece in pieces])
    return Entry(name, _HEAD % name.encode() + body)
