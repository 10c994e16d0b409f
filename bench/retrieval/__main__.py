"""``python -m bench.retrieval``: a table of every set, way and embedder; exits 1 where a bound is broken.

Bounds: on every set both together (hybrid) find what the better of words and vectors finds, less 0.01 of nDCG@10; and
the default embedder's first hit is right for so many of the paraphrases.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time

from antiphon.config import EmbeddingModelConfig, KnowledgeConfig, StorageConfig
from antiphon.knowledge.embedding.embedders import BUILT_IN, Embedders
from antiphon.knowledge.index.choice import open_index
from antiphon.storage import open_store
from antiphon.upstream.demo import DemoTransport, demo_upstream
from antiphon.upstream.routing import Router
from bench.retrieval.measure import WAYS, Score, Vectors, measure
from bench.retrieval.sets import SETS

#: R@1 on ``paraphrases`` of the model that comes along, by its vectors alone.
FLOOR = 0.80
#: What hybrid may lose on a set against the better of its two sides.
LOSS = 0.01


async def run(models: list[str], folders: dict[str, str], names: list[str]) -> list[str]:
    """Prints the table as it comes; what broke a bound, in sentences."""
    broken = []
    config = KnowledgeConfig(models={name: EmbeddingModelConfig(path=path) for name, path in folders.items()})
    embedders = Embedders(config, Router({}, None, demo_upstream(DemoTransport())))
    print(f"{'embedder':20} {'set':12} {'questions':>9} {'docs':>5}  " + "  ".join(f"{way:>15}" for way in WAYS))
    print(" " * 51 + "  ".join(f"{'nDCG@10':>8}{'R@1':>7}" for _ in WAYS))
    for model in models:
        vectors = Vectors(embedders.named(model))
        with tempfile.TemporaryDirectory() as folder:
            store = await open_store(StorageConfig(data_dir=folder))
            index = open_index(store.chunks, config)
            for name in names:
                its = SETS[name]()
                began = time.perf_counter()
                scores = await measure(index, vectors, its)
                cells = "  ".join(f"{one.ndcg:8.3f}{one.first:7.2f}" for one in scores.values())
                took = time.perf_counter() - began
                print(f"{model:20} {name:12} {len(its.questions):9} {len(its.documents):5}  {cells}  {took:6.1f} s")
                broken += check(model, name, scores)
            await index.aclose()
            await store.close()
    await embedders.aclose()
    return broken


def check(model: str, name: str, scores: dict[str, Score]) -> list[str]:
    """What is below a bound. Bounds are the default model's."""
    if model != BUILT_IN:
        return []
    broken = []
    best = max(scores["keyword"].ndcg, scores["vector"].ndcg)
    if scores["hybrid"].ndcg < best - LOSS:
        broken.append(f"{model}, {name}: hybrid has nDCG@10 {scores['hybrid'].ndcg:.3f}, the better side {best:.3f}")
    if name == "paraphrases" and scores["vector"].first < FLOOR:
        broken.append(f"{model}, {name}: R@1 is {scores['vector'].first:.2f}, below {FLOOR}")
    return broken


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=__doc__)
    parser.add_argument(
        "--model", action="append", help="embedder by name; default: the one that comes along, and demo"
    )
    parser.add_argument("--local", action="append", default=[], metavar="NAME=FOLDER", help="a model in ONNX form")
    parser.add_argument("--set", action="append", choices=list(SETS), help="only this set")
    given = parser.parse_args()
    folders = dict(one.split("=", 1) for one in given.local)
    models = given.model or [BUILT_IN, *folders, "demo"]
    broken = asyncio.run(run(models, folders, given.set or list(SETS)))
    for one in broken:
        print(one, file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
