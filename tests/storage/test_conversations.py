"""Conversations in the store, on both databases: against a model of them in plain Python, and what no model says."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.ambient import new_id
from antiphon.config import StorageConfig
from antiphon.errors import Conflict
from antiphon.storage import Store, open_store
from antiphon.storage.conversations import SqlConversations
from antiphon.storage.model import Claim, CursorNotFound, Finished, Segment, StoredConversation, StoredItem
from antiphon.storage.store import SqlStore
from tests.databases import query
from tests.storage.test_history import Counting
from tests.storage.values import PLENTY, finished, fresh_owner, item, response

pytestmark = pytest.mark.anyio

MINUTE = 60_000
LONG = b'{"image":"%s"}'


def conversation(owner: str = "default", conversation_id: str | None = None) -> StoredConversation:
    """An empty one."""
    return StoredConversation(conversation_id or new_id("conversation"), owner, 1_700_000_000, b'{"a":"b"}')


async def made(store: Store, owner: str = "default", items: list[StoredItem] | None = None) -> str:
    """The id of a new one."""
    new = conversation(owner)
    await store.conversations.create(new, items or [])
    return new.id


async def claimed(store: Store, conversation_id: str, owner: str = "default") -> Claim:
    """A claim that nobody else has."""
    claim = await store.conversations.claim(owner, conversation_id, new_id("item"), MINUTE)
    assert claim is not None
    return claim


async def turn(store: Store, conversation_id: str, owner: str = "default", **parts: Any) -> Finished:
    """A stored turn."""
    given_ = finished(response(owner=owner, conversation_id=conversation_id), **parts)
    given_ = msgspec.structs.replace(given_, claim=await claimed(store, conversation_id, owner))
    await store.commit(given_)
    return given_


async def said(store: Store, conversation_id: str, owner: str = "default") -> list[tuple[str, bytes]]:
    """Id and content of each item."""
    return [(i.id, i.data) for i in await store.conversations.history(owner, conversation_id)]


def plain(items: Any) -> list[tuple[str, bytes]]:
    """The same of items at hand."""
    return [(i.id, i.data) for i in items]


def sized(data: bytes) -> StoredItem:
    """An item."""
    return item(0, data=data)


_ids = st.sampled_from(["msg_a", "msg_b", "msg_c"])
_data = st.sampled_from([b"{}", b'{"x":1}', LONG % (b"p" * 33_000), LONG % (b"q" * 33_000)])
_items = st.lists(st.tuples(_ids, _data), max_size=3)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), _items),
        st.tuples(st.just("add"), _items.filter(bool)),
        st.tuples(st.just("forget response"), st.integers(0, 5)),
        st.tuples(st.just("take out"), _ids),
        st.tuples(st.just("unclaim"), st.none()),
    ),
    max_size=9,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=_items, todo=_steps, limit=st.integers(1, 4), order=st.sampled_from(["asc", "desc"]))
async def test_a_conversation_is_that_of_the_model(
    store: Store, first: list[tuple[str, bytes]], todo: list[tuple[str, Any]], limit: int, order: Any
) -> None:
    """Turns, additions and every kind of deletion, in any order: the list, its pages and its counts are the model's."""
    owner, talks = fresh_owner(), store.conversations
    given_ = [item(n, data=data, item_id=item_id) for n, (item_id, data) in enumerate(first)]
    talk = await made(store, owner, given_)
    model, turns = list(first), []
    for what, how in todo:
        if what == "turn":
            parts = [item(n, data=data, item_id=item_id) for n, (item_id, data) in enumerate(how)]
            turns.append(await turn(store, talk, owner, items=parts, steps=[]))
            model += how
        elif what == "add":
            parts = [item(n, data=data, item_id=item_id) for n, (item_id, data) in enumerate(how)]
            await talks.append(owner, await claimed(store, talk, owner), parts)
            model += how
        elif what == "forget response":
            if how < len(turns):
                assert await store.delete(owner, turns.pop(how).response.id)
        elif what == "take out":
            row = await talks.delete_item(owner, talk, how)
            assert (row is None) == (how not in [item_id for item_id, _ in model])
            model = [(item_id, data) for item_id, data in model if item_id != how]
        else:
            await talks.give_back(owner, await claimed(store, talk, owner))
    assert await said(store, talk, owner) == model
    row = await talks.get(owner, talk)
    assert row is not None
    assert (row.item_count, row.item_bytes) == (len(model), sum(len(data) for _, data in model))
    for left in turns:
        assert list(left.items) == await store.history(owner, left.response.id, max_items=9, max_bytes=PLENTY)
    if len({item_id for item_id, _ in model}) == len(model):
        assert await paged(store, owner, talk, limit, order) == (model if order == "asc" else model[::-1])


