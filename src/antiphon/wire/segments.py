"""The Journal as it is stored: small, and giving back the identical bytes.

A run of deltas of one channel becomes that channel and a list of texts. Any other event keeps its bytes, except for
what events repeat: the beginning of every Response snapshot is kept once, and a text or its log probabilities, which
the ``.done`` events say again, are not kept at all, because the deltas tell them.

Layout (MessagePack): ``[version, dialect, beginning, records]``. A record is either a run of deltas, ``[kind, item_id,
output_index, part_index, texts]`` and perhaps a list of log probabilities behind, or any other event, a list of pieces:
bytes as they are, or the number of a phrase. Phrase 0 is the beginning; every run of deltas adds two, its text and its
log probabilities as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from antiphon.wire.encode import Dialect, Entry, EventEncoder
from antiphon.wire.events import KINDS, AnyEvent, Channel, Delta

_VERSION = 1
#: Shorter phrases are not looked for: an empty one would be found everywhere.
_WORTH_SHARING = 8

_SNAPSHOT = b'"response":{'
_TYPE_AT = len(b'{"type":"')
_ITEM_DONE = "response.output_item.done"

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_json = msgspec.json.Encoder().encode


def encode(events: Sequence[AnyEvent], entries: Sequence[Entry], dialect: Dialect) -> bytes:
    """Pack events and their encoded form, which run side by side, first to last."""
    phrases = [_beginning(entries)]
    item_from = 1  # phrases before are those of earlier items, which only a snapshot says again
    records: list[list[Any]] = []
    for channel, run in groupby(zip(events, entries, strict=True), key=_channel_of):
        if channel is not None:
            record = _run_of_deltas(channel, [event for event, _ in run if isinstance(event, Delta)])
            records.append(record)
            phrases += _phrases(record)
            continue
        for _, entry in run:
            of_item = range(item_from, len(phrases))
            records.append(_pieces(entry.data, phrases, range(len(phrases)) if _SNAPSHOT in entry.data else of_item))
            if entry.type == _ITEM_DONE:
                item_from = len(phrases)
    return _pack([_VERSION, dialect, phrases[0], records])


def decode(data: bytes, first: int) -> list[Entry]:
    """The entries again; ``first`` is the sequence number of the first of them."""
    version, dialect, beginning, records = _unpack(data)
    if version != _VERSION:
        raise ValueError(f"a journal segment of version {version} cannot be read by this version of Antiphon")
    encode_event = EventEncoder(dialect).encode
    phrases: list[bytes] = [beginning]
    entries: list[Entry] = []
    for record in records:
        if not _is_run_of_deltas(record):
            whole = b"".join([phrases[piece] if isinstance(piece, int) else piece for piece in record])
            entries.append(Entry(whole[_TYPE_AT : whole.index(b'"', _TYPE_AT)].decode(), whole))
            continue
        phrases += _phrases(record)
        kind, item_id, output_index, part_index, texts, *rest = record
        channel = Channel(KINDS[kind], item_id, output_index, part_index)
        for text, logprobs in zip(texts, rest[0] if rest else [None] * len(texts), strict=True):
            entries.append(encode_event(Delta(channel, text, logprobs), first + len(entries)))
    return entries


def _channel_of(pair: tuple[AnyEvent, Entry]) -> Channel | None:
    event = pair[0]
    return event.channel if isinstance(event, Delta) else None


def _run_of_deltas(channel: Channel, deltas: Sequence[Delta]) -> list[Any]:
    place = [KINDS.index(channel.kind), channel.item_id, channel.output_index, channel.part_index]
    texts = [delta.text for delta in deltas]
    if all(delta.logprobs is None for delta in deltas):
        return [*place, texts]
    return [*place, texts, [delta.logprobs for delta in deltas]]


def _is_run_of_deltas(record: Sequence[Any]) -> bool:
    return len(record) > 1 and isinstance(record[1], str)


def _phrases(record: Sequence[Any]) -> tuple[bytes, bytes]:
    """What the events after a run of deltas will say again, without the quotes or brackets around it."""
    texts, *rest = record[4:]
    logprobs = [logprob for some in rest[0] for logprob in some or ()] if rest else []
    return _json("".join(texts))[1:-1], _json(logprobs)[1:-1]


def _beginning(entries: Sequence[Entry]) -> bytes:
    """What all Response snapshots begin with."""
    snapshots = [entry.data[entry.data.index(_SNAPSHOT) :] for entry in entries if _SNAPSHOT in entry.data]
    if len(snapshots) < 2:
        return b""
    one, other = min(snapshots), max(snapshots)  # what these two share, all between them in order share too
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halving: bytes compare fast
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return one[:low]


def _pieces(data: bytes, phrases: Sequence[bytes], candidates: Iterable[int]) -> list[bytes | int]:
    """``data`` cut at the phrases, which it says in their order if at all."""
    pieces: list[bytes | int] = []
    at = 0
    for number in candidates:
        phrase = phrases[number]
        found = data.find(phrase, at) if len(phrase) >= _WORTH_SHARING else -1
        if found >= 0:
            if found > at:
                pieces.append(data[at:found])
            pieces.append(number)
            at = found + len(phrase)
    if at < len(data):
        pieces.append(data[at:])
    return pieces
