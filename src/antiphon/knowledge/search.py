"""Questions to a vector store: embedded, asked of the index, and answered in terms of its files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from antiphon import ambient
from antiphon.knowledge.duties import file_of
from antiphon.knowledge.embedding.embedders import Embedders
from antiphon.knowledge.filters import Filter, parse
from antiphon.knowledge.index.base import Hit, Index, Query, Ranking
from antiphon.knowledge.lookup import Lookup
from antiphon.knowledge.shapes import Json, attributes_of
from antiphon.storage.model import Owner
from antiphon.storage.vectors.model import Between, FileRow, VectorStore, VectorStoreRow
from antiphon.wire.vector_store_requests import RankingOptions, SearchVectorStore

#: Results of a search that does not say how many.
DEFAULT_RESULTS = 10
#: Hits that are asked for at most, to have enough left when some are of documents that are just being replaced.
_MOST_HITS = 1000
#: How exactly a store knows when it was last used. Seconds.
_ACTIVE_SECONDS = 60


class Found(msgspec.Struct, frozen=True):
    """A passage, the file that it is of, and how well it answers: 0 to 1, comparable between stores of one model."""

    file_id: str
    filename: str
    score: float
    attributes: Json
    texts: tuple[str, ...]


class Search:
    """Asks vector stores."""

    def __init__(self, rows: VectorStore, embedders: Embedders, index: Index) -> None:
        self._rows = rows
        self._embedders = embedders
        self._index = index
        self._lookup = Lookup(rows)

    async def answer(self, owner: Owner, store_id: str, request: SearchVectorStore) -> Json:
        """The reply to ``POST /v1/vector_stores/{id}/search``. Raises ``NotFound``, or a 400 naming what is wrong."""
        filters = None if request.filters is None else parse(request.filters, "filters")
        found = await self.search(
            owner,
            store_id,
            request.queries,
            filters=filters,
            limit=request.max_num_results or DEFAULT_RESULTS,
            ranking=ranking_of(request.ranking_options),
        )
        return {
            "object": "vector_store.search_results.page",
            "search_query": request.queries,
            "data": [
                {
                    "file_id": one.file_id,
                    "filename": one.filename,
                    "score": one.score,
                    "attributes": one.attributes,
                    "content": [{"type": "text", "text": text} for text in one.texts],
                }
                for one in found
            ],
            "has_more": False,
            "next_page": None,
        }

    async def search(
        self,
        owner: Owner,
        store_id: str,
        queries: Sequence[str],
        *,
        filters: Filter | None = None,
        limit: int = DEFAULT_RESULTS,
        ranking: Ranking = Ranking(),  # noqa: B008 - a constant
    ) -> list[Found]:
        """The best passages for any of these queries, best first. Raises ``NotFound``, a 400, or what went wrong."""
        store = await self._lookup.usable(owner, store_id)
        await self._touch(store)
        some, _ = await self._rows.page_of_files(owner, store_id, Between(limit=1), status=None)
        if not some:
            return []
        asked = [await self._query(store, text, filters, ranking) for text in queries]
        wanted = limit
        while True:
            hits = await self._hits(store, [msgspec.structs.replace(query, limit=wanted) for query in asked])
            found = await self._named(store, hits)
            if len(found) >= limit or len(found) == len(hits) or wanted >= _MOST_HITS:
                return found[:limit]
            wanted = min(wanted * 4, _MOST_HITS)

    async def _query(self, store: VectorStoreRow, text: str, filters: Filter | None, ranking: Ranking) -> Query:
        vector = None
        if ranking.embedding_weight > 0:
            vector = await self._embedders.named(store.embedding_model).query(text)
        words = text if ranking.text_weight > 0 else ""
        return Query(words, vector, DEFAULT_RESULTS, filters, ranking)

    async def _hits(self, store: VectorStoreRow, queries: Sequence[Query]) -> list[Hit]:
        """Those of all queries together, each chunk once, as good as its best question makes it."""
        answers = await asyncio.gather(*(self._index.search(store.owner, store.id, query) for query in queries))
        best: dict[tuple[str, int], Hit] = {}
        for hit in (hit for answer in answers for hit in answer):
            known = best.get((hit.file_id, hit.n))
            if known is None or hit.score > known.score:
                best[hit.file_id, hit.n] = hit
        return sorted(best.values(), key=_order)

    async def _named(self, store: VectorStoreRow, hits: Sequence[Hit]) -> list[Found]:
        """With their files; what is of a document that is not its file's, or not any more, is left out."""
        names = list(dict.fromkeys(file_of(hit.file_id) for hit in hits))
        rows: dict[str, FileRow] = await self._rows.files(store.owner, store.id, names)
        found = []
        for hit in hits:
            row = rows.get(file_of(hit.file_id))
            if row is not None and row.document == hit.file_id:
                found.append(Found(row.file_id, row.filename, hit.score, attributes_of(row), (hit.text,)))
        return found

    async def _touch(self, store: VectorStoreRow) -> None:
        now = int(ambient.now())
        if now >= store.last_active_at + _ACTIVE_SECONDS:
            await self._rows.touch(store.owner, store.id, now)


def ranking_of(options: RankingOptions | None) -> Ranking:
    """What a request asks for, with the defaults of the index for the rest."""
    if options is None:
        return Ranking()
    embedding, text = Ranking().embedding_weight, Ranking().text_weight
    if options.alpha is not None:
        embedding, text = options.alpha, 1 - options.alpha
    if options.hybrid_search is not None:
        embedding, text = options.hybrid_search.embedding_weight, options.hybrid_search.text_weight
    return Ranking(
        fusion="rrf" if options.ranker == "rrf" else "convex",
        embedding_weight=embedding,
        text_weight=text,
        score_threshold=options.score_threshold or 0.0,
    )


def _order(hit: Hit) -> tuple[float, str, int]:
    return -hit.score, hit.file_id, hit.n