async def paged(store: Store, owner: str, talk: str, limit: int, order: Any) -> list[tuple[str, bytes]]:
    """Everything, by following the cursor."""
    seen: list[tuple[str, bytes]] = []
    more = True
    while more:
        after = seen[-1][0] if seen else None
        page = await store.conversations.page(owner, talk, after=after, limit=limit, order=order)
        assert len(page.items) <= limit
        seen += plain(page.items)
        more = page.has_more
    return seen


async def test_nothing_is_left_of_what_was_deleted(store: Store, url: str) -> None:
    """Turns, additions and long strings: when the conversation and its responses are gone no row of them is left."""
    long = [sized(LONG % (b"p" * 40_000))]
    for responses_first in (True, False):
        talk = await made(store, items=long)
        turns = [await turn(store, talk, items=long, steps=[]) for _ in range(2)]
        await store.conversations.append("default", await claimed(store, talk), long)
        if responses_first:
            for given_ in turns:
                await store.delete("default", given_.response.id)
            assert await said(store, talk) == plain(long * 4), "what a conversation shows stays"
        assert await store.conversations.delete("default", talk)
        assert not await store.conversations.delete("default", talk)
        for given_ in turns:
            held = (
                await store.history("default", given_.response.id, max_items=9, max_bytes=PLENTY)
                if not responses_first
                else []
            )
            assert plain(held) == ([] if responses_first else plain(long)), "a response keeps what it brought"
            await store.delete("default", given_.response.id)
        for table in ("conversations", "conversation_items", "items", "item_blobs", "blobs"):
            assert await query(url, f"SELECT count(*) FROM {table}") == [(0,)], (table, responses_first)


async def test_an_item_that_is_taken_out(store: Store, url: str) -> None:
    """One that was added is gone with its long string; one of a response stays there; a shared string stays too."""
    one, other = LONG % (b"p" * 40_000), LONG % (b"q" * 40_000)
    added = [item(0, data=one, item_id="msg_one"), item(1, data=other, item_id="msg_other")]
    talk = await made(store, items=added)
    given_ = await turn(store, talk, items=[item(0, data=one, item_id="msg_turn")], steps=[])
    for item_id in ("msg_one", "msg_other", "msg_turn"):
        assert await store.conversations.delete_item("default", talk, item_id) is not None
        assert await store.conversations.delete_item("default", talk, item_id) is None
        assert await store.conversations.item("default", talk, item_id) is None
    assert await said(store, talk) == []
    assert plain(await store.history("default", given_.response.id, max_items=9, max_bytes=PLENTY)) == plain(
        given_.items
    )
    assert await query(url, "SELECT count(*) FROM items") == [(1,)]
    assert await query(url, "SELECT count(*) FROM blobs") == [(1,)]


async def test_a_claim_keeps_others_out(store: Store) -> None:
    """While it counts nobody gets another; then anybody does, and the first one cannot append any more."""
    talks = store.conversations
    talk = await made(store)
    first = await talks.claim("default", talk, "first", MINUTE)
    assert first is not None
    assert await talks.claim("default", talk, "second", MINUTE) is None
    assert await talks.renew("default", first, 0), "until now"
    second = await talks.claim("default", talk, "second", MINUTE)
    assert second is not None
    assert not await talks.renew("default", first, MINUTE)
    await talks.give_back("default", first)
    assert await talks.claim("default", talk, "third", MINUTE) is None, "only its own is given back"
    with pytest.raises(Conflict) as lost:
        await talks.append("default", first, [item(0)])
    assert lost.value.code == "conversation_locked"
    await talks.append("default", second, [item(0, item_id="msg_second")])
    assert [item_id for item_id, _ in await said(store, talk)] == ["msg_second"]
    assert await talks.claim("default", "conv_none", "x", MINUTE) is None


