"""Files on their way into a store: what changes meanwhile, what fails, what comes too late; and what is left of it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from antiphon import ambient
from antiphon.config import JobsConfig
from antiphon.errors import InvalidRequest, ModelNotFound, NotFound, Unavailable
from antiphon.files.parsing import Unparsable
from antiphon.storage import Stores
from antiphon.wire.vector_store_requests import (
    CreateVectorStoreFile,
    ExpiresAfter,
    StaticChunking,
    StaticSizes,
    UpdateVectorStore,
)
from tests.databases import query
from tests.knowledge.world import OWNER, PATIENCE, Gate, World, world

pytestmark = pytest.mark.anyio

SMALL = StaticChunking(StaticSizes(100, 0))


async def documents(url: str) -> set[str]:
    """What the index holds."""
    return {name for (name,) in await query(url, "SELECT DISTINCT file_id FROM chunks")}


async def only_current(here: World, url: str, store_id: str) -> None:
    """The index holds what the rows name, and nothing else."""
    await here.done()
    names = await query(url, "SELECT document FROM vector_store_files WHERE document IS NOT NULL")
    assert await documents(url) == {name for (name,) in names}


async def reached(gate: Gate) -> None:
    """Somebody stands there."""
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()


async def test_a_file_is_read_and_found(store: Stores, url: str) -> None:
    """And nothing is owed any more."""
    async with world(store) as here:
        store_id = await here.store()
        file_id = await here.put(store_id, "abba", attributes={"n": 1})
        await here.done()
        assert (await here.file(store_id, file_id))["status"] == "completed"
        assert await here.found(store_id) == ["abba"]
        await only_current(here, url, store_id)


async def test_attributes_that_change_while_it_is_read(store: Stores) -> None:
    """Those of the end count, in the row and for filters."""
    async with world(store) as here:
        gate, store_id = Gate(), await here.store()
        here.embedder.on_embed = gate.pass_
        file_id = await here.put(store_id, "abba", attributes={"n": 1})
        await reached(gate)
        await here.stores.files.update(OWNER, store_id, file_id, {"n": 2})
        gate.opened.set()
        await here.done()
        for n, texts in ((1, []), (2, ["abba"])):
            assert await here.found(store_id, filters={"type": "eq", "key": "n", "value": n}) == texts


async def test_a_file_that_goes_while_it_is_read(store: Stores, url: str) -> None:
    """Nothing of it is left, whenever it went: out of the store, with the store, or as a file."""
    async with world(store) as here:
        for how in ("file", "store", "upload"):
            gate, store_id = Gate(), await here.store()
            here.embedder.on_embed = gate.pass_
            file_id = await here.put(store_id, "abba")
            await reached(gate)
            if how == "file":
                await here.stores.files.delete(OWNER, store_id, file_id)
            elif how == "store":
                await here.stores.delete(OWNER, store_id)
            else:
                del here.files.texts[file_id]
                await here.stores.files.detach_everywhere(OWNER, file_id)
            gate.opened.set()
            here.embedder.on_embed = None
            await only_current(here, url, store_id)
            assert await documents(url) == set()
            assert await query(url, "SELECT * FROM vector_store_files") == []


async def test_a_file_that_is_read_anew(store: Stores, url: str) -> None:
    """Its old text is found until the new one is whole, and then only that."""
    async with world(store) as here:
        gate, store_id = Gate(), await here.store()
        file_id = await here.put(store_id, "abba " * 90)
        await here.done()
        (old,) = await here.found(store_id)
        here.embedder.on_embed = gate.pass_
        await here.put(store_id, "abba " * 90, file_id, chunking_strategy=SMALL)
        await reached(gate)
        assert (await here.file(store_id, file_id))["status"] == "in_progress"
        assert await here.found(store_id) == [old]
        gate.opened.set()
        await here.done()
        new = await here.found(store_id)
        assert len(new) > 1
        assert len("".join(new)) == len(old)
        await only_current(here, url, store_id)


async def test_a_text_that_nobody_vouches_for(store: Stores, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the index and not yet, or no longer, the file's own is not found."""
    async with world(store) as here:
        gate, store_id, complete = Gate(), await here.store(), here.rows.complete
        file_id = await here.put(store_id, "abba " * 90)
        await here.done()
        (old,) = await here.found(store_id)

        async def held_up(*arguments: Any) -> Any:
            await gate.pass_()
            return await complete(*arguments)

        monkeypatch.setattr(here.rows, "complete", held_up)
        await here.put(store_id, "abba " * 90, file_id, chunking_strategy=SMALL)
        await reached(gate)
        assert len(await documents(url)) == 2
        assert await here.found(store_id) == [old]
        gate.opened.set()
        await here.done()
        assert old not in await here.found(store_id)


