"""How well the right documents are found: each set in a store, each question asked by words, by vector and by both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from antiphon.knowledge.embedding.base import Embedder
from antiphon.knowledge.filters import parse
from antiphon.knowledge.index.base import Chunk, Hit, Index, Query, Ranking
from bench.retrieval.sets import Document, Question, Set

#: nDCG is of the first ten.
DEPTH = 10

WAYS: Mapping[str, Ranking] = {
    "keyword": Ranking(embedding_weight=0, text_weight=1),
    "vector": Ranking(embedding_weight=1, text_weight=0),
    "hybrid": Ranking(),
    "rrf": Ranking(fusion="rrf", embedding_weight=0.5, text_weight=0.5),
}


class Score(msgspec.Struct, frozen=True):
    """Of all questions of a set: the mean nDCG@10, and how often the first hit is right."""

    ndcg: float
    first: float


class Vectors:
    """What an embedder makes of texts, each once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._documents: dict[str, bytes] = {}
        self._questions: dict[str, bytes] = {}

    async def documents(self, texts: Sequence[str]) -> list[bytes]:
        """One vector each."""
        new = list(dict.fromkeys(text for text in texts if text not in self._documents))
        self._documents |= zip(new, await self._embedder.documents(new), strict=True)
        return [self._documents[text] for text in texts]

    async def question(self, text: str) -> bytes:
        """Its vector."""
        if text not in self._questions:
            self._questions[text] = await self._embedder.query(text)
        return self._questions[text]


async def measure(index: Index, vectors: Vectors, its: Set, ways: Mapping[str, Ranking] = WAYS) -> dict[str, Score]:
    """Each way's score. The store has the set's name."""
    await fill(index, vectors, its)
    return {name: await ask(index, vectors, its, ranking) for name, ranking in ways.items()}


async def fill(index: Index, vectors: Vectors, its: Set) -> None:
    """Its documents, each a file of one chunk."""
    made = await vectors.documents([document.text for document in its.documents])
    for document, vector in zip(its.documents, made, strict=True):
        await index.put("bench", its.name, document.id, document.attributes, _chunk(document, vector))


async def ask(index: Index, vectors: Vectors, its: Set, ranking: Ranking) -> Score:
    """All its questions in one way."""
    gains, firsts = 0.0, 0
    for question in its.questions:
        filters = None if question.filters is None else parse(question.filters, "filters")
        query = Query(question.text, await vectors.question(question.text), DEPTH, filters, ranking)
        hits = await index.search("bench", its.name, query)
        gains += ndcg(hits, question)
        firsts += bool(hits) and hits[0].file_id in question.right
    return Score(gains / len(its.questions), firsts / len(its.questions))


def ndcg(hits: Sequence[Hit], question: Question) -> float:
    """1 where all right documents come first, 0 where none is among the first ten."""
    gained = sum(1 / math.log2(n + 2) for n, hit in enumerate(hits[:DEPTH]) if hit.file_id in question.right)
    most = sum(1 / math.log2(n + 2) for n in range(min(DEPTH, len(question.right))))
    return gained / most


def _chunk(document: Document, vector: bytes) -> list[Chunk]:
    return [Chunk(0, document.text, len(document.text) // 4, vector)]
