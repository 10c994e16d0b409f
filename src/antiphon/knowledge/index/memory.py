"""The index of an embedded server: rows in SQLite, vectors also in memory, searched exactly.

A store is read at its first search and kept up to date by its version: one cheap read at the beginning of each search
says whether anything has changed since, whoever changed it, and then only what changed is read. The stores searched
longest ago make room for others.

A question's words are looked up in the database's full-text index; which chunks they stand in, and how often, is all
that is taken from it, and BM25 is computed here for all chunks at once. So the two scores are exact for every chunk,
and a filter loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from antiphon.errors import InvalidRequest, Unavailable
from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.index import fusion
from antiphon.knowledge.index.base import Hit, Query
from antiphon.knowledge.index.snapshot import Snapshot
from antiphon.knowledge.index.words import question
from antiphon.knowledge.index.writing import Writing
from antiphon.storage.chunks.model import ChunkStore, IndexedFile
from antiphon.storage.model import Owner

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Threads that compute. A large store is cut into as many parts.
_THREADS = 2
#: Blocks that are worth a thread of their own.
_PART = 2
#: Bytes of vectors that are read at a time.
_SLICE = 8 * 1024 * 1024
#: How often a search begins anew because files that it found are gone or other by the time their text is read.
_TRIES = 25

_log = logging.getLogger("antiphon.knowledge")

_Key = tuple[Owner, str]


class MemoryIndex(Writing):
    """``base.Index`` over SQLite. ``budget``: bytes of vectors in memory, over all stores."""

    def __init__(self, chunks: ChunkStore, *, budget: int) -> None:
        super().__init__(chunks)
        self._budget = budget
        self._stores: OrderedDict[_Key, Snapshot] = OrderedDict()
        self._loading: dict[_Key, asyncio.Lock] = {}
        # Two pools: a part of a search must never wait for the whole of another.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="index")
        self._parts = ThreadPoolExecutor(_THREADS, thread_name_prefix="index-part")

    async def search(self, owner: Owner, store_id: str, query: Query) -> list[Hit]:
        """The best first."""
        words = question(query.text)
        for _ in range(_TRIES):
            snapshot, postings = await asyncio.gather(
                self._snapshot(owner, store_id), self._postings(owner, store_id, words)
            )
            if snapshot is None or not snapshot.chunks:
                return []
            if query.vector is not None and len(query.vector) != 4 * snapshot.dimensions:
                raise InvalidRequest(
                    f"The question's vector has {len(query.vector) // 4} dimensions, those of this vector store have "
                    f"{snapshot.dimensions}.",
                    code="dimensions_mismatch",
                )
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._find, snapshot, query, words, postings
            )
            hits = await self._with_texts(owner, store_id, found)
            if hits is not None:
                return hits
        raise Unavailable("The vector store changes faster than it can be searched; try again.")

    async def remove(self, owner: Owner, store_id: str, file_id: str | None) -> None:
        """A file, or the whole store."""
        await super().remove(owner, store_id, file_id)
        if file_id is None:
            self._stores.pop((owner, store_id), None)

    async def aclose(self) -> None:
        """Let go of memory and threads."""
        self._stores.clear()
        for pool in (self._threads, self._parts):
            await asyncio.to_thread(pool.shutdown)

    # -- the store in memory

    async def _snapshot(self, owner: Owner, store_id: str) -> Snapshot | None:
        key = (owner, store_id)
        version = await self._chunks.version(owner, store_id)
        if version is None:
            self._stores.pop(key, None)
            return None
        known = self._stores.get(key)
        if known is not None and known.version >= version.version:
            self._stores.move_to_end(key)
            return known
        lock = self._loading.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                # Another search may have read it meanwhile.
                known = self._stores.get(key)
                if known is None or known.version < version.version:
                    known = await self._read(owner, store_id, known)
                    if known is None:
                        return None
                    self._keep(key, known)
                return known
        finally:
            if not lock.locked() and self._loading.get(key) is lock:
                del self._loading[key]

    async def _read(self, owner: Owner, store_id: str, known: Snapshot | None) -> Snapshot | None:
        """What the store is now, from what it was. The version is read before the files: what they are ahead of it is
        read again the next time."""
        version = await self._chunks.version(owner, store_id)
        if version is None:
            return None
        if known is None or known.wasteful:
            known = Snapshot(0, version.dimensions)
        listed = await self._chunks.files(owner, store_id, known.version)
        gone: set[str] = set()
        if version.removed > known.version:
            gone = set(known.places) - set(await self._chunks.names(owner, store_id))
        old = {file_id: place.file for file_id, place in known.places.items()}
        changed = [file for file in listed if file.file_id in old and old[file.file_id].written == file.written]
        anew = [file for file in listed if file.file_id not in old or old[file.file_id].written != file.written]
        loop = asyncio.get_running_loop()
        making = known.next(version.version, gone, changed, sum(file.chunks for file in anew))
        for part in _slices(anew, 4 * max(version.dimensions, 1)):
            loaded = await self._chunks.loaded(owner, store_id, part)
            await loop.run_in_executor(self._threads, making.add, loaded)
        return await loop.run_in_executor(self._threads, making.finish)

    def _keep(self, key: _Key, snapshot: Snapshot) -> None:
        self._stores[key] = snapshot
        self._stores.move_to_end(key)
        total = sum(one.bytes for one in self._stores.values())
        while total > self._budget and len(self._stores) > 1:
            (_, store_id), old = self._stores.popitem(last=False)
            total -= old.bytes
            _log.debug("The vectors of store %s made room (%d bytes).", store_id, old.bytes)

    # -- finding

    async def _postings(self, owner: Owner, store_id: str, words: Sequence[str]) -> Mapping[str, str]:
        found = await asyncio.gather(*(self._chunks.postings(owner, store_id, word) for word in words))
        return dict(zip(words, found, strict=True))

    def _find(
        self, snapshot: Snapshot, query: Query, words: Sequence[str], postings: Mapping[str, str]
    ) -> list[tuple[tuple[str, int, int], float]]:
        """Each hit's file, number and ``written``, and its score."""
        near = self._near(snapshot, query.vector) if query.vector is not None else None
        fit = _fit(snapshot, words, postings) if words else None
        if near is None and fit is None:
            return []
        scores = fusion.fused(near, fit, query.ranking)
        rows = fusion.best(scores, snapshot.allowed(query.filters), query.limit, query.ranking.score_threshold)
        found = [(snapshot.chunk(row), min(float(scores[row]), 1.0)) for row in rows]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def _near(self, snapshot: Snapshot, vector: bytes) -> Array:
        np = numpy()
        wanted = np.frombuffer(vector, "<f4")
        count = snapshot.blocks
        if count <= _PART:
            scores = snapshot.near(wanted, 0, count)
        else:
            middle = count // 2
            other = self._parts.submit(snapshot.near, wanted, 0, middle)
            mine = snapshot.near(wanted, middle, count)
            scores = np.concatenate([other.result(), mine])
        return np.clip(scores, 0, 1, out=scores)  # type: ignore[no-any-return]

    async def _with_texts(
        self, owner: Owner, store_id: str, found: Sequence[tuple[tuple[str, int, int], float]]
    ) -> list[Hit] | None:
        """The hits with their texts; None when one of their files is not any more what was searched."""
        if not found:
            return []
        texts = await self._chunks.texts(owner, store_id, [(file_id, n) for (file_id, n, _), _ in found])
        hits = []
        for (file_id, n, written), score in found:
            text, now = texts.get((file_id, n), ("", None))
            if now != written:
                return None
            hits.append(Hit(file_id, n, text, score))
        return hits


