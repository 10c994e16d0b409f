"""Vector stores in the store, on both databases: lists, counts, files that change under a job, and what is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.ambient import freeze, new_id
from antiphon.errors import Conflict
from antiphon.storage import Stores
from antiphon.storage.jobs.model import Claimed, NewJob
from antiphon.storage.model import CursorNotFound
from antiphon.storage.vectors.model import (
    Batch,
    Between,
    Counts,
    FileRow,
    NewFile,
    Order,
    StoreChange,
    VectorStoreRow,
)
from tests.databases import query
from tests.storage.values import fresh_owner

pytestmark = pytest.mark.anyio

TABLES = ("jobs", "vector_stores", "vector_store_files", "file_batches", "file_batch_files")


def row(owner: str = "a", created_at: int = 1000, **more: object) -> VectorStoreRow:
    """A vector store."""
    plain = VectorStoreRow(new_id("vector_store"), owner, created_at, "", None, "{}", None, created_at, False, "m", 3)
    plain = msgspec.structs.replace(plain, owner=owner, id=new_id("vector_store"))
    return msgspec.structs.replace(plain, **more)


async def made(store: Stores, owner: str = "a", **more: object) -> str:
    """The id of a new one."""
    new = row(owner, **more)
    await store.vectors.create(new)
    return new.id


def file(file_id: str, **more: str) -> NewFile:
    """A file and its job."""
    job = NewJob(f"{file_id}.{os.urandom(4).hex()}", "read", b"{}")
    return NewFile(file_id, f"{file_id}.txt", more.get("attributes", "{}"), more.get("chunking", "{}"), job)


async def attach(store: Stores, store_id: str, *names: str, owner: str = "a", batch: str | None = None) -> None:
    """These files, by jobs of their own."""
    named = Batch(batch, names) if batch else None
    assert await store.vectors.attach(owner, store_id, [file(name) for name in names], 1000, named)


async def claimed(store: Stores) -> dict[str, Claimed]:
    """Every job that is ready, by the file that it reads."""
    found: list[Claimed] = []
    while got := await store.jobs.claim(os.urandom(8).hex(), 60_000, ["read"], 8):
        found += got
    return {job.id.rpartition(".")[0]: job for job in found}


async def got(store: Stores, store_id: str, file_id: str, owner: str = "a") -> FileRow:
    """The row, which is there."""
    found = await store.vectors.file(owner, store_id, file_id)
    assert found is not None
    return found


async def counts(store: Stores, store_id: str, owner: str = "a") -> Counts:
    """Of one."""
    return (await store.vectors.counts(owner, [store_id]))[store_id]


async def test_a_store_comes_out_as_it_went_in(store: Stores) -> None:
    """And changes where it is told to, and only there."""
    new = row(name="n", description="d", metadata='{"a":"é"}', expires_days=3, dimensions=None)
    await store.vectors.create(new)
    with pytest.raises(Conflict):
        await store.vectors.create(new)
    assert await store.vectors.get("a", new.id) == new
    assert await store.vectors.get("b", new.id) is None
    for change, after in (
        (StoreChange(), {}),
        (StoreChange(name="other"), {"name": "other"}),
        (StoreChange(metadata='{"b":"c"}'), {"metadata": '{"b":"c"}'}),
        (StoreChange(expires_days=None), {"expires_days": None}),
        (StoreChange(expires_days=7), {"expires_days": 7}),
    ):
        assert await store.vectors.change("b", new.id, change) is None
        new = msgspec.structs.replace(new, **after)
        assert await store.vectors.change("a", new.id, change) == new
    assert new.expires_at == new.last_active_at + 7 * 86400
    for dimensions in (5, 6):
        fixed = await store.vectors.fix_dimensions("a", new.id, dimensions)
        assert fixed is not None
        assert fixed.dimensions == 5


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 3), max_size=7),
    limit=st.integers(1, 3),
    order=st.sampled_from(["asc", "desc"]),
    forwards=st.booleans(),
)
async def test_paging(store: Stores, times: list[int], limit: int, order: Order, forwards: bool) -> None:
    """Following ``after`` or ``before`` from end to end gives every store once, in order, whatever their times."""
    owner = fresh_owner()
    for time in times:
        await made(store, owner, created_at=time)
    whole, more = await store.vectors.page(owner, Between(limit=100, order=order))
    assert not more
    ids = [one.id for one in whole]
    assert len(ids) == len(times)
    assert [one.created_at for one in whole] == sorted(times, reverse=order == "desc")
    seen: list[str] = []
    page, more = await store.vectors.page(owner, Between(limit=limit, order=order))
    if forwards:
        seen = [one.id for one in page]
        while more:
            page, more = await store.vectors.page(owner, Between(after=seen[-1], limit=limit, order=order))
            seen += [one.id for one in page]
        assert seen == ids
    elif ids:
        more = True
        while more:
            before = seen[0] if seen else ids[-1]
            page, more = await store.vectors.page(owner, Between(before=before, limit=limit, order=order))
            seen = [one.id for one in page] + seen
        assert seen == ids[:-1]
    if len(ids) > 2:
        page, _ = await store.vectors.page(owner, Between(after=ids[0], before=ids[-1], limit=100, order=order))
        assert [one.id for one in page] == ids[1:-1]


async def test_a_cursor_to_nothing(store: Stores) -> None:
    """Is told apart from an empty list."""
    store_id = await made(store)
    theirs = await made(store, "b")
    for between in (Between(after="vs_x"), Between(before=theirs)):
        with pytest.raises(CursorNotFound):
            await store.vectors.page("a", between)
        with pytest.raises(CursorNotFound):
            await store.vectors.page_of_files("a", store_id, between, status=None)
    assert await store.vectors.page("a", Between(after=store_id)) == ([], False)


async def test_a_file_is_read_by_its_job(store: Stores) -> None:
    """Attached, claimed, completed: the row says so, and whose document it is now."""
    store_id = await made(store)
    await attach(store, store_id, "file-1", "file-2")
    assert await counts(store, store_id) == Counts(in_progress=2)
    jobs = await claimed(store)
    before = await got(store, store_id, "file-1")
    assert (before.status, before.job_id, before.document) == ("in_progress", jobs["file-1"].id, None)
    done = await store.vectors.complete(jobs["file-1"], before, 10)
    assert done is not None
    assert (done.status, done.document, done.usage_bytes) == ("completed", jobs["file-1"].id, 10)
    assert await store.vectors.complete(jobs["file-1"], done, 10) is None
    failed = await store.vectors.fail(jobs["file-2"], await got(store, store_id, "file-2"), "invalid_file", "bro\0ken")
    assert failed is not None
    assert (failed.status, failed.error_code, failed.error_message) == ("failed", "invalid_file", "bro ken")
    assert await counts(store, store_id) == Counts(completed=1, failed=1, usage_bytes=10)
    for status, expected in ((None, ["file-1", "file-2"]), ("failed", ["file-2"]), ("cancelled", [])):
        page, _ = await store.vectors.page_of_files("a", store_id, Between(order="asc"), status=status)
        assert [one.file_id for one in page] == expected
    assert list(await store.vectors.files("a", store_id, ["file-2", "file-3"])) == ["file-2"]
    assert await store.vectors.stores_of("a", "file-1") == [store_id]
    assert await store.vectors.stores_of("b", "file-1") == []


async def test_who_lost_its_job_writes_nothing(store: Stores) -> None:
    """A result without the job's token of today is not written, even where the row is as it was read."""
    store_id = await made(store)
    await attach(store, store_id, "file-1")
    (slow,) = await store.jobs.claim("slow", 1, ["read"], 1)
    row = await got(store, store_id, "file-1")
    while not (other := await store.jobs.claim("quick", 60_000, ["read"], 1)):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert await store.vectors.complete(slow, row, 1) is None
    assert await store.vectors.fail(slow, row, "server_error", "x") is None
    assert await got(store, store_id, "file-1") == row
    assert await store.vectors.complete(other[0], row, 1) is not None


