"""Uploads as a service: parts, their order, and every way in which one may end."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon import ambient
from antiphon.errors import APIError, InvalidRequest, NotFound
from antiphon.files import uploads as module
from antiphon.storage.files.model import StoredFile, StoredUpload
from antiphon.wire.file_requests import CompleteUpload, CreateUpload, ExpiresAfter
from tests.files.conftest import House
from tests.storage.values import fresh_owner

pytestmark = pytest.mark.anyio


async def begin(house: House, size: int, owner: str = "default", **more: Any) -> StoredUpload:
    """A new upload."""
    fields: dict[str, Any] = {"filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data", **more}
    return await house.uploads.create(owner, CreateUpload(bytes=size, **fields))


async def add(house: House, upload: StoredUpload, content: bytes, owner: str | None = None) -> str:
    """The id of a new part."""
    async with house.uploads.incoming() as incoming:
        await incoming.write(content)
        return (await house.uploads.add_part(owner or upload.owner, upload.id, incoming)).id


async def complete(
    house: House, upload: StoredUpload, *parts: str, md5: str | None = None
) -> tuple[StoredUpload, StoredFile]:
    """Its end."""
    return await house.uploads.complete(upload.owner, upload.id, CompleteUpload(list(parts), md5))


_parts = st.lists(st.tuples(st.binary(max_size=6), st.integers()), min_size=1, max_size=5)


@given(drawn=_parts)
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
async def test_parts_in_any_order(house: House, drawn: list[tuple[bytes, int]]) -> None:
    """However they came, the file is what the end says, and the parts are gone."""
    parts = [part for part, _ in drawn]
    whole = b"".join(parts)
    upload = await begin(house, len(whole), fresh_owner())
    ids: dict[int, str] = {}
    for n in sorted(range(len(parts)), key=lambda n: drawn[n][1]):
        ids[n] = await add(house, upload, parts[n])
    md5 = hashlib.md5(whole).hexdigest().upper()
    ended, file = await complete(house, upload, *(ids[n] for n in range(len(parts))), md5=md5)
    assert (ended.status, ended.file_id) == ("completed", file.id)
    assert house.files.path(file).read_bytes() == whole
    assert await house.files.get(upload.owner, file.id) == file
    assert (file.filename, file.media_type, file.bytes) == ("a.txt", "text/plain", len(whole))
    mine = [name for name in house.blobs() if name.startswith(f"of-{upload.owner}/")]
    assert [name.partition("/")[2] for name in mine] == [file.sha256.hex()]
    assert house.litter() == []


async def test_what_does_not_fit(house: House) -> None:
    """Wrong sums and wrong parts are a 400 that says what is wrong, and the upload can still be completed."""
    upload, other = await begin(house, 4), await begin(house, 2)
    one, two, foreign = await add(house, upload, b"ab"), await add(house, upload, b"cd"), await add(house, other, b"x")
    for parts, md5, param, code in (
        ([one], None, "part_ids", "invalid_size"),
        ([one, foreign], None, "part_ids[1]", "invalid_value"),
        ([one, one], None, "part_ids[1]", "invalid_value"),
        ([one, two], "0" * 32, "md5", "invalid_md5"),
        ([one, two], "x", "md5", "invalid_md5"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await complete(house, upload, *parts, md5=md5)
        assert (caught.value.param, caught.value.code) == (param, code)
    _, file = await complete(house, upload, two, one)
    assert house.files.path(file).read_bytes() == b"cdab"


async def test_it_ends_once(house: House) -> None:
    """After its end nothing more can be done with it, and the error says what became of it."""
    done, dropped = await begin(house, 1), await begin(house, 1)
    part = await add(house, done, b"x")
    _, file = await complete(house, done, part)
    await add(house, dropped, b"y")
    assert (await house.uploads.cancel("default", dropped.id)).status == "cancelled"
    assert len(house.blobs()) == 1
    for upload, code, word in ((done, "upload_completed", file.id), (dropped, "upload_cancelled", "cancelled")):
        for call in (
            lambda: complete(house, upload, part),  # noqa: B023
            lambda: add(house, upload, b"x"),  # noqa: B023
            lambda: house.uploads.cancel("default", upload.id),  # noqa: B023
        ):
            with pytest.raises(InvalidRequest, match=word) as caught:
                await call()
            assert (caught.value.param, caught.value.code) == ("upload_id", code)
    assert len(house.blobs()) == 1
    assert house.litter() == []


async def test_completed_and_cancelled_at_once(house: House) -> None:
    """One of them wins; there is one file, or none."""
    for n in range(6):
        upload = await begin(house, 4, fresh_owner())
        parts = [await add(house, upload, b"ab"), await add(house, upload, b"cd")]
        calls: list[Any] = [complete(house, upload, *parts), complete(house, upload, *parts)]
        calls.insert(n % 3, house.uploads.cancel(upload.owner, upload.id))
        ends = await asyncio.gather(*calls, return_exceptions=True)
        failures = [end for end in ends if isinstance(end, BaseException)]
        assert len(failures) == 2
        assert all(isinstance(failure, InvalidRequest) for failure in failures), failures
        page = await house.files.page(upload.owner, after=None, limit=9, order="asc", purpose=None)
        mine = [name for name in house.blobs() if name.startswith(f"of-{upload.owner}/")]
        assert [file.sha256.hex() for file in page.files] == [name.partition("/")[2] for name in mine]
    assert house.litter() == []


async def test_nobody_elses(house: House) -> None:
    """An upload is there for its owner only."""
    upload, stranger = await begin(house, 1), fresh_owner()
    for call in (
        lambda: house.uploads.get(stranger, upload.id),
        lambda: house.uploads.cancel(stranger, upload.id),
        lambda: add(house, upload, b"x", stranger),
        lambda: house.uploads.complete(stranger, upload.id, CompleteUpload(["x"])),
    ):
        with pytest.raises(NotFound):
            await call()
    assert house.blobs() == []


async def test_limits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an upload, of a part, and of all parts together; each is a 413 that says which."""
    monkeypatch.setattr(module, "MAX_PART_BYTES", 20)
    with pytest.raises(APIError, match="max_upload_bytes") as caught:
        await begin(house, 8 * 1024 * 1024 + 1)
    assert caught.value.status == 413
    upload = await begin(house, 10)
    with pytest.raises(APIError, match="limit of 20 bytes for a part") as caught:
        await add(house, upload, b"x" * 21)
    assert caught.value.status == 413
    await add(house, upload, b"x" * 20)
    with pytest.raises(APIError, match="limit of 20 bytes for all parts") as caught:
        await add(house, upload, b"y")
    assert caught.value.status == 413
    assert len(house.blobs()) == 1
    assert house.litter() == []


