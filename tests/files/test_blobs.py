"""Contents on the disk: whole or not there, once for each owner, and never lost to who deletes the same."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.errors import APIError
from antiphon.files.blobs import DiskBlobs, _folder_of, _owner_of
from tests.files.conftest import House, house_of
from tests.storage.values import fresh_owner

pytestmark = pytest.mark.anyio

_PYTHON = (sys.executable, "-W", "ignore", "-c")


async def pieces(content: bytes, size: int = 3) -> AsyncIterator[bytes]:
    """A content as it may come in."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def keep(house: House, content: bytes, owner: str = "default", **more: object) -> str:
    """The id of a new file."""
    fields = {"filename": "a", "purpose": "user_data", **more}
    return (await house.files.create(owner, pieces(content, 1000), **fields)).id  # type: ignore[arg-type]


def run(code_and_arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A program, run to its end."""
    return subprocess.run([*_PYTHON, *code_and_arguments], timeout=30, capture_output=True, text=True)


def started(code_and_arguments: list[str]) -> subprocess.Popen[bytes]:
    """A program that runs."""
    return subprocess.Popen([*_PYTHON, *code_and_arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@given(content=st.binary(max_size=50), size=st.integers(1, 20))
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
async def test_what_goes_in_is_there(house: House, content: bytes, size: int) -> None:
    """However it comes in, a content is kept under its SHA-256, and nothing beside it."""
    file = await house.files.create("o", pieces(content, size), filename="a", purpose="vision")
    assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).digest())
    assert house.files.path(file).read_bytes() == content
    assert house.litter() == []


@given(owner=st.text(max_size=40))
def test_every_owner_has_a_folder(owner: str) -> None:
    """One for each, also where case does not count; whatever the name, it is no path."""
    try:
        owner.encode()
    except UnicodeEncodeError:
        return
    folder = _folder_of(owner)
    assert _owner_of(folder) == owner
    assert folder == folder.lower()
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_%")


async def test_modes(house: House) -> None:
    """Nobody else on this machine reads it."""
    await keep(house, b"secret")
    for path in [house.folder, *house.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_once_for_each_owner(house: House) -> None:
    """The same content lies there once for an owner, and goes with the last file that has it."""
    one, two = fresh_owner(), fresh_owner()
    ids = [await keep(house, b"same", one) for _ in range(3)]
    theirs = await keep(house, b"same", two)
    assert len(house.blobs()) == 2
    for n, file_id in enumerate(ids):
        await house.files.delete(one, file_id)
        assert len(house.blobs()) == (1 if n == 2 else 2)
    assert house.files.path(await house.files.get(two, theirs)).read_bytes() == b"same"
    assert house.litter() == []


async def test_creating_and_deleting_at_once(house: House) -> None:
    """Whoever creates what another deletes at the same time finds it, also from another server on the same folder."""
    servers = [house, house_of(house.folder, house.store, house.files_config)]
    contents = [b"a", b"b", b"c"]

    async def busy(n: int) -> None:
        server = servers[n % 2]
        for round_ in range(12):
            content = contents[(n + round_) % 3]
            file_id = await keep(server, content)
            file = await server.files.get("default", file_id)
            assert server.files.path(file).read_bytes() == content
            await server.files.delete("default", file_id)

    await asyncio.gather(*(busy(n) for n in range(8)))
    assert house.blobs() == []
    assert house.litter() == []


async def test_what_breaks_off_leaves_nothing(house: House) -> None:
    """A sender that fails, a content over the limit, and a cancelled one."""

    async def fails() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        raise ZeroDivisionError

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    arrived = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        arrived.set()
        await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        await house.files.create("o", fails(), filename="a", purpose="vision")
    with pytest.raises(APIError, match=r"limit of 4194304 bytes for a file \(files.max_file_bytes\)") as caught:
        await house.files.create("o", endless(), filename="a", purpose="vision")
    assert caught.value.status == 413
    task = asyncio.create_task(house.files.create("o", stalls(), filename="a", purpose="vision"))
    await arrived.wait()
    assert len(house.litter()) == 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert house.litter() == house.blobs() == []


async def test_who_is_cancelled_at_the_end_leaves_it_whole(house: House) -> None:
    """Row and content are both there, or both not, at whatever moment the request is given up."""
    for spins in range(40):
        task = asyncio.create_task(keep(house, b"%d" % spins, "o"))
        for _ in range(spins):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    files = await house.files.page("o", after=None, limit=100, order="asc", purpose=None)
    assert {house.files.path(file).name for file in files.files} == {name.partition("/")[2] for name in house.blobs()}
    assert house.litter() == []


async def test_a_row_that_comes_late_finds_its_content(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is cancelled while the database writes its row keeps others from dropping the content until it is written."""
    first = await keep(house, b"same")
    writing, written = asyncio.Event(), asyncio.Event()
    add, late = house.store.files.add, set()

    async def commit(file: Any) -> None:
        await written.wait()
        await add(file)

    async def slow(file: Any) -> None:
        writing.set()
        late.add(task := asyncio.create_task(commit(file)))
        await asyncio.shield(task)

    monkeypatch.setattr(house.store.files, "add", slow)
    creating = asyncio.create_task(keep(house, b"same"))
    await writing.wait()
    creating.cancel()
    deleting = asyncio.create_task(house.files.delete("default", first))
    await asyncio.wait([creating, deleting], timeout=0.2)
    written.set()
    await asyncio.wait([creating, deleting, *late])
    assert creating.cancelled()
    page = await house.files.page("default", after=None, limit=9, order="asc", purpose=None)
    assert [house.files.path(file).read_bytes() for file in page.files] == [b"same"]


_DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from antiphon.files.blobs import DiskBlobs

async def main(folder, where):
    blobs = DiskBlobs(Path(folder))
    async with blobs.draft() as draft:
        await draft.write(b"x" * 2_000_000)
        content = await draft.finish()
        if where == "written":
            die()
        async with blobs.alone("o", content.sha256):
            if where == "alone":
                die()
            await blobs.keep("o", draft)
            die()

def die():
    if sys.argv[3] == "waits":
        print("there", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:3]))