async def test_what_was_deleted_is_removed(store: Stores, url: str) -> None:
    """A file that was in, and a store that held some: the index has nothing of them, and all of the others."""
    async with world(store) as here:
        store_id, gone = await here.store(), await here.store()
        first, _ = await here.put(store_id, "first"), await here.put(store_id, "second")
        await here.put(gone, "third")
        await here.done()
        await here.stores.files.delete(OWNER, store_id, first)
        await here.stores.delete(OWNER, gone)
        await only_current(here, url, store_id)
        assert len(await documents(url)) == 1
        assert await here.found(store_id) == ["second"]


async def test_the_last_of_two_settings_counts(store: Stores, url: str) -> None:
    """A job that was overtaken leaves nothing, whichever of the two ends first."""
    async with world(store, JobsConfig(at_once=2, poll_seconds=60)) as here:
        gate, store_id = Gate(), await here.store()
        here.embedder.on_embed = gate.pass_
        file_id = await here.put(store_id, "abba " * 90)
        await reached(gate)
        here.embedder.on_embed = None
        await here.put(store_id, "abba " * 90, file_id, chunking_strategy=SMALL)
        async with asyncio.timeout(PATIENCE):
            while (await here.file(store_id, file_id))["status"] != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        gate.opened.set()
        await only_current(here, url, store_id)
        assert len(await here.found(store_id)) > 1


async def test_a_cancelled_batch_stops(store: Stores, url: str) -> None:
    """What is being read is broken off, what waits is never begun, and what is there stays."""
    async with world(store, JobsConfig(at_once=2, poll_seconds=60)) as here:
        gate, store_id = Gate(), await here.store()
        first = await here.put(store_id, "first")
        await here.done()
        here.embedder.on_embed = gate.pass_
        names = [f"file-{n}" for n in range(6)]
        here.files.texts.update(dict.fromkeys(names, "abba"))
        requests = [CreateVectorStoreFile(name) for name in (*names, first)]
        batch = await here.stores.batches.create(OWNER, store_id, requests, [""] * 7)
        await reached(gate)
        shown = await here.stores.batches.cancel(OWNER, store_id, batch["id"])
        assert shown["status"] == "cancelled"
        assert shown["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 6, "total": 7}
        await only_current(here, url, store_id)
        assert await here.found(store_id) == ["first"]
        assert len(here.files.reads) <= 3
        # Put in again, they are read.
        here.embedder.on_embed = None
        await here.stores.batches.create(OWNER, store_id, requests, [""] * 7)
        await here.done()
        assert len(await here.found(store_id)) == 7


async def test_failures_that_pass(store: Stores) -> None:
    """An embedder that is away, a reader that broke: it is tried again, and in the end it is there."""
    async with world(store) as here:
        store_id, away = await here.store(), [Unavailable("away"), RuntimeError("odd")]

        async def fail(*_: object) -> None:
            if away:
                raise away.pop()

        broken = [Unparsable("server_error", "broke")]

        async def broke(_name: str) -> None:
            if broken:
                raise broken.pop()

        here.embedder.on_embed, here.files.on_read = fail, broke
        file_id = await here.put(store_id, "abba")
        await here.done()
        assert (await here.file(store_id, file_id))["status"] == "completed"


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (Unparsable("invalid_file", "It is broken."), "invalid_file", "It is broken."),
        (Unparsable("unsupported_file", "What is that?"), "unsupported_file", "What is that?"),
        (Unparsable("server_error", "It broke."), "server_error", "It broke."),
        (ModelNotFound("No such model."), "server_error", "The text could not be embedded: No such model."),
        (Unavailable("Away."), "server_error", "Away."),
        (RuntimeError("/a/path of ours"), "server_error", "The server could not read this file. Its log says more."),
    ],
)
async def test_failures_that_stay(store: Stores, url: str, failure: Exception, code: str, message: str) -> None:
    """The file says why it is not there, and nothing of ours; others do not suffer."""
    async with world(store, JobsConfig(poll_seconds=60, retry_seconds=0, attempts=2)) as here:
        store_id = await here.store()

        async def fail(name: str) -> None:
            if name == "file-bad":
                raise failure

        here.files.on_read = fail
        await here.put(store_id, "bad", "file-bad")
        good = await here.put(store_id, "abba")
        await here.done()
        bad = await here.file(store_id, "file-bad")
        assert (bad["status"], bad["last_error"]) == ("failed", {"code": code, "message": message})
        assert (await here.file(store_id, good))["status"] == "completed"
        await only_current(here, url, store_id)


