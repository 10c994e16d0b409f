"""What was said before: the chain of earlier responses, references to their items, and the new input as it is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig
from antiphon.errors import InvalidRequest
from antiphon.storage.model import ChainBroken, ChainTooLong, Owner, Store, StoredItem
from antiphon.wire import seen as wire_seen
from antiphon.wire.inputs import text_items
from antiphon.wire.listing import listed
from antiphon.wire.requests import CreateResponse

ItemDict = dict[str, Any]

_decode = msgspec.json.Decoder(ItemDict).decode
_encode = msgspec.json.Encoder().encode

#: Statuses whose responses can be continued.
_CONTINUABLE = frozenset({"completed", "incomplete"})

_MESSAGE = frozenset({"message"})


class Past(msgspec.Struct, frozen=True):
    """What was said before, oldest first, as the model is shown it, and what it may cite of that."""

    items: list[ItemDict] = []
    sources: dict[str, ItemDict] = {}


#: The past of a conversation that begins; shared, as nobody changes a past.
NOTHING = Past()


class Said(msgspec.Struct, frozen=True):
    """What was said before, and now, and ``all`` of it together.

    ``kinds`` are the types in it: what no item is, nobody has to look for. ``as_sent``: ``items`` are the input as it
    was sent. ``files``: some part may hold a file.
    """

    past: Past
    items: list[ItemDict]
    all: list[ItemDict]
    kinds: Collection[Any]
    as_sent: bool = True
    files: bool = False


def only_text(request: CreateResponse) -> Said | None:
    """What a request says that is one text and goes on from nothing; None for all others."""
    continues = request.previous_response_id is not None or request.conversation is not None
    if continues or not isinstance(request.input, str):
        return None
    items = text_items(request.input)
    return Said(NOTHING, items, items, _MESSAGE)


def past(stored: Sequence[StoredItem]) -> Past:
    """Stored items read."""
    seen = [wire_seen.decode(item.seen) for item in stored]
    sources = {key: source for calls in seen for call in calls for key, source in call.sources.items()}
    said = ((_decode(item.data), calls) for item, calls in zip(stored, seen, strict=True))
    return Past(wire_seen.unfold(said), sources)


async def chain(store: Store, owner: Owner, previous_id: str, limits: ResponsesConfig) -> Past:
    """Every item of the chain that ends in ``previous_id``, oldest first.

    Raises a 400: ``previous_response_not_found`` for a chain with a hole; a sentence that says so for a parent that
    failed or was cancelled, and for a chain that is too long.
    """
    parent = await store.response(owner, previous_id)
    if parent is None or parent.deleted:
        raise _not_found(previous_id)
    if parent.status not in _CONTINUABLE:
        raise InvalidRequest(
            f"Previous response with id '{previous_id}' is {parent.status} and cannot be continued.",
            param="previous_response_id",
            code="invalid_previous_response",
        )
    try:
        items = await store.history(
            owner, previous_id, max_items=limits.max_history_items, max_bytes=limits.max_history_bytes
        )
    except ChainBroken as hole:
        raise _not_found(hole.id) from hole
    except ChainTooLong as over:
        raise InvalidRequest(
            f"The conversation before this response holds more than {over.limit} {over.what} "
            f"(max_history_{over.what}). Start a new chain with a summary of it.",
            param="previous_response_id",
            code="history_too_long",
        ) from over
    return past(items)


async def find(store: Store, owner: Owner, wanted: Iterable[str], history: Sequence[ItemDict]) -> dict[str, ItemDict]:
    """The items of these ids, as far as they are in the chain or stored for this owner at all."""
    in_chain = {item.get("id"): item for item in history}
    found: dict[str, ItemDict] = {}
    for item_id in wanted:
        if item_id in in_chain:
            found[item_id] = in_chain[item_id]
        elif (stored := await store.item(owner, item_id)) is not None:
            found[item_id] = _decode(stored.data)
    return found


def as_stored(items: Iterable[ItemDict]) -> list[StoredItem]:
    """The input as it is kept and listed: each item with an id, messages with their parts, calls with a status."""
    stored: list[StoredItem] = []
    for position, item in enumerate(items):
        shown = listed(item, ambient.new_id)
        stored.append(StoredItem(shown["id"], "in", position, _encode(shown)))
    return stored


def _not_found(response_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
