"""kill -9 of a real server while it reads a batch, and another that goes on with it: all there, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.databases import KINDS, FreshDatabase, Kind, query
from tests.kills.campaign import Server

pytestmark = pytest.mark.anyio

FILES = 12
KILLS = 2
PATIENCE = 60.0
#: A job whose server died is taken up after a moment.
SETTINGS = "[jobs]\nlease_seconds = 0.5\npoll_seconds = 0.1\nat_once = 2\n"
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "joist", "kelp", "larch"]


def text(n: int) -> str:
    """A text of several chunks, each of which says whose it is."""
    word = f"{WORDS[n % len(WORDS)]}{n}"
    return " ".join(f"Line {line} of the story of {word}." for line in range(16))


def client(server: Server) -> httpx2.AsyncClient:
    """Requests to it."""
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}/v1", timeout=PATIENCE, trust_env=False)


async def batch_in(http: httpx2.AsyncClient, path: str, *, at_least: int) -> dict[str, Any]:
    """The batch once so many of its files are in."""
    async with asyncio.timeout(PATIENCE):
        while True:
            batch: dict[str, Any] = (await http.get(path)).raise_for_status().json()
            if batch["file_counts"]["completed"] >= at_least:
                return batch
            await asyncio.sleep(0.02)


async def begin(http: httpx2.AsyncClient) -> tuple[str, str, list[str]]:
    """Files, a store, and a batch that was acknowledged; its path, that of the store, and the files' ids."""
    files = []
    for n in range(FILES):
        form = {"data": {"purpose": "assistants"}, "files": {"file": (f"{n}.txt", text(n).encode())}}
        files.append((await http.post("/files", **form)).raise_for_status().json()["id"])
    store = "/vector_stores/" + (await http.post("/vector_stores")).raise_for_status().json()["id"]
    small = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    asked = {"file_ids": files, "chunking_strategy": small}
    batch = (await http.post(f"{store}/file_batches", json=asked)).raise_for_status().json()
    assert batch["file_counts"]["total"] == FILES
    return f"{store}/file_batches/{batch['id']}", store, files


@pytest.mark.parametrize("kind", KINDS)
async def test_every_acknowledged_file_is_in_once(kind: Kind, fresh_database: FreshDatabase, tmp_path: Path) -> None:
    """Two kills in the middle of a batch; in the end each file is whole, found, and nothing is there twice."""
    url = fresh_database(kind)
    (tmp_path / "antiphon.toml").write_text(SETTINGS)
    server = await Server.start(tmp_path, url, "http://127.0.0.1:9/v1")
    try:
        async with client(server) as http:
            batch_path, store, files = await begin(http)
        for kill in range(1, KILLS + 1):
            async with client(server) as http:
                batch = await batch_in(http, batch_path, at_least=kill * FILES // 6)
            assert batch["status"] == "in_progress", "it was over before the kill"
            await server.kill()
            server = await Server.start(tmp_path, url, "http://127.0.0.1:9/v1")
        async with client(server) as http:
            batch = await batch_in(http, batch_path, at_least=FILES)
            assert batch["status"] == "completed"
            await expect_all(http, store, files)
        chunks = await query(url, "SELECT file_id, n FROM chunks")
        documents = await query(url, "SELECT document FROM vector_store_files")
        assert {name for name, _ in chunks} == {name for (name,) in documents}
        assert len(set(chunks)) == len(chunks)
    finally:
        await server.end()


async def expect_all(http: httpx2.AsyncClient, store: str, files: list[str]) -> None:
    """Each file's text is whole, and a question for its own word finds it first and finds no chunk twice."""
    whole = (await http.get(store)).raise_for_status().json()
    assert whole["file_counts"] == {"in_progress": 0, "completed": FILES, "failed": 0, "cancelled": 0, "total": FILES}
    for n, file_id in enumerate(files):
        content = (await http.get(f"{store}/files/{file_id}/content")).raise_for_status().json()
        assert "".join(part["text"] for part in content["data"]) == text(n)
    for n, file_id in list(enumerate(files))[::5]:
        asked = {"query": f"story of {WORDS[n % len(WORDS)]}{n}", "max_num_results": 50}
        found = (await http.post(f"{store}/search", json=asked)).raise_for_status().json()["data"]
        assert found[0]["file_id"] == file_id
        texts = Counter((one["file_id"], one["content"][0]["text"]) for one in found)
        assert max(texts.values()) == 1
