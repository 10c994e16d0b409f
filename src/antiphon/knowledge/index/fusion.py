"""Two scores of every chunk made one, and the best of them.

How near a vector is, is a cosine: below 0 counts as 0. How well the words fit is BM25 over the most that these words
could be worth in one chunk, squared: a chunk that has most of them says much, one that has a single word says nearly
nothing. So both are from 0 to 1, neither depends on what else was found, and their weighted mean can be compared
between stores. Reciprocal ranks can be chosen instead; they know only places in a list.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.index.base import Ranking

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: BM25's two settings: how soon a repeated word says no more, and how much long chunks are held back.
K1 = 1.2
B = 0.75

#: RRF's constant, and how far down it reads each list.
_RRF = 60
_RRF_DEPTH = 1000


#: How much more a word with a digit in it is worth: it is a number or a name, and means one thing.
_NUMBER = 5.0


def worth(word: str, chunks: int, having: int) -> float:
    """What a word is worth that so many of all chunks have: BM25's inverse document frequency, never below 0."""
    rarity = math.log(1 + (chunks - having + 0.5) / (having + 0.5))
    return rarity * _NUMBER if any(map(str.isdigit, word)) else rarity


def fused(near: Array | None, fit: Array | None, ranking: Ranking) -> Array:
    """One score for each chunk. ``near`` and ``fit`` are from 0 to 1; one may be absent, and counts for nothing."""
    np = numpy()
    if fit is not None:
        fit = fit * fit
    weights = (ranking.embedding_weight, ranking.text_weight)
    parts = [(part, weight) for part, weight in zip((near, fit), weights, strict=True) if part is not None]
    if len(parts) == 1:
        part, _ = parts[0]
        return _by_rank(part) if ranking.fusion == "rrf" else part
    total = sum(weights)
    if not parts or total <= 0:
        length = len(parts[0][0]) if parts else 0
        return np.zeros(length, np.float32)  # type: ignore[no-any-return]
    if ranking.fusion == "rrf":
        parts = [(_by_rank(part), weight) for part, weight in parts]
    mixed = parts[0][0] * np.float32(parts[0][1] / total)
    mixed += parts[1][0] * np.float32(parts[1][1] / total)
    return mixed  # type: ignore[no-any-return]


def best(scores: Array, allowed: Array | None, limit: int, threshold: float) -> list[int]:
    """Which chunks are the first ``limit``, the best first; equal ones in their order."""
    np = numpy()
    taken = scores > 0 if threshold <= 0 else scores >= np.float32(threshold)
    if allowed is not None:
        taken &= allowed
    rows = np.flatnonzero(taken)
    if len(rows) > limit:
        chosen = scores[rows]
        # All that are as good as the last one stay, so that the order below decides between equals.
        least = np.partition(chosen, len(chosen) - limit)[len(chosen) - limit]
        rows = rows[chosen >= least]
    order = np.lexsort((rows, -scores[rows]))[:limit]
    return [int(row) for row in rows[order]]


def _by_rank(part: Array) -> Array:
    """What each place is worth; the first is worth 1."""
    np = numpy()
    worth = np.zeros(len(part), np.float32)
    rows = np.flatnonzero(part > 0)
    order = rows[np.lexsort((rows, -part[rows]))][:_RRF_DEPTH]
    worth[order] = (_RRF + 1) / (_RRF + 1 + np.arange(len(order), dtype=np.float32))
    return worth  # type: ignore[no-any-return]
