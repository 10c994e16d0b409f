"""Values to rows and rows to values, the same for both databases. Pure.

Rows go in as tuples in the order of the tables' columns and come out as anything indexable (a tuple of sqlite3, a
Record of asyncpg) in the order of the statement's columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any, NamedTuple

from antiphon.storage.blobs import join, split
from antiphon.storage.model import (
    ChainBroken,
    ChainTooLong,
    Claim,
    Finished,
    Owner,
    Segment,
    Step,
    StoredConversation,
    StoredItem,
    StoredResponse,
)

Row = Sequence[Any]
Values = tuple[Any, ...]


class Packed(NamedTuple):
    """What one commit writes, by table, in the order in which the tables are written.

    ``turns`` are no rows but claims to give back: (owner, conversation, token, count of new items, their bytes).
    """

    responses: list[Values]
    items: list[Values]
    item_blobs: list[Values]
    blobs: list[Values]
    steps: list[Values]
    journal: list[Values]
    conversations: Sequence[Values] = ()
    conversation_items: Sequence[Values] = ()
    turns: Sequence[Values] = ()

    @property
    def in_conversations(self) -> bool:
        """Whether it writes anything of a conversation."""
        return bool(self.turns or self.conversations)


#: Those that are tables, in order.
TABLES = Packed._fields[:-1]

#: The tables of a response come first; most commits fill only those.
_OF_RESPONSES = 6
_OF_CONVERSATIONS = Packed._fields[_OF_RESPONSES:]
_NO_CONVERSATION = ((),) * len(_OF_CONVERSATIONS)

#: What a value of ``turns`` is, by the names of the statement's parameters.
TURN = ("owner", "conversation_id", "token", "count", "bytes")


def pack(finished: Finished) -> Packed:
    """The rows of one response."""
    r = finished.response
    owner, response_id = r.owner, r.id
    by_position = sorted(finished.items, key=_position)
    sizes = [0, *accumulate(item.size for item in by_position)]
    item_rows, uses, contents = _held(owner, response_id, by_position)
    packed = Packed(
        responses=[_response_row(r, len(by_position), sizes[-1])],
        items=item_rows,
        item_blobs=uses,
        blobs=contents,
        steps=[_step_row(owner, response_id, step, sizes) for step in finished.steps],
        journal=[
            (owner, response_id, s.first_seq, s.attempt, s.last_seq, r.created_at, s.data) for s in finished.segments
        ],
    )
    if finished.claim is None:
        return packed
    return _with_turn(packed, owner, finished.claim, response_id, by_position)


def pack_addition(owner: Owner, claim: Claim, given: Sequence[StoredItem]) -> Packed:
    """The rows of items that a conversation gets by itself; it holds them under its own id."""
    own = [
        StoredItem(item.id, item.direction, position, item.data, item.seen)
        for position, item in enumerate(given, claim.position)
    ]
    item_rows, uses, contents = _held(owner, claim.conversation_id, own)
    packed = Packed([], item_rows, uses, contents, [], [])
    return _with_turn(packed, owner, claim, claim.conversation_id, own)


def pack_conversation(made: StoredConversation, given: Sequence[StoredItem]) -> Packed:
    """The rows of a new conversation with its first items."""
    claim = Claim(made.id, "", 0, 0, 0)
    packed = pack_addition(made.owner, claim, given)
    size = sum(item.size for item in given)
    row = (made.owner, made.id, made.created_at, made.metadata, len(given), len(given), size, None, 0)
    return packed._replace(conversations=[row], turns=())


def _with_turn(
    packed: Packed, owner: Owner, claim: Claim, response_id: str, by_position: Sequence[StoredItem]
) -> Packed:
    """The same items shown in a conversation, from the claim's position on."""
    conversation_id = claim.conversation_id
    shown = [
        (owner, conversation_id, position, item.id, response_id, item.position, item.size)
        for position, item in enumerate(by_position, claim.position)
    ]
    turn = (owner, conversation_id, claim.token, len(shown), sum(item.size for item in by_position))
    return packed._replace(conversation_items=shown, turns=[turn])


def _held(
    owner: Owner, response_id: str, given: Sequence[StoredItem]
) -> tuple[list[Values], list[Values], list[Values]]:
    """Rows of items, of their uses of long strings, and of those strings, each once."""
    item_rows: list[Values] = []
    uses: list[Values] = []
    contents: dict[bytes, bytes] = {}
    for item in given:
        data, cuts = split(item.data)
        item_rows.append((owner, response_id, item.position, item.id, item.direction, data, item.seen))
        for cut in cuts:
            uses.append((owner, response_id, item.position, cut.at, cut.sha256))
            contents[cut.sha256] = cut.data
    return item_rows, uses, [(owner, sha256, data) for sha256, data in contents.items()]


def _response_row(r: StoredResponse, item_count: int, item_bytes: int) -> Values:
    head = (r.owner, r.id, r.previous_id, r.previous_step, r.conversation_id, r.status, r.created_at, r.dialect)
    return (*head, r.deleted, item_count, item_bytes, r.request, r.result)


