"""The bodies of ``/v1/conversations``: to make one, to change it, to add items.

Null means absent; unknown fields are accepted. Items are read as those of a response's ``input`` are, and kept as sent.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from antiphon.wire.inputs import InputItem, named_items
from antiphon.wire.reading import convert, decode_object, missing_parameter
from antiphon.wire.requests import Metadata, check_input, item_without_secrets

ItemDict = dict[str, Any]

#: Items that one request may bring.
MAX_ITEMS = 20


class CreateConversation(msgspec.Struct):
    """A conversation to be made."""

    items: Annotated[list[InputItem], Meta(max_length=MAX_ITEMS)] | None = None
    metadata: Metadata | None = None


class UpdateConversation(msgspec.Struct):
    """New metadata, in place of all that was there."""

    metadata: Metadata | None


class CreateConversationItems(msgspec.Struct):
    """Items to be appended."""

    items: Annotated[list[InputItem], Meta(min_length=1, max_length=MAX_ITEMS)]


def parse_conversation(body: bytes) -> tuple[list[ItemDict], dict[str, str]]:
    """First items and metadata of a new conversation; an empty body is one without either. Raises InvalidRequest."""
    tree = decode_object(body) if body else {}
    read: CreateConversation = convert(_named(tree), CreateConversation)
    return _items(tree, read.items), read.metadata or {}


def parse_update(body: bytes) -> dict[str, str]:
    """The new metadata. Raises InvalidRequest."""
    tree = decode_object(body)
    update: UpdateConversation = convert(tree, UpdateConversation)
    return update.metadata or {}


def parse_items(body: bytes) -> list[ItemDict]:
    """Items to be appended, as sent, each with its ``type``. Raises InvalidRequest."""
    tree = decode_object(body)
    if tree.get("items") is None:
        raise missing_parameter("items")
    read: CreateConversationItems = convert(_named(tree), CreateConversationItems)
    return _items(tree, read.items)


def _named(tree: ItemDict) -> ItemDict:
    items = tree.get("items")
    return {**tree, "items": named_items(items)} if isinstance(items, list) else tree


def _items(tree: ItemDict, read: list[InputItem] | None) -> list[ItemDict]:
    if not read:
        return []
    check_input(read, "items")
    return [item_without_secrets(item) for item in named_items(tree["items"])]