async def test_a_turn_without_its_claim_writes_nothing(store: Store, url: str) -> None:
    """Lost to another or to a deletion: no response, no item, and the others of its group are written."""
    talk, gone = await made(store), await made(store)
    lost = [Claim(talk, "not mine", 0, 0, 0), msgspec.structs.replace(await claimed(store, gone))]
    await store.conversations.delete("default", gone)
    turns = [msgspec.structs.replace(finished(response(conversation_id="x")), claim=claim) for claim in lost]
    good = [finished() for _ in range(5)]
    fine = await made(store)
    good.append(msgspec.structs.replace(finished(), claim=await claimed(store, fine)))
    outcomes = await asyncio.gather(*(store.commit(f) for f in [*turns, *good]), return_exceptions=True)
    assert [type(o).__name__ for o in outcomes] == ["Conflict"] * 2 + ["NoneType"] * 6
    assert {str(getattr(o, "code", None)) for o in outcomes[:2]} == {"conversation_locked"}
    assert await said(store, fine) == plain(good[-1].items)
    assert await query(url, "SELECT count(*) FROM responses") == [(6,)]
    assert await query(url, "SELECT count(*) FROM conversation_items") == [(2,)]


async def test_a_commit_that_fails_appends_nothing(store: Store) -> None:
    """When a part of the response cannot be written its conversation is as it was, and the claim still counts."""
    talk = await made(store, items=[item(0)])
    before = await said(store, talk)
    claim = await claimed(store, talk)
    bad = finished(segments=[Segment(0, 1, 0, b"a"), Segment(0, 1, 0, b"same place")])
    with pytest.raises(Conflict):
        await store.commit(msgspec.structs.replace(bad, claim=claim))
    assert await said(store, talk) == before
    assert await store.conversations.renew("default", claim, MINUTE)
    row = await store.conversations.get("default", talk)
    assert row is not None
    assert row.item_count == 1


async def test_two_servers_on_one_database(url: str) -> None:
    """Turns of two stores, as many at once as there are, are appended whole, one after the other."""
    stores = [await open_store(StorageConfig(database_url=url)) for _ in range(2)]
    talk = await made(stores[0])

    async def go(n: int) -> None:
        store = stores[n % 2]
        claim = None
        while claim is None:
            claim = await store.conversations.claim("default", talk, f"turn {n}", MINUTE)
            await asyncio.sleep(0)
        items = [item(k, item_id=f"{n}.{k}") for k in range(3)]
        await store.commit(msgspec.structs.replace(finished(items=items), claim=claim))

    await asyncio.gather(*(go(n) for n in range(12)))
    ids = [item_id for item_id, _ in await said(stores[1], talk)]
    assert len(ids) == 36
    for at in range(0, 36, 3):
        n = ids[at].partition(".")[0]
        assert ids[at : at + 3] == [f"{n}.{k}" for k in range(3)]
    for store in stores:
        await store.close()


async def test_deletions_that_meet(url: str) -> None:
    """A conversation and its responses deleted by two servers at once: whoever is first, nothing is left."""
    stores = [await open_store(StorageConfig(database_url=url)) for _ in range(2)]
    for _ in range(10):
        talk = await made(stores[0], items=[item(0)])
        turns = [await turn(stores[n % 2], talk) for n in range(4)]
        jobs: list[Any] = [stores[n % 2].delete("default", f.response.id) for n, f in enumerate(turns)]
        jobs.insert(2, stores[0].conversations.delete("default", talk))
        assert await asyncio.gather(*jobs) == [True] * 5
    for table in ("conversations", "conversation_items", "items"):
        assert await query(url, f"SELECT count(*) FROM {table}") == [(0,)]
    for store in stores:
        await store.close()


