"""A store made up for measuring: files of chunks with words as rare as in a language, and vectors in clusters."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.index.base import Chunk

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

OWNER, STORE = "bench", "vs_bench"
PER_FILE = 100
WORDS = 120
_VOCABULARY = 30_000
_CLUSTERS = 200
#: A tenth of the files are of this kind.
KINDS = 10


def vectors(count: int, dimensions: int, seed: int) -> Array:
    """Rows of length 1."""
    np = numpy()
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(_CLUSTERS, dimensions))
    rows = centres[chance.integers(_CLUSTERS, size=count)] + chance.normal(size=(count, dimensions)) * 0.7
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype("<f4")  # type: ignore[no-any-return]


def texts(count: int, seed: int, words: int = WORDS) -> list[str]:
    """The n-th word of the vocabulary is n times rarer than the first."""
    np = numpy()
    chance = np.random.default_rng(seed)
    ranks = np.exp(chance.random((count, words)) * np.log(_VOCABULARY)).astype(int)
    letters = "bcdfghjklmnprstvwz"
    return [" ".join(_word(rank, letters) for rank in row) for row in ranks.tolist()]


def _word(rank: int, letters: str) -> str:
    made = ""
    while rank:
        rank, at = divmod(rank, len(letters))
        made += letters[at] + "aeiou"[at % 5]
    return made or "ba"


def file(n: int, dimensions: int) -> tuple[str, dict[str, Any], list[Chunk]]:
    """The n-th: id, attributes, chunks. Always the same."""
    rows = vectors(PER_FILE, dimensions, 1000 + n)
    its = [Chunk(m, text, WORDS, rows[m].tobytes()) for m, text in enumerate(texts(PER_FILE, 1000 + n))]
    return f"file-{n:06}", {"kind": n % KINDS, "year": 1990 + n % 35}, its


def questions(count: int, dimensions: int) -> Iterator[tuple[str, bytes]]:
    """Words and a vector for each. Four words, as rare as those of a question are."""
    rows = vectors(count, dimensions, 7)
    chance = random.Random(7)
    letters = "bcdfghjklmnprstvwz"
    for row in rows:
        words = [_word(int(30 * 1.02 ** chance.randrange(340)), letters) for _ in range(4)]
        yield " ".join(words), row.tobytes()
