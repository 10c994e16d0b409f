"""One turn at a time: whoever wants to append to a conversation takes a ``Hold`` of it first.

The truth of who holds it is a claim in the conversation's row, with an end by the database's clock: it counts for every
server on that database, and one that dies keeps nobody out for longer than a claim lasts. A server that lives renews
its claims. Before that row stands a queue of this process alone, so that its own turns go in the order in which they
came and only one of them looks at the row.

A claim that was lost all the same (a process that slept too long) cannot do harm: the commit of a turn checks it, and
writes nothing without it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from antiphon.errors import APIError, Conflict, NotFound
from antiphon.storage.model import Claim, ConversationStore, Owner, StoredItem

_log = logging.getLogger("antiphon.conversations")

#: How long a claim counts without being renewed. Less than a turn waits by default, so that a crash costs no refusal.
CLAIM_SECONDS = 8.0
#: Between two looks at a row that another server holds.
_LOOK_SECONDS = 0.1

_Key = tuple[Owner, str]


class _Queue:
    """The turns of one conversation that wait in this process, the one under way included."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class Hold:
    """A conversation that is held for one turn. Whoever got it awaits ``release`` in the end, whatever happened."""

    def __init__(self, turns: Turns, owner: Owner, claim: Claim) -> None:
        self.owner = owner
        self.claim = claim
        self._turns = turns
        self._ended = False
        self._renewing = asyncio.create_task(turns._renew(owner, claim))

    async def append(self, items: Sequence[StoredItem]) -> None:
        """Add items that belong to no response, and let go. ``Conflict`` when it was lost."""
        await self._turns._store.append(self.owner, self.claim, items)
        self.ended()

    def ended(self) -> None:
        """A commit has ended the claim: the next turn may begin."""
        if not self._ended:
            self._ended = True
            self._renewing.cancel()
            self._turns._leave(self.owner, self.claim.conversation_id, locked=True)

    async def release(self) -> None:
        """Let go, with nothing appended where nothing was."""
        try:
            if not self._ended:
                await self._turns._store.give_back(self.owner, self.claim)
        except APIError as failure:
            _log.warning("A claim on conversation %s was left to run out: %s", self.claim.conversation_id, failure)
        finally:
            self.ended()
            await asyncio.wait([self._renewing])


class Turns:
    """Hands out the conversations of one store, each to one turn at a time."""

    def __init__(self, store: ConversationStore, wait_seconds: float, claim_seconds: float = CLAIM_SECONDS) -> None:
        self._store = store
        self._wait = wait_seconds
        self._milliseconds = int(claim_seconds * 1000)
        self._queues: dict[_Key, _Queue] = {}

    async def begin(self, owner: Owner, conversation_id: str, *, param: str) -> Hold:
        """The conversation, once the turns before it are over.

        Raises ``NotFound`` that names ``param``, or a 409 ``conversation_locked`` when they are not over in time.
        """
        until = asyncio.get_running_loop().time() + self._wait
        key = (owner, conversation_id)
        queue = self._queues.setdefault(key, _Queue())
        queue.users += 1
        try:
            async with asyncio.timeout_at(until):
                await queue.lock.acquire()
        except BaseException as failure:
            self._leave(*key, locked=False)
            if isinstance(failure, TimeoutError):
                raise _locked(conversation_id, param, self._wait) from failure
            raise
        try:
            return Hold(self, owner, await self._claim(owner, conversation_id, param, until))
        except BaseException:
            self._leave(*key, locked=True)
            raise

    async def _claim(self, owner: Owner, conversation_id: str, param: str, until: float) -> Claim:
        """The claim in the row, which a turn of another server may hold for a while."""
        token = secrets.token_hex(16)  # whatever is frozen: two turns must never have the same
        clock = asyncio.get_running_loop().time
        while True:
            claim = await self._store.claim(owner, conversation_id, token, self._milliseconds)
            if claim is not None:
                return claim
            if await self._store.get(owner, conversation_id) is None:
                raise unknown(conversation_id, param)
            left = until - clock()
            if left <= 0:
                raise _locked(conversation_id, param, self._wait)
            await asyncio.sleep(min(_LOOK_SECONDS, left))

    async def _renew(self, owner: Owner, claim: Claim) -> None:
        """Say every now and then that the turn is still under way. Ends when it is cancelled, or the claim lost."""
        while True:
            await asyncio.sleep(self._milliseconds / 3000)
            try:
                if not await self._store.renew(owner, claim, self._milliseconds):
                    _log.warning("The claim on conversation %s was lost.", claim.conversation_id)
                    return
            except APIError as failure:
                _log.warning("A claim on conversation %s was not renewed: %s", claim.conversation_id, failure)

    def _leave(self, owner: Owner, conversation_id: str, *, locked: bool) -> None:
        queue = self._queues[owner, conversation_id]
        if locked:
            queue.lock.release()
        queue.users -= 1
        if not queue.users:
            del self._queues[owner, conversation_id]


def unknown(conversation_id: str, param: str) -> NotFound:
    """There is no such conversation, or it is another's; ``param`` is where the request named it."""
    code: dict[str, Any] = {"code": "conversation_not_found"} if param == "conversation" else {}
    return NotFound(f"Conversation with id '{conversation_id}' not found.", param=param, **code)


def _locked(conversation_id: str, param: str, waited: float) -> Conflict:
    return Conflict(
        f"Another turn of conversation '{conversation_id}' is still under way after {waited:g} s. Try again shortly.",
        param=param,
        code="conversation_locked",
        headers={"retry-after": "1"},
    )
