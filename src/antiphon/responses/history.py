"""What was said before: the chain of earlier responses, references to their items, and the new input as it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig
from antiphon.errors import InvalidRequest
from antiphon.storage.model import ChainBroken, ChainTooLong, Owner, Store, StoredItem

ItemDict = dict[str, Any]

_decode = msgspec.json.Decoder(ItemDict).decode
_encode = msgspec.json.Encoder().encode

#: Items that a list shows with a status, whether the client sent one or not.
_WITH_STATUS = frozenset(
    {
        "computer_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "function_call",
        "function_call_output",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
    }
)

#: Statuses whose responses can be continued.
_CONTINUABLE = frozenset({"completed", "incomplete"})


async def chain(store: Store, owner: Owner, previous_id: str, limits: ResponsesConfig) -> list[ItemDict]:
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
    return [_decode(item.data) for item in items]


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
        listed = _listed(item)
        stored.append(StoredItem(id=listed["id"], direction="in", position=position, data=_encode(listed)))
    return stored


def _listed(item: ItemDict) -> ItemDict:
    kind = item.get("type") or "message"
    item_id = item.get("id") or ambient.new_id(kind)
    if kind in _WITH_STATUS:
        return {**item, "id": item_id, "status": item.get("status") or "completed"}
    if kind != "message":
        return {**item, "id": item_id}
    content = item.get("content")
    if isinstance(content, str):
        part = "output_text" if item.get("role") == "assistant" else "input_text"
        text: ItemDict = {"type": part, "text": content}
        if part == "output_text":
            text["annotations"] = []
        content = [text]
    status = item.get("status") or "completed"
    return {**item, "id": item_id, "type": kind, "status": status, "content": content}


def _not_found(response_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
