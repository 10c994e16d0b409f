"""Values to rows and rows to values, the same for both databases. Pure.

Rows go in flat, value after value (``Rows``), and come out as anything indexable (a tuple of sqlite3, a
Record of asyncpg) in the order of the statement's columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from antiphon.storage.blobs import LIMIT, join, split
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

#: The values of rows by their form, of one row after the other in the order of the form's statement (``insert_...``).
Rows = dict[str, list[Any]]

#: Forms other than a table itself: the table, and its columns that are null. To bind a null costs SQLite's driver more
#: than to bind a text, so what most rows leave empty they do not name.
FORMS: dict[str, tuple[str, frozenset[str]]] = {
    "first_responses": ("responses", frozenset({"previous_id", "previous_step", "conversation_id"})),
    "plain_items": ("items", frozenset({"seen"})),
    "plain_steps": ("steps", frozenset({"exchange"})),
}


class Packed(msgspec.Struct, frozen=True):
    """What one commit writes.

    ``turns`` are no rows but claims to give back: (owner, conversation, token, count of new items, their bytes).
    """

    rows: Rows
    turns: Sequence[Values] = ()

    @property
    def in_conversations(self) -> bool:
        """Whether it writes anything of a conversation."""
        return bool(self.turns) or "conversations" in self.rows


#: What a value of ``turns`` is, by the names of the statement's parameters.
TURN = ("owner", "conversation_id", "token", "count", "bytes")


def pack(finished: Finished) -> Packed:
    """The rows of one response."""
    r = finished.response
    owner, response_id, held = r.owner, r.id, finished.items
    rows: Rows = {}
    sizes = _add_items(rows, owner, response_id, held)
    form, values = _response_row(r, len(held), sizes[-1])
    rows[form] = values
    for step in finished.steps:
        _add_step(rows, owner, response_id, step, sizes)
    if finished.segments:
        journal: list[Any] = []
        rows["journal"] = journal
        for s in finished.segments:
            journal += (owner, response_id, s.first_seq, s.attempt, s.last_seq, r.created_at, s.data)
    if finished.claim is None:
        return Packed(rows)
    return _with_turn(rows, owner, finished.claim, response_id, held)


def pack_addition(owner: Owner, claim: Claim, given: Sequence[StoredItem]) -> Packed:
    """The rows of items that a conversation gets by itself; it holds them under its own id."""
    own = [
        StoredItem(item.id, item.direction, position, item.data, item.seen)
        for position, item in enumerate(given, claim.position)
    ]
    rows: Rows = {}
    _add_items(rows, owner, claim.conversation_id, own)
    return _with_turn(rows, owner, claim, claim.conversation_id, own)


def pack_conversation(made: StoredConversation, given: Sequence[StoredItem]) -> Packed:
    """The rows of a new conversation with its first items."""
    packed = pack_addition(made.owner, Claim(made.id, "", 0, 0, 0), given)
    size = sum(item.size for item in given)
    row = [made.owner, made.id, made.created_at, made.metadata, len(given), len(given), size, None, 0]
    return Packed({**packed.rows, "conversations": row})


def _with_turn(rows: Rows, owner: Owner, claim: Claim, holder: str, given: Sequence[StoredItem]) -> Packed:
    """The same items shown in a conversation, from the claim's position on."""
    conversation_id = claim.conversation_id
    if given:
        shown: list[Any] = []
        rows["conversation_items"] = shown
        for position, item in enumerate(given, claim.position):
            shown += (owner, conversation_id, position, item.id, holder, item.position, item.size)
    turn = (owner, conversation_id, claim.token, len(given), sum(item.size for item in given))
    return Packed(rows, [turn])


def _add_items(rows: Rows, owner: Owner, holder: str, given: Sequence[StoredItem]) -> Sequence[int]:
    """Adds rows of items, of their uses of long strings, and of those strings; the bytes of the first n items."""
    plain: list[Any] = []
    sizes = [0]
    size = 0
    for item in given:
        data, seen = item.data, item.seen
        size += len(data)
        if len(data) > LIMIT:
            data = _without_long_strings(rows, owner, holder, item)
        if seen is None:
            plain += (owner, holder, item.position, item.id, item.direction, data)
        else:
            size += len(seen)
            rows.setdefault("items", []).extend((owner, holder, item.position, item.id, item.direction, data, seen))
        sizes.append(size)
    if plain:
        rows["plain_items"] = plain
    if "blobs" in rows:
        rows["blobs"] = _each_once(rows["blobs"])
    return sizes


def _without_long_strings(rows: Rows, owner: Owner, holder: str, item: StoredItem) -> bytes:
    data, cuts = split(item.data)
    for cut in cuts:
        rows.setdefault("item_blobs", []).extend((owner, holder, item.position, cut.at, cut.sha256))
        rows.setdefault("blobs", []).extend((owner, cut.sha256, cut.data))
    return data


def _each_once(blobs: list[Any]) -> list[Any]:
    distinct = {(owner, sha256): data for owner, sha256, data in rows_of(blobs, 3)}
    return [value for (owner, sha256), data in distinct.items() for value in (owner, sha256, data)]


def rows_of(values: list[Any], width: int) -> Iterator[Values]:
    """Values of one row after the other, by row."""
    return zip(*[iter(values)] * width, strict=True)


def _response_row(r: StoredResponse, item_count: int, item_bytes: int) -> tuple[str, list[Any]]:
    """The form of a response's row, and its values."""
    end = (r.status, r.created_at, r.dialect, item_count, item_bytes, r.request, r.result)
    if r.previous_id is None and r.previous_step is None and r.conversation_id is None:
        return "first_responses", [r.owner, r.id, *end]
    return "responses", [r.owner, r.id, r.previous_id, r.previous_step, r.conversation_id, *end]


def response_in(packed: Packed) -> tuple[str, list[Any]] | None:
    """The form and the row of the response that was packed, if one was."""
    return next(((form, packed.rows[form]) for form in ("first_responses", "responses") if form in packed.rows), None)


def is_of(packed: Packed, stored: StoredResponse) -> bool:
    """Whether the response that is stored is the one that was packed."""
    found = response_in(packed)
    if found is None or stored.deleted:
        return False
    *_, item_count, item_bytes, _, _ = found[1]
    return found == _response_row(stored, item_count, item_bytes)


def _add_step(rows: Rows, owner: str, response_id: str, step: Step, sizes: Sequence[int]) -> None:
    if step.item_to >= len(sizes):
        raise ValueError(f"step {step.n} of {response_id} ends at item {step.item_to} of {len(sizes) - 1}")
    n, start, end = step.n, step.item_from, step.item_to
    row = (owner, response_id, n, step.kind, step.first_seq, step.last_seq, start, end, sizes[end])
    if step.exchange is None:
        rows.setdefault("plain_steps", []).extend((*row, step.request_parameters))
    else:
        rows.setdefault("steps", []).extend((*row, step.request_parameters, step.exchange))


def merge(group: Sequence[Packed]) -> Packed:
    """All rows of a group, with each long string once."""
    if len(group) == 1:
        return group[0]
    together: defaultdict[str, list[Any]] = defaultdict(list)
    turns: list[Values] = []
    for packed in group:
        for form, values in packed.rows.items():
            together[form] += values
        turns += packed.turns
    if "blobs" in together:
        together["blobs"] = _each_once(together["blobs"])
    return Packed(together, turns)


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
