"""Vectors and chunks for tests, and a search that is plainly right."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.knowledge.filters import Filter, matches
from antiphon.knowledge.index.base import Chunk

SIZE = 16


def unit(seed: object, size: int = SIZE) -> list[float]:
    """A direction, always the same for one seed."""
    chance = random.Random(repr(seed))
    numbers = [chance.gauss(0, 1) for _ in range(size)]
    length = sum(x * x for x in numbers) ** 0.5
    return [x / length for x in numbers]


def packed(numbers: Sequence[float]) -> bytes:
    """As an embedder gives it."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def vector(seed: object, size: int = SIZE) -> bytes:
    """A direction, as an embedder gives it."""
    return packed(unit(seed, size))


def chunks(*texts: str, seed: object = 0) -> list[Chunk]:
    """A file's chunks."""
    return [Chunk(n, text, len(text.split()), vector((seed, n, text))) for n, text in enumerate(texts)]


File = tuple[str, Mapping[str, Any], Sequence[Chunk]]


def nearest(files: Sequence[File], wanted: bytes, filters: Filter | None, limit: int) -> list[tuple[str, int]]:
    """Every vector compared with the wanted one."""
    numbers = struct.unpack(f"<{SIZE}f", wanted)
    found = []
    for file_id, attributes, its in files:
        if filters is None or matches(filters, attributes):
            for chunk in its:
                product = sum(a * b for a, b in zip(numbers, struct.unpack(f"<{SIZE}f", chunk.vector), strict=True))
                if product > 0:
                    found.append((-product, file_id, chunk.n))
    return [(file_id, n) for _, file_id, n in sorted(found)[:limit]]
