"""Files and uploads in the store, on both databases: against a model in plain Python, and what no model says."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.ambient import freeze, new_id
from antiphon.errors import Conflict
from antiphon.storage import Stores
from antiphon.storage.files.model import StoredFile, StoredPart, StoredUpload
from tests.storage.values import fresh_owner

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000


def digest(content: str) -> bytes:
    """The name of a content."""
    return hashlib.sha256(content.encode()).digest()


def file(owner: str = "default", content: str = "x", **fields: Any) -> StoredFile:
    """One that is not in the store yet."""
    shown = {"id": new_id("file"), "filename": "a.txt", "purpose": "user_data", "bytes": 1, "created_at": NOW}
    return StoredFile(**{"owner": owner, "sha256": digest(content), **shown, **fields})


def upload(owner: str = "default", **fields: Any) -> StoredUpload:
    """One of 10 bytes that has an hour."""
    shown = {"id": new_id("upload"), "filename": "a.txt", "purpose": "batch", "bytes": 10, "created_at": NOW}
    times = {"expires_at": NOW + 3600, "sweep_at": NOW + 3600}
    return StoredUpload(**{"owner": owner, "media_type": "text/plain", **shown, **times, **fields})


def part(of: StoredUpload, content: str = "p", size: int = 5) -> StoredPart:
    """One that is not in the store yet."""
    return StoredPart(
        id=new_id("upload_part"), owner=of.owner, upload_id=of.id, created_at=NOW, bytes=size, sha256=digest(content)
    )


async def listed(store: Stores, owner: str, **asked: Any) -> list[StoredFile]:
    """All files, by pages of two."""
    found: list[StoredFile] = []
    asked = {"order": "asc", "purpose": None, "now": NOW, **asked}
    while True:
        after = found[-1].id if found else None
        page = await store.files.page(owner, after=after, limit=2, **asked)
        found += page.files
        assert len(page.files) == 2 or not page.has_more
        if not page.has_more:
            return found


_lives = st.sampled_from([None, 5, 500])
_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.sampled_from("xyz"),
            st.sampled_from(["batch", "vision"]),
            st.sampled_from([None, 5, 500]),
        ),
        st.tuples(st.just("bury"), st.integers(0, 8)),
        st.tuples(st.just("remove"), st.integers(0, 8)),
    ),
    max_size=12,
)


@given(steps=_steps)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
async def test_files_against_a_model(store: Stores, steps: list[Any]) -> None:
    """Whatever is added, buried and removed: lists, rows and contents are those of a plain list; a neighbour's stay."""
    owner, neighbour = fresh_owner(), fresh_owner()
    theirs = file(neighbour, "x", sweep_at=1)
    await store.files.add(theirs)
    rows: list[list[Any]] = []  # a file, and whether it is buried
    for step in steps:
        match step:
            case "add", content, purpose, lives:
                expires = None if lives is None else NOW + lives
                rows.append([file(owner, content, purpose=purpose, expires_at=expires, sweep_at=expires), False])
                await store.files.add(rows[-1][0])
            case "bury", n if n < len(rows):
                buried = await store.files.bury(owner, rows[n][0].id, NOW)
                assert buried == msgspec.structs.replace(rows[n][0], sweep_at=0)
                rows[n][1] = True
            case "remove", n if n < len(rows):
                await store.files.remove(owner, rows.pop(n)[0].id)
    rows.sort(key=lambda row: row[0].id)
    for now in (NOW, NOW + 5, NOW + 500):
        there = [f for f, buried in rows if not buried and (f.expires_at is None or f.expires_at > now)]
        assert await listed(store, owner, now=now) == there
        assert await listed(store, owner, now=now, order="desc") == there[::-1]
        vision = [f for f in there if f.purpose == "vision"]
        assert await listed(store, owner, now=now, purpose="vision") == vision
        for f, _ in rows:
            assert await store.files.get(owner, f.id, now) == (f if f in there else None)
            assert await store.files.get(neighbour, f.id, now) is None
        due = {f.id for f, buried in rows if buried or (f.expires_at is not None and f.expires_at <= now)}
        overdue = await store.files.overdue(now, 10_000)
        assert {f.id for f in overdue if f.owner == owner} == due
    contents = {f.sha256 for f, _ in rows}
    for content in "xyz":
        assert await store.files.in_use(owner, digest(content)) is (digest(content) in contents)
    assert await listed(store, neighbour) == [theirs]