def is_of(packed: Packed, stored: StoredResponse) -> bool:
    """Whether the response that is stored is the one that was packed."""
    (row,) = packed.responses
    *_, item_count, item_bytes, _, _ = row
    return row == _response_row(stored, item_count, item_bytes)


def _position(item: StoredItem) -> int:
    return item.position


def _step_row(owner: str, response_id: str, step: Step, sizes: Sequence[int]) -> Values:
    if step.item_to >= len(sizes):
        raise ValueError(f"step {step.n} of {response_id} ends at item {step.item_to} of {len(sizes) - 1}")
    span = (step.first_seq, step.last_seq, step.item_from, step.item_to, sizes[step.item_to])
    return (owner, response_id, step.n, step.kind, *span, step.request_parameters, step.exchange)


def merge(group: Sequence[Packed]) -> Packed:
    """All rows of a group, with each long string once."""
    if len(group) == 1:
        return group[0]
    together = [[row for packed in group for row in packed[table]] for table in range(_OF_RESPONSES)]
    merged = Packed(*together)
    if talks := [packed for packed in group if packed[_OF_RESPONSES:] != _NO_CONVERSATION]:
        more = {name: [row for packed in talks for row in getattr(packed, name)] for name in _OF_CONVERSATIONS}
        merged = merged._replace(**more)
    distinct = {(owner, sha256): (owner, sha256, data) for owner, sha256, data in merged.blobs}
    return merged._replace(blobs=list(distinct.values()))


def response(row: Row) -> StoredResponse:
    """A row of ``response``."""
    fields = list(row)
    # SQLite has no booleans.
    fields[-1] = bool(fields[-1])
    return StoredResponse(*fields)


def conversation(row: Row) -> StoredConversation:
    """A row of ``conversation``."""
    return StoredConversation(*row)


def conversation_items(rows: Iterable[Row]) -> list[StoredItem]:
    """Rows of ``conversation_history``, in any order."""
    return items(sorted(rows, key=_place))


def _place(row: Row) -> tuple[int, int]:
    return row[2], row[4] or 0


def items(rows: Iterable[Row]) -> list[StoredItem]:
    """Rows of ``output``, ``input_*`` or ``item``: the rows of one item stand together, by rising ``at``."""
    return [_item(list(same)) for _, same in groupby(rows, key=_row_position)]


def _row_position(row: Row) -> int:
    position: int = row[2]
    return position


def _item(rows: Sequence[Row]) -> StoredItem:
    item_id, direction, position, data, at, _, seen = rows[0]
    if at is not None:
        data = join(data, [(row[4], row[5]) for row in rows])
    return StoredItem(item_id, direction, position, data, seen)


def steps(rows: Iterable[Row]) -> list[Step]:
    """Rows of ``steps``."""
    return [Step(*row) for row in rows]


def segments(rows: Iterable[Row]) -> list[Segment]:
    """Rows of ``segments``."""
    return [Segment(*row) for row in rows]


# Columns of a row of ``history``: a response of the chain, then one of its items as above, or nulls.
_DEPTH, _ID, _PREVIOUS_ID, _DELETED, _UPTO, _ITEM_COUNT, _ITEM_BYTES, _ITEM = range(8)
_UNKNOWN_STEP = -1


def history(
    rows: Sequence[Row], response_id: str, *, max_items: int, max_bytes: int, max_depth: int
) -> list[StoredItem]:
    """The items of a chain, oldest first. Raises ``ChainBroken`` or ``ChainTooLong``."""
    if not rows:
        raise ChainBroken(response_id)
    oldest = max(rows, key=_depth)
    lost = [row for row in rows if row[_UPTO] == _UNKNOWN_STEP]
    if lost:
        raise ChainBroken(min(lost, key=_depth)[_ID])
    if oldest[_ITEM_COUNT] > max_items or oldest[_DEPTH] >= max_depth:
        raise ChainTooLong("items", max_items)
    if oldest[_ITEM_BYTES] > max_bytes:
        raise ChainTooLong("bytes", max_bytes)
    if oldest[_DELETED]:
        raise ChainBroken(oldest[_ID])
    if oldest[_PREVIOUS_ID] is not None:
        raise ChainBroken(oldest[_PREVIOUS_ID])
    return list(_oldest_first(rows))


def _depth(row: Row) -> int:
    depth: int = row[_DEPTH]
    return depth


def _age(row: Row) -> tuple[int, int, int]:
    at = row[_ITEM + 4]
    return -row[_DEPTH], row[_ITEM + 2], 0 if at is None else at


def _oldest_first(rows: Sequence[Row]) -> Iterator[StoredItem]:
    held = sorted((row for row in rows if row[_ITEM] is not None), key=_age)
    for _, same in groupby(held, key=lambda row: (row[_DEPTH], row[_ITEM + 2])):
        yield _item([row[_ITEM:] for row in same])