async def test_vectors_of_another_length(store: Stores) -> None:
    """A store holds vectors of one length, which its first file fixes where the model did not say it."""
    async with world(store) as here:
        here.embedder.dimensions = None
        store_id = await here.store()
        assert (await here.stores.get(OWNER, store_id))["embedding_dimensions"] is None
        await here.put(store_id, "abba")
        await here.done()
        assert (await here.stores.get(OWNER, store_id))["embedding_dimensions"] == 4
        here.embedder.size = 5
        other = await here.put(store_id, "abba")
        await here.done()
        failed = await here.file(store_id, other)
        assert failed["last_error"]["code"] == "server_error"
        assert "vectors of 5 numbers" in failed["last_error"]["message"]


async def test_a_holder_that_was_too_slow(store: Stores, url: str) -> None:
    """It comes back after another has done its job, and after the attributes have changed: nothing is other by it."""
    async with world(store, working=False) as here:
        gate, store_id = Gate(), await here.store()
        file_id = await here.put(store_id, "abba", attributes={"n": 1})
        claimed = await store.jobs.claim("slow", 1, ["vector_store.read"], 1)
        here.embedder.on_embed = gate.pass_
        slow = asyncio.create_task(here.reader.run(claimed[0]))
        await reached(gate)
        here.embedder.on_embed = None
        while not (again := await store.jobs.claim("quick", 60_000, ["vector_store.read"], 1)):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await here.reader.run(again[0])
        assert await store.jobs.finish(again[0])
        await here.stores.files.update(OWNER, store_id, file_id, {"n": 2})
        row = await store.vectors.file(OWNER, store_id, file_id)
        gate.opened.set()
        await slow
        assert await store.vectors.file(OWNER, store_id, file_id) == row
        assert await here.found(store_id, filters={"type": "eq", "key": "n", "value": 2}) == ["abba"]
        await only_current(here, url, store_id)


async def test_after_a_crash_in_between(store: Stores, url: str) -> None:
    """A job that died after any of its writes is done again, to the same end."""
    async with world(store, JobsConfig(at_once=1, poll_seconds=60, retry_seconds=0)) as here:
        store_id = await here.store()
        file_id = await here.put(store_id, "abba")
        await here.done()
        for dies_at in ("put", "complete", "remove"):
            real: Any = here.rows.complete if dies_at == "complete" else getattr(here.index, dies_at)
            dead = False

            async def die(*arguments: Any, real: Any = real) -> Any:
                nonlocal dead
                outcome = await real(*arguments)
                if not dead:
                    dead = True
                    raise Unavailable("Died here.")
                return outcome

            place: Any = here.rows if dies_at == "complete" else here.index
            setattr(place, dies_at, die)
            sizes = StaticChunking(StaticSizes(100 + len(dies_at), 0))
            await here.put(store_id, "abba", file_id, chunking_strategy=sizes)
            await only_current(here, url, store_id)
            assert dead
            assert await here.found(store_id) == ["abba"]
            assert (await here.file(store_id, file_id))["status"] == "completed"