async def test_who_read_an_old_row_writes_nothing(store: Stores) -> None:
    """Attributes that changed meanwhile must be seen first; a file that is read anew is its new job's."""
    store_id = await made(store)
    await attach(store, store_id, "file-1")
    job = (await claimed(store))["file-1"]
    old = await got(store, store_id, "file-1")
    new = await store.vectors.change_attributes("a", store_id, "file-1", '{"a":1}')
    assert new is not None
    assert new.attributes == '{"a":1}'
    assert await store.vectors.complete(job, old, 1) is None
    assert await store.vectors.complete(job, new, 1) is not None
    await attach(store, store_id, "file-1")
    again = await got(store, store_id, "file-1")
    assert (again.status, again.document, again.created_at) == ("in_progress", job.id, 1000)
    assert await store.vectors.complete(job, again, 1) is None
    done = await store.vectors.complete((await claimed(store))["file-1"], again, 2)
    assert done is not None
    assert (done.document, done.replaced) == (again.job_id, job.id)


async def test_a_batch(store: Stores) -> None:
    """It counts what became of its files, and cancelling stops those that are not read yet."""
    store_id = await made(store)
    await attach(store, store_id, "file-0")
    await attach(store, store_id, "file-1", "file-2", batch="b")
    assert await store.vectors.batch("a", store_id, "x") is None
    assert await store.vectors.batch("b", store_id, "b") is None
    jobs = await claimed(store)
    assert await store.vectors.complete(jobs["file-1"], await got(store, store_id, "file-1"), 1)
    assert await store.vectors.batch_counts("a", store_id, "b") == Counts(in_progress=1, completed=1)
    assert not await store.vectors.cancel_batch("b", store_id, "b")
    assert await store.vectors.cancel_batch("a", store_id, "b")
    assert await store.vectors.cancel_batch("a", store_id, "b")
    assert await store.vectors.batch_counts("a", store_id, "b") == Counts(cancelled=1, completed=1)
    batch = await store.vectors.batch("a", store_id, "b")
    assert batch is not None
    assert batch.cancelled
    told = {one.id: one.cancelled for one in await store.jobs.renew(list(jobs.values()), 60_000)}
    assert told == {jobs["file-0"].id: False, jobs["file-1"].id: False, jobs["file-2"].id: True}
    assert await store.vectors.complete(jobs["file-2"], await got(store, store_id, "file-2"), 1) is None
    page, _ = await store.vectors.page_of_files("a", store_id, Between(order="asc"), status=None, batch_id="b")
    assert [one.file_id for one in page] == ["file-1", "file-2"]


