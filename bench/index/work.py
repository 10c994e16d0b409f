"""The processes of the measurement: ``python -m bench.index.work write|read URL ...`` prints JSON lines.

Each part is a process of its own, so that one can be killed, and so that memory is that of a server that only serves.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psutil

from antiphon.config import KnowledgeConfig, StorageConfig
from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.filters import parse
from antiphon.knowledge.index.base import Hit, Index, Query, Ranking
from antiphon.knowledge.index.choice import open_index
from antiphon.storage import open_store
from bench.index.made import KINDS, OWNER, PER_FILE, STORE, file, questions, vectors

#: Files that are written at once.
_AT_ONCE = 4
LIMIT = 10

WAYS = {
    "vector": (Ranking(embedding_weight=1, text_weight=0), False, False),
    "vector, filtered": (Ranking(embedding_weight=1, text_weight=0), True, False),
    "hybrid": (Ranking(), False, True),
    "hybrid, filtered": (Ranking(), True, True),
}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Index]:
    """The index of this database."""
    store = await open_store(StorageConfig(database_url=url))
    index = open_index(store.chunks, KnowledgeConfig())
    yield index
    await index.aclose()
    await store.close()


def say(**values: Any) -> None:
    """One line."""
    print(json.dumps(values), flush=True)


async def write(url: str, first: int, last: int, dimensions: int) -> None:
    """Puts files, and says of each when it is durable; at the end how long all took, without making them up."""
    async with opened(url) as index:
        began = time.perf_counter()
        idle = 0.0
        for at in range(first, last, _AT_ONCE):
            start = time.perf_counter()
            made = [file(n, dimensions) for n in range(at, min(at + _AT_ONCE, last))]
            idle += time.perf_counter() - start

            async def put(n: int, one: Any) -> None:
                await index.put(OWNER, STORE, *one)
                say(put=n)

            await asyncio.gather(*(put(at + m, one) for m, one in enumerate(made)))
        say(seconds=time.perf_counter() - began - idle)


async def check(url: str, files: int) -> None:
    """How many of the first files' chunks are there, and how many files are there in part only."""
    async with opened(url) as index:
        counts = [len(await index.contents(OWNER, STORE, f"file-{n:06}")) for n in range(files)]
        say(
            whole=[n for n, count in enumerate(counts) if count == PER_FILE], half=sum(0 < c < PER_FILE for c in counts)
        )


async def read(url: str, files: int, dimensions: int, count: int) -> None:
    """Opens, answers the first question, then many in each way; and how they compare with looking at every vector."""
    np = numpy()
    asked = list(questions(count, dimensions))
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.perf_counter()
    async with opened(url) as index:
        await index.search(OWNER, STORE, Query(asked[0][0], asked[0][1], LIMIT))
        say(ready=time.perf_counter() - began)
        found: dict[str, list[list[Hit]]] = {}
        for name, (ranking, filtered, words) in WAYS.items():
            took, found[name] = [], []
            for n, (text, vector) in enumerate(asked):
                filters = parse({"type": "eq", "key": "kind", "value": n % KINDS}, "filters") if filtered else None
                query = Query(text if words else "", vector, LIMIT, filters, ranking)
                start = time.perf_counter()
                found[name].append(await index.search(OWNER, STORE, query))
                took.append(1000 * (time.perf_counter() - start))
            took.sort()
            say(way=name, p50=took[len(took) // 2], p99=took[int(len(took) * 0.99)])
        say(memory=process.memory_info().rss - before)
    rows = np.concatenate([vectors(PER_FILE, dimensions, 1000 + n) for n in range(files)])
    kinds = np.repeat(np.arange(files) % KINDS, PER_FILE)
    for name in ("vector", "vector, filtered"):
        say(way=name, recall=_recall(rows, kinds if "filtered" in name else None, asked, found[name]))


def _recall(rows: Any, kinds: Any, asked: Sequence[tuple[str, bytes]], found: Sequence[Sequence[Hit]]) -> float:
    """Of the nearest ten, how many were found."""
    np = numpy()
    right = 0
    for n, ((_, vector), hits) in enumerate(zip(asked, found, strict=True)):
        near = rows @ np.frombuffer(vector, "<f4")
        if kinds is not None:
            near[kinds != n % KINDS] = -1
        nearest = {(f"file-{row // PER_FILE:06}", int(row % PER_FILE)) for row in np.argsort(-near)[:LIMIT]}
        right += len(nearest & {(hit.file_id, hit.n) for hit in hits})
    return right / (LIMIT * len(asked))


async def together(url: str, first: int, dimensions: int, seconds: float) -> None:
    """Four who ask and one who writes, for a while."""
    asked = list(questions(100, dimensions))
    took: list[float] = []
    async with opened(url) as index:
        await index.search(OWNER, STORE, Query(asked[0][0], asked[0][1], LIMIT))
        end = time.perf_counter() + seconds

        async def ask(one: int) -> None:
            n = one
            while time.perf_counter() < end:
                text, vector = asked[n % len(asked)]
                start = time.perf_counter()
                hits = await index.search(OWNER, STORE, Query(text, vector, LIMIT))
                took.append(1000 * (time.perf_counter() - start))
                assert hits
                n += 4

        async def put() -> int:
            n = first
            while time.perf_counter() < end:
                one = await asyncio.to_thread(file, n, dimensions)
                await index.put(OWNER, STORE, *one)
                n += 1
            return n - first

        *_, written = await asyncio.gather(*(ask(one) for one in range(4)), put())
    took.sort()
    say(
        p50=took[len(took) // 2],
        p99=took[int(len(took) * 0.99)],
        asked=len(took) / seconds,
        written=written * PER_FILE / seconds,
    )


if __name__ == "__main__":
    what, where, *numbers = sys.argv[1:]
    asyncio.run({"write": write, "check": check, "read": read, "together": together}[what](where, *map(int, numbers)))