async def test_expiry(store: Stores, url: str) -> None:
    """From its time on it answers nothing, and then it holds nothing; its files are listed for who makes a new one."""
    async with world(store) as here:
        now = ambient.now()
        store_id = await here.store(expires_after=ExpiresAfter("last_active_at", 2))
        kept = await here.store()
        for one in (store_id, kept):
            await here.put(one, "abba", "file-1")
        await here.done()
        assert await here.stores.sweep() == 0
        with ambient.freeze("later", now + 2 * 86400 + 5):
            assert (await here.stores.get(OWNER, store_id))["status"] == "expired"
            for call in (
                here.found(store_id),
                here.stores.files.attach(OWNER, store_id, CreateVectorStoreFile("file-1")),
                here.stores.update(OWNER, store_id, UpdateVectorStore(expires_after=None)),
            ):
                with pytest.raises(InvalidRequest) as caught:
                    await call
                assert caught.value.code == "vector_store_expired"
            assert await here.stores.sweep() == 1
            await here.done()
            assert await here.stores.sweep() == 0
        gone = await here.stores.get(OWNER, store_id)
        assert (gone["status"], gone["usage_bytes"], gone["file_counts"]["completed"]) == ("expired", 0, 1)
        assert (await here.file(store_id, "file-1"))["id"] == "file-1"
        assert (await here.stores.files.content(OWNER, store_id, "file-1"))["data"] == []
        assert await here.found(kept) == ["abba"]
        await only_current(here, url, kept)


async def test_use_puts_expiry_off(store: Stores) -> None:
    """A search is a use."""
    async with world(store) as here:
        now = int(ambient.now())
        store_id = await here.store(expires_after=ExpiresAfter("last_active_at", 2))
        with ambient.freeze("later", now + 86400):
            await here.found(store_id)
        shown = await here.stores.get(OWNER, store_id)
        assert (shown["last_active_at"], shown["expires_at"]) == (now + 86400, now + 3 * 86400)


async def test_owners_see_their_own(store: Stores) -> None:
    """Nothing of another's can be reached, under whatever id."""
    async with world(store) as here:
        store_id = await here.store()
        file_id = await here.put(store_id, "abba")
        await here.done()
        for call in (
            here.stores.get("b", store_id),
            here.stores.delete("b", store_id),
            here.stores.search("b", store_id, ["a"]),
            here.stores.files.get("b", store_id, file_id),
            here.stores.files.delete("b", store_id, file_id),
            here.stores.files.update("b", store_id, file_id, {}),
            here.stores.files.content("b", store_id, file_id),
            here.stores.files.attach("b", store_id, CreateVectorStoreFile(file_id)),
        ):
            with pytest.raises(NotFound):
                await call
        await here.stores.files.detach_everywhere("b", file_id)
        assert await here.found(store_id) == ["abba"]


async def test_an_index_that_fails_is_an_error(store: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never an empty result."""
    async with world(store) as here:
        store_id = await here.store()
        await here.put(store_id, "abba")
        await here.done()

        async def fail(*_: object) -> None:
            raise Unavailable("The store does not answer.")

        monkeypatch.setattr(here.index, "search", fail)
        with pytest.raises(Unavailable):
            await here.found(store_id)


async def test_where_ids_are_frozen_a_store_starts_empty(store: Stores) -> None:
    """A replay makes the same store again, and finds in it what it puts there now."""
    async with world(store) as here:
        for text in ("first", "second"):
            with ambient.freeze("scope", 1_700_000_000.0):
                store_id = await here.store()
            await here.put(store_id, text, f"file-{os.urandom(4).hex()}")
            await here.done()
            assert await here.found(store_id) == [text]