async def test_a_file_goes(store: Stores) -> None:
    """Only as it was seen; its job is told, and another one owed."""
    store_id = await made(store)
    await attach(store, store_id, "file-1", "file-2", batch="b")
    old = await got(store, store_id, "file-1")
    now = await store.vectors.change_attributes("a", store_id, "file-1", '{"a":1}')
    assert now is not None
    assert not await store.vectors.detach(old, NewJob("away", "forget", b"{}"))
    assert await store.vectors.detach(now, NewJob("away", "forget", b"{}"))
    assert await store.vectors.file("a", store_id, "file-1") is None
    assert await store.vectors.batch_counts("a", store_id, "b") == Counts(in_progress=1)
    (job,) = await store.jobs.claim("t", 60_000, ["forget"], 1)
    assert job.id == "away"
    assert (await claimed(store))["file-1"].cancelled


@pytest.mark.parametrize("how", ["deleted", "none", "another's"])
async def test_nothing_is_attached_to_a_store_that_is_not_there(store: Stores, url: str, how: str) -> None:
    """Neither rows nor batches."""
    store_id = await made(store, "b" if how == "another's" else "a")
    if how == "deleted":
        assert await store.vectors.delete("a", store_id, NewJob("away", "forget", b"{}"))
    elif how == "none":
        store_id = "vs_x"
    assert not await store.vectors.attach("a", store_id, [file("file-1")], 1, Batch("b", ["file-1"]))
    for table in TABLES[2:]:
        assert await query(url, f"SELECT * FROM {table}") == []


async def test_nothing_is_left_of_a_store_that_was_deleted(store: Stores, url: str) -> None:
    """Nor is anything of its neighbours touched."""
    gone, other, theirs = await made(store), await made(store), await made(store, "b")
    for store_id, owner in ((gone, "a"), (other, "a"), (theirs, "b")):
        await attach(store, store_id, "file-1", owner=owner, batch="b")
    assert not await store.vectors.delete("b", gone, NewJob("x", "forget", b"{}"))
    assert await store.vectors.delete("a", gone, NewJob("away", "forget", b"{}"))
    for table, column in (("vector_stores", "id"), *((table, "store_id") for table in TABLES[2:])):
        assert {one for (one,) in await query(url, f"SELECT {column} FROM {table}")} == {other, theirs}
    cancelled = await query(url, "SELECT id FROM jobs WHERE cancelled AND kind = 'read'")
    assert len(cancelled) == 1


async def test_expiry(store: Stores) -> None:
    """Days after the last use, of any owner, once; being used puts it off."""
    used, idle, theirs = [await made(store, owner, expires_days=1) for owner in ("a", "a", "b")]
    for _ in range(2):
        await made(store)
    await attach(store, idle, "file-1")
    await store.vectors.touch("a", used, 2000)
    await store.vectors.touch("a", used, 1500)
    assert await store.vectors.due(1000 + 86399, 9) == []
    due = await store.vectors.due(1000 + 86400, 9)
    assert set(due) == {("a", idle), ("b", theirs)}
    for owner, store_id in due:
        assert await store.vectors.expire(owner, store_id)
    assert await store.vectors.due(1000 + 86400, 9) == []
    assert await store.vectors.due(2000 + 86400, 9) == [("a", used)]
    assert await counts(store, idle) == Counts(cancelled=1)
    await store.vectors.touch("a", idle, 9_000_000)
    expired = await store.vectors.get("a", idle)
    assert expired is not None
    assert (expired.expired, expired.last_active_at) == (True, 1000)


async def test_where_ids_are_frozen_a_store_is_made_anew(store: Stores) -> None:
    """A replay makes the same id again: it takes the place of the earlier one, and starts empty."""

    async def again() -> str:
        with freeze("scope", 5.0):
            return await made(store)

    first = await again()
    await attach(store, first, "file-1")
    assert await again() == first
    assert await counts(store, first) == Counts()


async def test_a_batch_of_2000(store: Stores) -> None:
    """All of it at once, or nothing."""
    store_id = await made(store)
    names: Sequence[str] = [f"file-{n:04}" for n in range(2000)]
    await attach(store, store_id, *names, batch="b")
    assert await store.vectors.batch_counts("a", store_id, "b") == Counts(in_progress=2000)
