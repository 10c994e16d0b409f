"""The index of a server on PostgreSQL: pgvector and full text, both in the database.

Each search is one statement, so it sees one moment. The nearest and those whose words fit best are looked for by
themselves, many more of each than are wanted; both scores are computed for all of them, and fused here. Attributes are
filtered here too, over a list of the files that is read again when it has changed, and the database is told which files
may be found.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from antiphon.errors import InvalidRequest
from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.filters import Filter
from antiphon.knowledge.index import fusion
from antiphon.knowledge.index.attributes import Attributes
from antiphon.knowledge.index.base import Hit, Query
from antiphon.knowledge.index.words import question
from antiphon.knowledge.index.writing import Writing
from antiphon.storage.chunks.model import ChunkStore, IndexedFile, Version, Wanted
from antiphon.storage.model import Owner

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: What is looked for of each kind: so many times the limit, and at least so many.
_TIMES = 4
_LEAST = 200
#: What ``ts_rank`` gives for a word that stands in a text very often, and for one that stands there once.
_RANK = 0.1
#: Stores whose list of files is remembered.
_REMEMBERED = 64


class PostgresIndex(Writing):
    """``base.Index`` over PostgreSQL."""

    def __init__(self, chunks: ChunkStore) -> None:
        super().__init__(chunks)
        self._files: OrderedDict[tuple[Owner, str], tuple[int, list[str], Attributes]] = OrderedDict()

    async def search(self, owner: Owner, store_id: str, query: Query) -> list[Hit]:
        """The best first."""
        version = await self._chunks.version(owner, store_id)
        if version is None:
            return []
        if query.vector is not None and version.dimensions and len(query.vector) != 4 * version.dimensions:
            raise InvalidRequest(
                f"The question's vector has {len(query.vector) // 4} dimensions, those of this vector store have "
                f"{version.dimensions}.",
                code="dimensions_mismatch",
            )
        files = None
        if query.filters is not None:
            files = await self._allowed(owner, store_id, version, query.filters)
            if not files:
                return []
        weights, most = await self._weights(owner, store_id, question(query.text))
        wanted = Wanted(query.vector, weights, max(_LEAST, _TIMES * query.limit), files)
        found = await self._chunks.search(owner, store_id, wanted)
        if not found:
            return []
        np = numpy()
        found.sort(key=lambda one: (one.file_id, one.n))
        near = fit = None
        if query.vector is not None:
            near = np.clip(np.asarray([one.near for one in found], np.float32), 0, 1)
        if weights:
            fit = np.clip(np.asarray([one.rank for one in found], np.float32) / (_RANK * most), 0, 1)
        scores = fusion.fused(near, fit, query.ranking)
        rows = fusion.best(scores, None, query.limit, query.ranking.score_threshold)
        return [Hit(found[row].file_id, found[row].n, found[row].text, float(scores[row])) for row in rows]

    async def aclose(self) -> None:
        """Let go of memory."""
        self._files.clear()

    async def _weights(self, owner: Owner, store_id: str, words: Any) -> tuple[dict[str, float], float]:
        """What each word is worth, and all together."""
        if not words:
            return {}, 0.0
        total, counts = await asyncio.gather(
            self._chunks.count(owner, store_id), self._chunks.counts(owner, store_id, words)
        )
        weights = {word: fusion.worth(word, total, count) for word, count in zip(words, counts, strict=True)}
        return weights, sum(weights.values()) or 1.0

    async def _allowed(self, owner: Owner, store_id: str, version: Version, filters: Filter) -> list[str]:
        """Ids of the files that pass."""
        key = (owner, store_id)
        known = self._files.get(key)
        if known is None or known[0] != version.version:
            listed: list[IndexedFile] = await self._chunks.files(owner, store_id, -1)
            known = version.version, [file.file_id for file in listed], Attributes([file.attributes for file in listed])
            self._files[key] = known
        self._files.move_to_end(key)
        while len(self._files) > _REMEMBERED:
            self._files.popitem(last=False)
        _, names, attributes = known
        mask = await asyncio.to_thread(attributes.allowed, filters)
        return [name for name, one in zip(names, mask.tolist(), strict=True) if one]
