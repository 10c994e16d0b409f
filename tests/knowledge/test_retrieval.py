"""How well the default finds, in little; ``make bench-retrieval`` measures it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.config import KnowledgeConfig, StorageConfig
from antiphon.knowledge.embedding.embedders import Embedders
from antiphon.knowledge.index.choice import open_index
from antiphon.storage import open_store
from antiphon.upstream.routing import Router
from bench.retrieval.__main__ import LOSS
from bench.retrieval.measure import WAYS, Vectors, measure
from bench.retrieval.sets import SETS, Set

pytestmark = pytest.mark.anyio

#: The first questions of a set, and the first documents.
QUESTIONS, DOCUMENTS = 50, 60


def part(name: str) -> Set:
    """The beginning of a set: the questions whose answers are among the documents."""
    its = SETS[name]()
    documents = its.documents[:DOCUMENTS]
    there = {document.id for document in documents}
    return Set(name, documents, [one for one in its.questions if one.right <= there][:QUESTIONS])


@pytest.mark.parametrize(("name", "floor"), [("paraphrases", 0.8), ("numbers", 0.95), ("code", 0.55)])
async def test_it_is_found(tmp_path: Path, name: str, floor: float) -> None:
    """The first hit is right often enough; and words and vectors together find what the better of them finds."""
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    config = KnowledgeConfig()
    embedders, index = Embedders(config, Router({}, None, None)), open_index(store.chunks, config)
    scores = await measure(index, Vectors(embedders.named()), part(name), WAYS)
    assert scores["hybrid"].first >= floor, scores
    assert scores["hybrid"].ndcg >= max(scores["keyword"].ndcg, scores["vector"].ndcg) - LOSS, scores
    await index.aclose()
    await embedders.aclose()
    await store.close()


@pytest.mark.parametrize("name", list(SETS))
def test_the_sets_are_what_they_say(name: str) -> None:
    """At least a hundred questions, each with an answer, no two documents of one id, the same every time."""
    its = SETS[name]()
    assert len(its.questions) >= 100
    ids = [document.id for document in its.documents]
    assert len(ids) == len(set(ids))
    assert all(question.right and question.right <= set(ids) for question in its.questions)
    assert SETS[name]() == its
