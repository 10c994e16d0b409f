"""Files as a service: owners, lists, lifetimes, and those who are told of what goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from antiphon import ambient
from antiphon.errors import InvalidRequest, NotFound
from antiphon.storage.files.model import StoredFile
from tests.databases import query
from tests.files.conftest import House
from tests.files.test_blobs import pieces
from tests.storage.values import fresh_owner

pytestmark = pytest.mark.anyio

HOUR, DAY = 3600, 24 * 3600


async def keep(house: House, owner: str = "default", content: bytes = b"x", **more: Any) -> StoredFile:
    """A new file."""
    fields = {"filename": "a.txt", "purpose": "user_data", **more}
    return await house.files.create(owner, pieces(content), **fields)


async def past(house: House, owner: str, *, ago: int, content: bytes = b"old") -> StoredFile:
    """A file that expired so many seconds ago."""
    file = await keep(house, owner, content)
    await house.store.files.remove(owner, file.id)
    over = int(ambient.now()) - ago
    old = msgspec.structs.replace(file, expires_at=over, sweep_at=over)
    await house.store.files.add(old)
    return old


async def listed(house: House, owner: str, **asked: Any) -> list[StoredFile]:
    """One page."""
    asked = {"after": None, "limit": 100, "order": "asc", "purpose": None, **asked}
    return list((await house.files.page(owner, **asked)).files)


async def test_two_owners(house: House) -> None:
    """What is one's is not there for another: not by its id, in lists, as a cursor, nor to be deleted."""
    one, two = fresh_owner(), fresh_owner()
    mine, theirs = await keep(house, one), await keep(house, two)
    for call in (house.files.get, house.files.delete):
        with pytest.raises(NotFound):
            await call(two, mine.id)
    assert await listed(house, two) == [theirs]
    assert await listed(house, two, after=theirs.id) == []
    assert await listed(house, one) == [mine]
    assert house.files.path(mine) != house.files.path(theirs)


async def test_how_long_files_live(house: House) -> None:
    """For ever, for 30 days where they are for a batch, or as long as was asked."""
    for purpose, after, lives in (
        ("user_data", None, None),
        ("batch", None, 30 * DAY),
        ("batch", HOUR, HOUR),
        ("vision", 2 * HOUR, 2 * HOUR),
    ):
        file = await keep(house, purpose=purpose, expires_after=after)
        assert file.expires_at == (None if lives is None else file.created_at + lives)
        assert file.sweep_at == file.expires_at
        assert await house.files.get("default", file.id) == file


async def test_an_expired_file_is_not_there(house: House) -> None:
    """From that second on, and before anything is swept; then row and content go, and others are told."""
    owner, told = fresh_owner(), []

    async def gone(of: str, file_id: str) -> None:
        told.append((of, file_id))

    house.files.on_delete.append(gone)
    old, kept = await past(house, owner, ago=0), await keep(house, owner, b"kept")
    for call in (house.files.get, house.files.delete):
        with pytest.raises(NotFound):
            await call(owner, old.id)
    assert await listed(house, owner) == [kept]
    assert house.files.path(old).exists()
    assert await house.files.sweep() == 1
    assert told == [(owner, old.id)]
    assert not house.files.path(old).exists()
    assert house.files.path(kept).exists()
    assert await query(f"sqlite:///{house.folder.parent / 'antiphon.db'}", "SELECT id FROM files") == [(kept.id,)]
    assert await house.files.sweep() == 0


async def test_what_a_frozen_scope_makes_is_left_alone(house: House) -> None:
    """Its clock stands, long ago: there its files live on, and the housekeeping lets them."""
    with ambient.freeze("scope", 1000.0):
        file = await keep(house, purpose="batch")
        assert await house.files.get("default", file.id) == file
        assert await house.files.sweep() == 0
        assert await keep(house, content=b"y") != file
    assert await house.files.sweep() == 0
    with ambient.freeze("scope", 1000.0):
        again = await keep(house, purpose="batch", content=b"again")
        assert again.id == file.id, "the same file, made again"


async def test_deleting_is_taken_up_again(house: House) -> None:
    """When one who must be told cannot be, the file is not there, and it goes as soon as he can."""
    owner, calls = fresh_owner(), []

    async def gone(_owner: str, file_id: str) -> None:
        calls.append(file_id)
        if len(calls) < 3:
            raise RuntimeError("not now")

    house.files.on_delete.append(gone)
    file, other = await keep(house, owner), await past(house, owner, ago=5)
    with pytest.raises(RuntimeError):
        await house.files.delete(owner, file.id)
    with pytest.raises(NotFound):
        await house.files.get(owner, file.id)
    assert house.files.path(file).exists()
    assert await house.files.sweep() == 1, "the other one fails"
    assert await house.files.sweep() == 1
    assert sorted(set(calls)) == sorted({file.id, other.id})
    assert not house.files.path(file).exists()
    assert house.blobs() == []


async def test_who_was_refused_may_delete_again(house: House) -> None:
    """A deletion that failed halfway is not a 404 the second time."""
    fails = [RuntimeError("not now")]

    async def gone(_owner: str, _file_id: str) -> None:
        if fails:
            raise fails.pop()

    house.files.on_delete.append(gone)
    file = await keep(house)
    with pytest.raises(RuntimeError):
        await house.files.delete("default", file.id)
    await house.files.delete("default", file.id)
    assert house.blobs() == []
    with pytest.raises(NotFound):
        await house.files.delete("default", file.id)


async def test_cursors(house: House) -> None:
    """An id of a file, that is there or was; anything else is a 400."""
    files = [await keep(house, content=b"%d" % n) for n in range(3)]
    files.sort(key=lambda file: file.id)
    assert await listed(house, "default", after=files[0].id) == files[1:]
    await house.files.delete("default", files[0].id)
    assert await listed(house, "default", after=files[0].id) == files[1:]
    assert await listed(house, "default", after=files[1].id, order="desc") == []
    for wrong in ("x", "file-1", files[0].id.upper()):
        with pytest.raises(InvalidRequest) as caught:
            await listed(house, "default", after=wrong)
        assert (caught.value.param, caught.value.code) == ("after", "invalid_cursor")