async def test_an_item_deleted_twice_at_once_counts_once(url: str) -> None:
    """Of many deletions of one item one finds it, and the counts stay true."""
    stores = [await open_store(StorageConfig(database_url=url)) for _ in range(2)]
    talk = await made(stores[0], items=[item(0, item_id="msg_x"), item(1)])
    jobs = [stores[n % 2].conversations.delete_item("default", talk, "msg_x") for n in range(8)]
    found = [row for row in await asyncio.gather(*jobs) if row is not None]
    assert [row.item_count for row in found] == [1]
    row = await stores[0].conversations.get("default", talk)
    assert row is not None
    assert (row.item_count, row.item_bytes) == (1, len(b'{"n":1}'))
    for store in stores:
        await store.close()


async def test_every_method_keeps_two_owners_apart(store: Store) -> None:
    """The same id twice, under two owners: neither sees, changes or deletes what is the other's."""
    talks = store.conversations
    same = [conversation(owner, "conv_same") for owner in ("mine", "yours")]
    theirs = [[item(0, data=owner.encode(), item_id=f"in-{owner}")] for owner in ("mine", "yours")]
    await talks.create(same[0], theirs[0])
    assert await talks.get("yours", "conv_same") is None
    assert await talks.update("yours", "conv_same", b"{}") is None
    assert await talks.history("yours", "conv_same") == []
    assert await talks.item("yours", "conv_same", "in-mine") is None
    assert await talks.delete_item("yours", "conv_same", "in-mine") is None
    assert await talks.claim("yours", "conv_same", "x", MINUTE) is None
    assert not await talks.delete("yours", "conv_same")
    assert await store.item("yours", "in-mine") is None
    assert not (await talks.page("yours", "conv_same", after=None, limit=5, order="asc")).items
    with pytest.raises(CursorNotFound):
        await talks.page("yours", "conv_same", after="in-mine", limit=5, order="asc")
    await talks.create(same[1], theirs[1])
    claim = await talks.claim("mine", "conv_same", "token", MINUTE)
    assert claim is not None
    assert not await talks.renew("yours", claim, MINUTE)
    await talks.give_back("yours", claim)
    with pytest.raises(Conflict):
        await talks.append("yours", claim, [item(0)])
    with pytest.raises(Conflict):
        await store.commit(msgspec.structs.replace(finished(response(owner="yours")), claim=claim))
    await talks.append("mine", claim, [item(0, data=b"more", item_id="in-more")])
    assert await said(store, "conv_same", "yours") == plain(theirs[1])
    assert await talks.delete("mine", "conv_same")
    assert await said(store, "conv_same", "yours") == plain(theirs[1])
    row = await talks.get("yours", "conv_same")
    assert row == msgspec.structs.replace(same[1], item_count=1, item_bytes=len(b"yours"))


async def test_a_taken_id_is_refused(store: Store) -> None:
    """A second conversation of one id is a conflict and changes nothing."""
    first = conversation()
    await store.conversations.create(first, [item(0)])
    with pytest.raises(Conflict):
        await store.conversations.create(first, [item(0), item(1)])
    assert len(await said(store, first.id)) == 1


async def test_a_thousand_items_in_one_query(store: Store) -> None:
    """The history is one statement, whoever brought the items; so is a page."""
    assert isinstance(store, SqlStore)
    talk = await made(store, items=[item(n) for n in range(20)])
    for _ in range(5):
        await turn(store, talk, items=[item(n) for n in range(200)], steps=[])
    counting = Counting(store._database)
    talks = SqlConversations(counting)
    assert len(await talks.history("default", talk)) == 1020
    assert counting.reads == 1
    await talks.page("default", talk, after=None, limit=100, order="desc")
    assert counting.reads == 2


async def test_an_item_of_a_conversation_by_its_id(store: Store) -> None:
    """An item that was put into a conversation is found like those of responses; the newest response goes first."""
    talk = await made(store, items=[item(0, data=b"put", item_id="msg_x")])
    found = await store.item("default", "msg_x")
    assert found is not None
    assert found.data == b"put"
    await store.commit(finished(items=[item(0, data=b"told", item_id="msg_x")], steps=[]))
    found = await store.item("default", "msg_x")
    assert found is not None
    assert found.data == b"told"
    await store.conversations.delete("default", talk)
