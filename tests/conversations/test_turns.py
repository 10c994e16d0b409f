"""Who may append, and when: the queue of one process, and the claim that every server sees."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.ambient import freeze
from antiphon.conversations.turns import Turns
from antiphon.errors import Conflict, NotFound
from antiphon.storage import Store
from tests.storage.test_conversations import made, said
from tests.storage.values import item

pytestmark = pytest.mark.anyio


async def test_a_long_turn_keeps_its_claim(store: Store) -> None:
    """A turn that lasts many times as long as a claim is renewed; when its server sleeps, another takes over."""
    here, there = (Turns(store.conversations, 0.1, claim_seconds=0.5) for _ in range(2))
    talk = await made(store)
    hold = await here.begin("default", talk, param="conversation")
    until = asyncio.get_running_loop().time() + 1.5
    while asyncio.get_running_loop().time() < until:
        with pytest.raises(Conflict) as locked:
            await there.begin("default", talk, param="conversation")
        assert locked.value.code == "conversation_locked"
    hold._renewing.cancel()  # as if this server slept
    await asyncio.sleep(0.6)
    other = await there.begin("default", talk, param="conversation")
    with pytest.raises(Conflict):
        await hold.append([item(0)])
    await hold.release()
    await other.append([item(0, item_id="msg_other")])
    await other.release()
    assert [item_id for item_id, _ in await said(store, talk)] == ["msg_other"]


async def test_turns_go_in_the_order_in_which_they_came(store: Store) -> None:
    """Whoever waits longest is next, who gives up is passed over, and nothing is left behind of any of them."""
    turns = Turns(store.conversations, 10)
    talk = await made(store)
    first = await turns.begin("default", talk, param="conversation")
    order: list[int] = []

    async def take(n: int) -> None:
        hold = await turns.begin("default", talk, param="conversation")
        order.append(n)
        await hold.release()

    waiting = []
    for n in range(6):
        waiting.append(asyncio.create_task(take(n)))
        await asyncio.sleep(0)
    waiting[2].cancel()
    await first.release()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == [0, 1, 3, 4, 5]
    assert turns._queues == {}
    assert await store.conversations.claim("default", talk, "free", 1) is not None


async def test_nobody_is_kept_out_by_who_was_refused(store: Store) -> None:
    """An unknown conversation, a wait that was too long: nothing stays in the queue."""
    turns = Turns(store.conversations, 0.05)
    talk = await made(store)
    with pytest.raises(NotFound):
        await turns.begin("default", "conv_none", param="conversation")
    with pytest.raises(NotFound):
        await turns.begin("another", talk, param="conversation")
    hold = await turns.begin("default", talk, param="conversation")
    with pytest.raises(Conflict):
        await turns.begin("default", talk, param="conversation")
    await hold.release()
    await hold.release()
    assert turns._queues == {}


async def test_two_frozen_turns_are_two(store: Store) -> None:
    """Turns of a frozen scope have the same ids and the same clock, and still not each other's claim."""
    talk = await made(store)
    tokens = set()
    for _ in range(2):
        with freeze("scope"):
            hold = await Turns(store.conversations, 1).begin("default", talk, param="conversation")
            tokens.add(hold.claim.token)
            await hold.release()
    assert len(tokens) == 2