async def test_it_expires(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour it takes nothing more; the housekeeping removes the parts, and much later the row."""
    upload = await begin(house, 1)
    assert upload.expires_at == upload.created_at + 3600
    part = await add(house, upload, b"x")
    monkeypatch.setattr(ambient, "now", lambda: upload.expires_at)
    for call in (
        lambda: complete(house, upload, part),
        lambda: add(house, upload, b"x"),
        lambda: house.uploads.cancel("default", upload.id),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await call()
        assert caught.value.code == "upload_expired"
    assert len(house.blobs()) == 1
    assert await house.uploads.sweep() == 1
    assert house.blobs() == []
    row = await house.store.uploads.get("default", upload.id)
    assert row == msgspec.structs.replace(upload, status="expired", sweep_at=upload.expires_at + 24 * 3600)
    assert await house.uploads.sweep() == 0
    monkeypatch.setattr(ambient, "now", lambda: upload.expires_at + 24 * 3600)
    assert await house.uploads.sweep() == 1
    assert await house.store.uploads.get("default", upload.id) is None


async def test_the_file_lives_as_long_as_was_asked(house: House) -> None:
    """Counted from its own making."""
    upload = await begin(house, 1, expires_after=ExpiresAfter("created_at", 7200), filename="../x.txt")
    _, file = await complete(house, upload, await add(house, upload, b"x"))
    assert file.expires_at == file.created_at + 7200
    assert file.filename == upload.filename == "x.txt"
