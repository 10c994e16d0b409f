"""The index in memory: what it keeps, what it lets go, and what a kill leaves."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from antiphon.config import StorageConfig
from antiphon.knowledge.index.base import Chunk, Query
from antiphon.knowledge.index.memory import MemoryIndex
from antiphon.storage import open_store
from tests.databases import query
from tests.knowledge.index.vectors import SIZE, chunks, nearest, vector

pytestmark = pytest.mark.anyio

OWNER = "default"
ROOT = Path(__file__).parents[3]


def many(count: int, seed: object) -> list[Chunk]:
    """So many chunks."""
    return chunks(*(f"text {n}" for n in range(count)), seed=seed)


async def test_the_store_used_longest_ago_makes_room(tmp_path: Path) -> None:
    """No more is kept than the budget; what made room is read again when it is asked for."""
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    index = MemoryIndex(store.chunks, budget=3 * 200 * (SIZE * 4 + 12) + 2000)
    files = {f"vs_{n}": many(200, n) for n in range(5)}
    for name, its in files.items():
        await index.put(OWNER, name, "file-1", {}, its)
    for name in [*files, *reversed(files), "vs_2"]:
        hits = await index.search(OWNER, name, Query("", vector("x"), 3))
        expected = nearest([("file-1", {}, files[name])], vector("x"), None, 3)
        assert [(hit.file_id, hit.n) for hit in hits] == expected
        assert len(index._stores) <= 3
        assert sum(one.bytes for one in index._stores.values()) <= index._budget
    assert index._loading == {}
    await index.remove(OWNER, "vs_2", None)
    assert (OWNER, "vs_2") not in index._stores
    await index.aclose()
    await store.close()


async def test_removed_rows_do_not_pile_up(tmp_path: Path) -> None:
    """A file put again and again takes the memory of a few, and every search is right."""
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    index = MemoryIndex(store.chunks, budget=1 << 30)
    steady = many(50, "steady")
    await index.put(OWNER, "vs", "file-0", {}, steady)
    for round_ in range(12):
        its = many(1500, round_)
        await index.put(OWNER, "vs", "file-1", {}, its)
        hits = await index.search(OWNER, "vs", Query("", vector("x"), 5))
        expected = nearest([("file-0", {}, steady), ("file-1", {}, its)], vector("x"), None, 5)
        assert [(hit.file_id, hit.n) for hit in hits] == expected
        assert index._stores[OWNER, "vs"].rows <= 3 * 1550
    await index.remove(OWNER, "vs", "file-1")
    hits = await index.search(OWNER, "vs", Query("", vector("x"), 5))
    assert {hit.file_id for hit in hits} == {"file-0"}
    await index.aclose()
    await store.close()


async def test_nothing_of_a_removed_store_is_left(tmp_path: Path) -> None:
    """No row of any table, and no word in the index of words."""
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    index = MemoryIndex(store.chunks, budget=1 << 20)
    await index.put(OWNER, "vs", "file-1", {"a": 1}, chunks("a very private sentence", "and another"))
    await index.put(OWNER, "vs", "file-1", {"a": 1}, chunks("a very private sentence"))
    await index.remove(OWNER, "vs", None)
    url = f"sqlite:///{tmp_path}/antiphon.db"
    for table in ("chunk_stores", "chunk_files", "chunks", "chunk_vocabulary", "chunk_words_docsize"):
        assert await query(url, f"SELECT count(*) FROM {table}") == [(0,)], table
    await index.aclose()
    await store.close()


_WRITER = """
import asyncio, json, sys
from antiphon.config import StorageConfig
from antiphon.knowledge.index.memory import MemoryIndex
from antiphon.storage import open_store
from tests.knowledge.index.vectors import chunks

async def main():
    store = await open_store(StorageConfig(data_dir=sys.argv[1]))
    index = MemoryIndex(store.chunks, budget=1 << 20)
    for n in range(100_000):
        await index.put("default", "vs", f"file-{n}", {}, chunks(*[f"apple {n} {m}" for m in range(20)], seed=n))
        print(json.dumps(n), flush=True)

asyncio.run(main())
"""


async def test_a_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """After ``kill -9`` every acknowledged file is whole, the next one is whole or absent, and all tables agree."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    told = [json.loads(await process.stdout.readline()) for _ in range(15)]
    process.send_signal(signal.SIGKILL)
    told += [
        json.loads(line) for line in (await process.stdout.read()).splitlines(keepends=True) if line.endswith(b"\n")
    ]
    await process.wait()
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    index = MemoryIndex(store.chunks, budget=1 << 20)
    assert all([len(await index.contents(OWNER, "vs", f"file-{n}")) == 20 for n in told])
    hits = await index.search(OWNER, "vs", Query("apple", None, 1_000_000))
    found: dict[str, int] = {}
    for hit in hits:
        found[hit.file_id] = found.get(hit.file_id, 0) + 1
    assert set(found.values()) == {20}
    assert len(found) in (len(told), len(told) + 1)
    await index.aclose()
    await store.close()
