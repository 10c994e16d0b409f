"""The processes that read files: what they may take, how they end, and that they harm nobody."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from antiphon.config import ParsingConfig
from antiphon.files.parsing import Parsers, Unparsable
from tests.files.parsing.documents import EACH, docx_files, overlapping, pdf, zipped

pytestmark = pytest.mark.anyio

Blob = Callable[[bytes], Path]
Make = Callable[..., Parsers]

MIB = 1024 * 1024
#: Seconds for what ought to happen at once.
PATIENCE = 30.0


#: Workers of other tests.
_others: set[psutil.Process] = set()


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes parsers with these settings, and ends them."""
    _others.clear()
    _others.update(workers())
    made: list[Parsers] = []

    def make(**settings: Any) -> Parsers:
        made.append(Parsers(ParsingConfig(**settings)))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


class Endless:
    """A file of which no more comes, until the test lets it end; then it is broken, for it cannot be read twice."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self.path = Path(f"/dev/fd/{self._reading}")

    def end(self) -> None:
        """That was all."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def close(self) -> None:
        self.end()
        os.close(self._reading)


@pytest.fixture
def endless() -> Any:
    file = Endless()
    yield file
    file.close()


def workers() -> list[psutil.Process]:
    """The processes that read files for this test."""
    children = (one for one in psutil.Process().children() if one not in _others)
    return [one for one in children if "antiphon.files.parsing" in " ".join(one.cmdline())]


async def reading() -> psutil.Process:
    """A worker, once it has a child that reads."""
    async with asyncio.timeout(PATIENCE):
        while not (busy := [worker for worker in workers() if worker.children()]):  # noqa: ASYNC110 - it gives no event
            await asyncio.sleep(0.005)
    return busy[0]


async def gone(*processes: psutil.Process) -> None:
    """Until they are no more."""
    async with asyncio.timeout(PATIENCE):
        while any(map(_lives, processes)):  # noqa: ASYNC110 - other processes give no event to wait for
            await asyncio.sleep(0.005)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def refused(parsers: Parsers, path: Path, name: str = "a") -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        await parsers.text(path, name)
    return caught.value


async def test_nothing_runs_before_the_first_file(make: Make, blob: Blob) -> None:
    """A worker starts with the first file, reads the next ones too, and a second one only for two at once."""
    parsers = make(workers=2)
    path = blob(EACH["md"])
    for _ in range(3):
        await parsers.text(path, "a.md")
    assert len(workers()) == 1
    await asyncio.gather(*(parsers.text(path, "a.md") for _ in range(6)))
    assert len(workers()) == 2
    await parsers.aclose()
    assert len(workers()) == 0


async def test_idle_workers_end(make: Make, blob: Blob) -> None:
    """After a while without work there is none, and the next file starts one again."""
    parsers = make(idle_seconds=0.05)
    path = blob(EACH["md"])
    await parsers.text(path, "a.md")
    (worker,) = workers()
    await gone(worker)
    assert (await parsers.text(path, "a.md")).text.endswith("A zebra.\n")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked into by /proc")