async def test_a_cursor_may_name_what_is_gone(store: Stores) -> None:
    """Who deletes what it lists page by page misses nothing."""
    owner = fresh_owner()
    added = sorted((file(owner) for _ in range(5)), key=lambda f: f.id)
    for one in added:
        await store.files.add(one)
    page = await store.files.page(owner, after=None, limit=3, order="asc", purpose=None, now=NOW)
    for one in page.files:
        await store.files.remove(owner, one.id)
    rest = await store.files.page(owner, after=page.files[-1].id, limit=3, order="asc", purpose=None, now=NOW)
    assert (list(rest.files), rest.has_more) == (added[3:], False)


async def test_an_id_is_taken_once(store: Stores) -> None:
    """A second row of an id is a conflict; in a frozen scope it is the same file, made again."""
    one = file(fresh_owner())
    await store.files.add(one)
    with pytest.raises(Conflict):
        await store.files.add(one)
    again = msgspec.structs.replace(one, filename="again")
    with freeze("scope", NOW):
        await store.files.add(again)
    assert await store.files.get(one.owner, one.id, NOW) == again


async def test_an_expired_file_is_not_buried(store: Stores) -> None:
    """It is not there any more, for whoever wants to delete it too."""
    one = file(fresh_owner(), expires_at=NOW + 10)
    await store.files.add(one)
    assert await store.files.bury(one.owner, one.id, NOW + 10) is None
    assert await store.files.bury(fresh_owner(), one.id, NOW) is None
    assert await store.files.bury(one.owner, one.id, NOW) is not None
    assert await store.files.bury(one.owner, one.id, NOW) is not None, "again, for who was not told"


# -- uploads


async def test_an_upload_becomes_a_file(store: Stores) -> None:
    """Parts come, the file is there with the end of the upload, and it happens once."""
    up = upload(fresh_owner())
    await store.uploads.add(up)
    assert await store.uploads.get(up.owner, up.id) == up
    parts = sorted((part(up, c) for c in "ab"), key=lambda p: p.id)
    for one in parts:
        assert await store.uploads.add_part(one, NOW)
    assert await store.uploads.parts(up.owner, up.id) == parts
    assert await store.files.in_use(up.owner, digest("a"))
    made = [file(up.owner, "ab", expires_at=NOW + 7) for _ in range(2)]
    won = await asyncio.gather(*(store.uploads.complete(up, one, NOW, NOW + 99) for one in made))
    assert sorted(won) == [False, True]
    assert await listed(store, up.owner) == [made[won.index(True)]]
    ended = await store.uploads.get(up.owner, up.id)
    wanted = {"status": "completed", "file_id": made[won.index(True)].id, "sweep_at": NOW + 99}
    assert ended == msgspec.structs.replace(up, **wanted)
    assert not await store.uploads.add_part(part(up), NOW)
    for one in parts:
        await store.uploads.remove_part(msgspec.structs.replace(one, owner=fresh_owner()))
        await store.uploads.remove_part(one)
    assert await store.uploads.parts(up.owner, up.id) == []
    assert not await store.files.in_use(up.owner, digest("a"))
    assert await store.uploads.end(up.owner, up.id, "cancelled", None) is None


async def test_what_an_upload_takes(store: Stores) -> None:
    """Parts of twice its size, while it is pending and not expired; nobody else's."""
    up = upload(fresh_owner())
    await store.uploads.add(up)
    assert not await store.uploads.add_part(part(up), NOW + 3600)
    stranger = msgspec.structs.replace(up, owner=fresh_owner())
    assert not await store.uploads.add_part(part(stranger), NOW)
    took = await asyncio.gather(*(store.uploads.add_part(part(up), NOW) for _ in range(6)))
    assert sum(took) == 4
    assert len(await store.uploads.parts(up.owner, up.id)) == 4
    assert not await store.uploads.complete(up, file(up.owner), NOW + 3600, None)
    assert await store.uploads.end(stranger.owner, up.id, "cancelled", None) is None
    ended = await store.uploads.end(up.owner, up.id, "cancelled", NOW + 5)
    assert ended == msgspec.structs.replace(up, status="cancelled", sweep_at=NOW + 5)
    assert not await store.uploads.add_part(part(up, size=0), NOW)


async def test_uploads_whose_time_has_come(store: Stores) -> None:
    """They are told of all owners; those of a frozen scope never."""
    late, early, frozen = (upload(fresh_owner(), sweep_at=at) for at in (NOW + 3600, NOW, None))
    for one in (late, early, frozen):
        await store.uploads.add(one)
    mine = {late.owner, early.owner, frozen.owner}
    assert [u for u in await store.uploads.overdue(NOW, 100) if u.owner in mine] == [early]
    assert [u for u in await store.uploads.overdue(NOW + 3600, 100) if u.owner in mine] == [early, late]
    await store.uploads.remove(early.owner, early.id)
    assert await store.uploads.get(early.owner, early.id) is None