def _fit(snapshot: Snapshot, words: Sequence[str], postings: Mapping[str, str]) -> Array:
    """BM25 of every chunk over the most that these words could be worth: from 0 to 1."""
    np = numpy()
    lengths, mean = snapshot.lengths()
    scores = np.zeros(snapshot.rows, np.float32)
    most = 0.0
    for word in words:
        numbers = np.fromstring(postings[word], np.int64, sep=",")
        first = np.flatnonzero(np.diff(numbers, prepend=-1))  # what follows is the same chunk again
        rows, times = snapshot.rows_of(numbers[first]), np.diff(first, append=len(numbers))
        rows, times = rows[rows >= 0], times[rows >= 0]
        worth = fusion.worth(word, snapshot.chunks, len(rows))
        most += worth * (fusion.K1 + 1)
        if len(rows):
            held = fusion.K1 * (1 - fusion.B + fusion.B * lengths[rows] / mean)
            scores[rows] += worth * times * (fusion.K1 + 1) / (times + held)
    if most:
        scores /= np.float32(most)
    return scores  # type: ignore[no-any-return]


def _slices(files: Sequence[IndexedFile], row_bytes: int) -> list[list[str]]:
    slices: list[list[str]] = []
    size = _SLICE
    for file in files:
        cost = file.chunks * row_bytes + 256
        if size + cost > _SLICE:
            slices.append([])
            size = 0
        slices[-1].append(file.file_id)
        size += cost
    return slices