async def test_what_a_worker_is(make: Make, endless: Endless, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no secret of ours, has its limits, its own session, and no network where that can be had."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    parsers = make(memory_bytes=512 * MIB, cpu_seconds=7)
    task = asyncio.create_task(parsers.text(endless.path, "a"))
    worker = await reading()
    (child,) = worker.children()
    async with asyncio.timeout(PATIENCE):
        while child.nice() == psutil.Process().nice():  # noqa: ASYNC110 - the last that it gives up
            await asyncio.sleep(0.005)
    for one in (worker, child):
        assert "sk-secret" not in str(one.environ())
        assert one.environ().keys() < {
            "LANG",
            "PATH",
            "HOME",
            "MALLOC_ARENA_MAX",
            "RAYON_NUM_THREADS",
            "TOKIO_WORKER_THREADS",
        }
        assert os.getpgid(one.pid) == os.getsid(one.pid) == worker.pid
        for what, value in (("AS", 512 * MIB), ("CORE", 0), ("FSIZE", 0), ("NOFILE", 64)):
            assert resource.prlimit(one.pid, getattr(resource, f"RLIMIT_{what}")) == (value, value), what
        look_into(one.pid)
    assert resource.prlimit(child.pid, resource.RLIMIT_CPU) == (7, 8)
    endless.end()
    with pytest.raises(Unparsable):
        await task


def look_into(pid: int) -> None:
    """What only the kernel knows of a process."""
    proc = Path("/proc") / str(pid)
    assert "NoNewPrivs:\t1" in (proc / "status").read_text()
    files = {str(entry.readlink()) for entry in (proc / "fd").iterdir()}
    assert not [name for name in files if name.startswith("/") and name != "/dev/null"]
    if os.geteuid() == 0:  # others may be forbidden to leave the network
        assert (proc / "ns" / "net").readlink() != Path("/proc/self/ns/net").readlink()


async def test_others_are_read_meanwhile(make: Make, blob: Blob, endless: Endless) -> None:
    """A file that does not end holds up nobody but those behind the limit."""
    parsers = make(workers=2)
    stuck = asyncio.create_task(parsers.text(endless.path, "a"))
    await reading()
    for suffix in ("pdf", "docx", "md"):
        assert "zebra" in (await parsers.text(blob(EACH[suffix]), f"a.{suffix}")).text
    assert not stuck.done()
    endless.end()
    with pytest.raises(Unparsable):
        await stuck


async def test_a_cancelled_reading_leaves_nothing(make: Make, blob: Blob, endless: Endless) -> None:
    """The worker is killed with its child, and its place is free."""
    parsers = make(workers=1)
    task = asyncio.create_task(parsers.text(endless.path, "a"))
    worker = await reading()
    child = worker.children()[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(worker, child)
    assert "zebra" in (await parsers.text(blob(EACH["pdf"]), "a.pdf")).text


async def test_wall_time(make: Make, blob: Blob, endless: Endless) -> None:
    """A file that takes too long is given up; the next is read by another process."""
    parsers = make(workers=1, wall_seconds=0.5)
    why = await refused(parsers, endless.path)
    assert (why.code, "0.5 s (files.parsing.wall_seconds)" in why.message) == ("invalid_file", True)
    parsers = make(workers=1)
    assert "zebra" in (await parsers.text(blob(EACH["md"]), "a.md")).text


async def test_processor_time(make: Make, blob: Blob) -> None:
    """A file that keeps a processor busy is given up; the worker goes on."""
    parsers = make(workers=1, cpu_seconds=1, max_unpacked_bytes=10_000 * MIB)
    heavy = overlapping({**docx_files(["x"]), "word/media/a.bin": bytes(20 * MIB)}, 450)
    why = await refused(parsers, blob(heavy))
    assert (why.code, "1 s of computing" in why.message) == ("invalid_file", True)
    assert "zebra" in (await parsers.text(blob(EACH["docx"]), "a.docx")).text


@pytest.mark.parametrize("kind", ["text", "html"])
async def test_memory(make: Make, blob: Blob, kind: str) -> None:
    """A file that needs more memory than is allowed fails alone, in our code and in the library's."""
    parsers = make(workers=1, memory_bytes=256 * MIB)
    content = ("<p>ä" if kind == "html" else "wörter ").encode("utf-16") * (6 * MIB if kind == "html" else 7 * MIB)
    why = await refused(parsers, blob(content[: 120 * MIB]), f"a.{kind}")
    assert (why.code, "256 MiB" in why.message) == ("invalid_file", True)
    assert "zebra" in (await parsers.text(blob(EACH["md"]), "a.md")).text


async def test_too_much_text(make: Make, blob: Blob) -> None:
    """More text than is allowed is refused, not cut: of text itself, and of what unpacks to it."""
    parsers = make(max_text_bytes=100_000)
    for content in (b"word " * 30_000, b"word " * 3_000_000, zipped(docx_files(["word " * 10_000] * 3))):
        why = await refused(parsers, blob(content))
        assert (why.code, "files.parsing.max_text_bytes" in why.message) == ("invalid_file", True)
    assert len((await parsers.text(blob(b"word " * 20_000), "a")).text) == 100_000


async def test_a_worker_that_was_killed(make: Make, blob: Blob) -> None:
    """While it waited: another takes its place and nobody notices. While it read: the file is what broke it."""
    parsers = make(workers=1)
    path = blob(EACH["pdf"])
    await parsers.text(path, "a.pdf")
    (worker,) = workers()
    worker.kill()
    assert "zebra" in (await parsers.text(path, "a.pdf")).text


@pytest.mark.parametrize("who", ["worker", "child"])
async def test_killed_while_reading(make: Make, blob: Blob, endless: Endless, who: str) -> None:
    """Whoever of the two dies, the file is said to be broken, and the next one is read."""
    parsers = make(workers=1)
    task = asyncio.create_task(parsers.text(endless.path, "a"))
    worker = await reading()
    (worker if who == "worker" else worker.children()[0]).kill()
    with pytest.raises(Unparsable) as caught:
        await task
    assert caught.value.code == "invalid_file"
    assert "zebra" in (await parsers.text(blob(EACH["md"]), "a.md")).text


async def test_the_end(make: Make, endless: Endless, blob: Blob) -> None:
    """Closing ends what is being read, as our own doing, and nothing is begun after it."""
    parsers = make(workers=1)
    stuck = asyncio.create_task(parsers.text(endless.path, "a"))
    waiting = asyncio.create_task(parsers.text(blob(EACH["md"]), "a.md"))
    worker = await reading()
    await parsers.aclose()
    await gone(worker)
    for task in (stuck, waiting):
        with pytest.raises(Unparsable) as caught:
            await task
        assert caught.value.code == "server_error"
    await parsers.aclose()


async def test_a_file_that_is_not_there(make: Make, tmp_path: Path) -> None:
    """It may have been deleted in the meantime; no worker is started for it."""
    why = await refused(make(), tmp_path / "none")
    assert (why.code, str(tmp_path) in why.message) == ("server_error", False)
    assert not workers()


async def test_pages_as_pictures(make: Make, blob: Blob) -> None:
    """The first pages of a PDF, for models that see; of other kinds there are none."""
    parsers = make()
    path = blob(pdf("One", "Two", "Three"))
    images = await parsers.images(path, "a.pdf", pages=2)
    assert [image[:8] for image in images] == [b"\x89PNG\r\n\x1a\n"] * 2
    assert len(await parsers.images(path, "a.pdf", pages=9)) == 3
    with pytest.raises(Unparsable) as caught:
        await parsers.images(blob(EACH["docx"]), "a.docx", pages=1)
    assert caught.value.code == "unsupported_file"