"""


@pytest.mark.parametrize("where", ["written", "alone", "kept"])
async def test_who_is_killed_leaves_nothing_for_long(house: House, where: str) -> None:
    """What a killed process had begun is found and removed, and nothing of who still lives."""
    arguments = [_DIES, str(house.folder), where]
    assert run([*arguments, "dies"]).returncode == -signal.SIGKILL
    live = started([*arguments, "waits"])
    try:
        assert live.stdout is not None
        assert live.stdout.readline() == b"there\n"
        if where == "written":
            assert len(house.litter()) == 2
            await house.contents.sweep()
            assert len(house.litter()) == 1, "the one that is being written"
        else:
            sweeping = asyncio.create_task(house.contents.sweep())
            done, _ = await asyncio.wait([sweeping], timeout=0.2)
            assert not done, "it waits for who is alone with this content"
    finally:
        live.kill()
        live.communicate()
    await house.contents.sweep()
    if where != "written":
        await sweeping
    assert house.litter() == house.blobs() == []


async def test_a_sweep_keeps_what_is_needed(house: House) -> None:
    """A note that was left behind does no harm to a content that has a file."""
    file = await house.files.get("default", await keep(house, b"needed"))
    path = house.files.path(file)
    (path.parent.parent / "open" / path.name).touch()
    await house.contents.sweep()
    assert path.read_bytes() == b"needed"
    assert house.litter() == []


_FULL = """
import asyncio, resource, sys
from pathlib import Path
from antiphon.errors import APIError
from antiphon.files.blobs import DiskBlobs

async def main(folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    try:
        async with DiskBlobs(Path(folder)).draft() as draft:
            await draft.write(b"x" * 3_000_000)
    except APIError as error:
        print(error.status, error.code)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_full_disk(house: House) -> None:
    """It is an error that says so, and nothing stays."""
    told = run([_FULL, str(house.folder)])
    assert told.stdout == "503 disk_full\n", told.stderr
    assert house.litter() == []


async def test_no_descriptor_is_left_open(house: House) -> None:
    """Each file and folder that was opened is closed."""
    await keep(house, b"x")
    before = psutil.Process().num_fds()
    for n in range(5):
        await house.files.delete("default", await keep(house, b"%d" % n))
    await house.contents.sweep()
    assert psutil.Process().num_fds() == before


async def test_an_empty_folder(tmp_path: Path) -> None:
    """Nothing is made before it is needed."""
    blobs = DiskBlobs(tmp_path / "files")
    assert await blobs.sweep() == 0
    assert await blobs.unsettled() == []
    assert not (tmp_path / "files").exists()
