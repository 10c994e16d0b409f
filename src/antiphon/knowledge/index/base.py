"""What an index is, in plain values. Everyone above knows only this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from antiphon.knowledge.filters import Filter
from antiphon.storage.model import Owner


class Chunk(msgspec.Struct, frozen=True):
    """One chunk of a file: the ``n``-th, counted from 0; ``vector`` as an ``Embedder`` gives it."""

    n: int
    text: str
    tokens: int
    vector: bytes


class Ranking(msgspec.Struct, frozen=True):
    """How the two scores of a chunk become one. Weights are relative to each other.

    ``convex`` adds the two scores, each by its weight; ``rrf`` adds what the places in the two lists are worth.
    """

    fusion: Literal["convex", "rrf"] = "convex"
    embedding_weight: float = 0.6
    text_weight: float = 0.4
    score_threshold: float = 0.0


class Query(msgspec.Struct, frozen=True):
    """A question: its words, its vector (None: words only), and how many hits are wanted of what passes the filter.

    A blank ``text`` is searched by its vector only.
    """

    text: str
    vector: bytes | None
    limit: int
    filters: Filter | None = None
    ranking: Ranking = Ranking()


class Hit(msgspec.Struct, frozen=True):
    """A chunk that was found. ``score`` is from 0 to 1 and means the same in every store of one model."""

    file_id: str
    n: int
    text: str
    score: float


class Index(Protocol):
    """The chunks of vector stores. Every method is safe to call concurrently, and raises ``errors.APIError``.

    A search sees whole files only, as some moment between its beginning and its end had them; what was put or removed
    before it began, by whatever process, it sees as put or removed.
    """

    async def put(
        self, owner: Owner, store_id: str, file_id: str, attributes: Mapping[str, Any], chunks: Sequence[Chunk]
    ) -> None:
        """In place of all that was there of this file: whole or not at all, and durable when this returns."""

    async def attributes(self, owner: Owner, store_id: str, file_id: str, attributes: Mapping[str, Any]) -> None:
        """Other attributes for a file; nothing where it is not in the index."""

    async def remove(self, owner: Owner, store_id: str, file_id: str | None) -> None:
        """A file, or with None the whole store."""

    async def contents(self, owner: Owner, store_id: str, file_id: str) -> list[str]:
        """The texts of a file's chunks in order; empty where it is not in the index."""

    async def search(self, owner: Owner, store_id: str, query: Query) -> list[Hit]:
        """The best first; equal scores by file and chunk. Empty for a store that holds nothing."""

    async def aclose(self) -> None:
        """Let go of memory and threads."""
