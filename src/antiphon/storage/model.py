"""What is stored, as plain values: the vocabulary between ``responses`` and every database.

All ``bytes`` fields hold JSON unless they say otherwise; the store does not look inside, except that it keeps string
values over 32 KiB of an item once per owner (``blobs``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol

import msgspec

from antiphon.errors import Conflict

#: Who a row belongs to. Everything that reads or writes takes one; there is no unowned row.
Owner = str

DEFAULT_OWNER: Owner = "default"

Direction = Literal["in", "out"]


class StoredItem(msgspec.Struct, frozen=True):
    """One item of one response. ``position`` counts from 0 over the response's input items, then its output items.

    ``seen`` is what the model was shown instead of it (``wire/seen``), for items that were made by tools of ours.
    """

    id: str
    direction: Direction
    position: int
    data: bytes
    seen: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes that it adds to a history."""
        return len(self.data) + len(self.seen or b"")


class Step(msgspec.Struct, frozen=True):
    """One finished piece of work of a run (``kind`` is ``model`` or ``tool``).

    ``first_seq``..``last_seq`` are the sequence numbers of its events, ``item_from``..``item_to`` (half open) the
    positions of the items it produced, counted as in ``StoredItem.position``. ``request_parameters`` is what went
    upstream without the messages; ``exchange`` the upstream's answer, when exchanges are kept.
    """

    n: int
    kind: Literal["model", "tool"]
    first_seq: int
    last_seq: int
    item_from: int
    item_to: int
    request_parameters: bytes
    exchange: bytes | None = None


class Segment(msgspec.Struct, frozen=True):
    """A run of consecutive events in the compact form of ``wire/segments`` (not JSON)."""

    first_seq: int
    last_seq: int
    attempt: int
    data: bytes


class StoredResponse(msgspec.Struct, frozen=True):
    """One row of ``responses``.

    ``result`` is the Response without its ``output``; ``request`` the request without ``input``.
    ``previous_step`` is set on a fork: the history then takes the parent's items only up to the end of that step.
    A deleted response keeps its row as a tombstone: ``deleted`` is true and the JSON fields are ``b""``.
    """

    id: str
    owner: Owner
    previous_id: str | None
    conversation_id: str | None
    status: str
    created_at: int
    dialect: str
    request: bytes
    result: bytes
    previous_step: int | None = None
    deleted: bool = False


class StoredConversation(msgspec.Struct, frozen=True):
    """One row of ``conversations``. ``metadata`` is JSON; count and bytes are those of all its items together."""

    id: str
    owner: Owner
    created_at: int
    metadata: bytes
    item_count: int = 0
    item_bytes: int = 0


class Claim(msgspec.Struct, frozen=True):
    """The right to append to a conversation, once: nobody else has one while ``token`` stands in its row.

    ``position`` is where the next item goes; count and bytes are those of the conversation as it stood.
    """

    conversation_id: str
    token: str
    position: int
    item_count: int
    item_bytes: int


def claim_lost() -> Conflict:
    """Somebody else has the conversation by now, or it is gone: what was to be appended must not be."""
    return Conflict(
        "The conversation was deleted, or went to another turn, before this one could be appended.",
        param="conversation",
        code="conversation_locked",
    )


class Finished(msgspec.Struct, frozen=True):
    """A response that has ended, whole: everything one commit writes, its items in the order of their positions.

    With a ``claim`` its items are appended to that conversation, and the claim is given back, in the same commit.
    """

    response: StoredResponse
    items: Sequence[StoredItem]
    steps: Sequence[Step]
    segments: Sequence[Segment]
    claim: Claim | None = None


class ItemPage(msgspec.Struct, frozen=True):
    """One page of items and whether more follow in the asked order."""

    items: Sequence[StoredItem]
    has_more: bool


class ChainBroken(Exception):
    """A response of the chain is unknown, deleted or another owner's. ``id`` says which."""

    def __init__(self, response_id: str) -> None:
        super().__init__(f"response {response_id} is not there")
        self.id = response_id


class ChainTooLong(Exception):
    """The history is over the limit: ``what`` is ``items`` or ``bytes``, ``limit`` the number allowed."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"history holds more than {limit} {what}")
        self.what = what
        self.limit = limit


class CannotOpen(Exception):
    """The store cannot be opened; the message tells a person what to do about it."""


class CursorNotFound(Exception):
    """``after`` names no item of this list."""


class Store(Protocol):
    """The durable memory of the server. Every method but ``close`` is safe to call concurrently."""

    def commit(self, finished: Finished) -> Awaitable[object]:
        """Write all of it or nothing; done when it would survive a power cut."""

    async def response(self, owner: Owner, response_id: str) -> StoredResponse | None:
        """The row, a tombstone included; None when there is no such row of this owner."""

    async def output(self, owner: Owner, response_id: str) -> list[StoredItem]:
        """The output items in order."""

    async def history(self, owner: Owner, response_id: str, *, max_items: int, max_bytes: int) -> list[StoredItem]:
        """All items of the chain that ends in this response, oldest first, its own included, in one query.

        Raises ``ChainBroken`` or ``ChainTooLong``.
        """

    async def item(self, owner: Owner, item_id: str) -> StoredItem | None:
        """The item of this id, as the newest response that holds it has it."""

    async def input_items(
        self, owner: Owner, response_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"]
    ) -> ItemPage:
        """The input items of this response only. Raises ``CursorNotFound``."""

    async def segments(self, owner: Owner, response_id: str) -> list[Segment]:
        """The journal, empty when it was never kept or its retention is over."""

    async def steps(self, owner: Owner, response_id: str) -> list[Step]:
        """The finished steps in order."""

    async def delete(self, owner: Owner, response_id: str) -> bool:
        """Remove the content at once and leave a tombstone. False when there was nothing to delete."""

    async def expire_journals(self, before: int) -> int:
        """Drop the journals of responses created before this unix time (seconds); how many went."""

    @property
    def conversations(self) -> ConversationStore:
        """The conversations, in the same database."""

    async def close(self) -> None:
        """Finish what was accepted, then let go."""


class ConversationStore(Protocol):
    """Conversations and their items, in the order of the turns. Every method is safe to call concurrently.

    An item belongs to the response that brought it or, where it was added directly, to the conversation itself. It is
    gone when nothing shows it any more: neither its response nor a conversation.
    """

    async def create(self, conversation: StoredConversation, items: Sequence[StoredItem]) -> None:
        """Write it with its first items, or nothing. ``Conflict`` when the id is taken."""

    async def get(self, owner: Owner, conversation_id: str) -> StoredConversation | None:
        """The row; None when there is no such conversation of this owner."""

    async def update(self, owner: Owner, conversation_id: str, metadata: bytes) -> StoredConversation | None:
        """Put other metadata in place; the row after it, None when there is none."""

    async def delete(self, owner: Owner, conversation_id: str) -> bool:
        """Remove it, and the content that nothing else shows. False when there was nothing to delete."""

    async def claim(self, owner: Owner, conversation_id: str, token: str, milliseconds: int) -> Claim | None:
        """The claim, for so long by the database's clock; None while another's is running, or nothing is there."""

    async def renew(self, owner: Owner, claim: Claim, milliseconds: int) -> bool:
        """Hold it for so long from now on. False when it is lost."""

    async def give_back(self, owner: Owner, claim: Claim) -> None:
        """Let the next one in, with nothing appended."""

    async def append(self, owner: Owner, claim: Claim, items: Sequence[StoredItem]) -> None:
        """Add items that belong to no response and give the claim back; ``Conflict`` when it was lost."""

    async def history(self, owner: Owner, conversation_id: str) -> list[StoredItem]:
        """All its items, oldest first, in one query. ``position`` counts over the conversation, perhaps with gaps."""

    async def page(
        self, owner: Owner, conversation_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"]
    ) -> ItemPage:
        """Some of its items. Raises ``CursorNotFound``."""

    async def item(self, owner: Owner, conversation_id: str, item_id: str) -> StoredItem | None:
        """The item of this id, the newest where there are several."""

    async def delete_item(self, owner: Owner, conversation_id: str, item_id: str) -> StoredConversation | None:
        """Take every item of this id out; the row after it. None when there was none."""
