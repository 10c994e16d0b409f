"""Chunks as plain values, and what keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from antiphon.storage.model import Owner


class NewChunk(msgspec.Struct, frozen=True):
    """One chunk: its text, the words by which it is found (parted by blanks), and its length in tokens."""

    text: str
    words: str
    tokens: int


class NewChunks(msgspec.Struct, frozen=True):
    """All chunks of one file, in order.

    ``lengths`` are their numbers of words as 32-bit integers; ``vectors`` all their vectors in a row, 32-bit floats.
    ``attributes`` is JSON.
    """

    file_id: str
    attributes: bytes
    chunks: Sequence[NewChunk]
    dimensions: int
    lengths: bytes
    vectors: bytes


class Version(msgspec.Struct, frozen=True):
    """Where a store's index stands: ``version`` grows with every change, ``removed`` is what it was when files last
    went."""

    version: int
    removed: int
    dimensions: int


class IndexedFile(msgspec.Struct, frozen=True):
    """A file in the index. Its chunks' numbers are ``first`` and those after it, one's own for as long as ``written``
    stays; ``version`` is the store's when anything of it changed."""

    file_id: str
    first: int
    chunks: int
    version: int
    written: int
    attributes: bytes


class LoadedFile(msgspec.Struct, frozen=True):
    """The same with what is needed to search it."""

    file: IndexedFile
    lengths: bytes
    vectors: bytes


class Scored(msgspec.Struct, frozen=True):
    """A chunk that PostgreSQL has found: how near its vector is, from -1 to 1, and the rank of its words."""

    file_id: str
    n: int
    text: str
    near: float
    rank: float


class Wanted(msgspec.Struct, frozen=True):
    """What PostgreSQL looks for: by a vector, by words and the weight of each, or by both; at most so many of each
    kind, in these files only or, without any named, in all."""

    vector: bytes | None
    weights: Mapping[str, float]
    most: int
    files: Sequence[str] | None


class ChunkStore(Protocol):
    """The chunks of vector stores. Every method is safe to call concurrently.

    The methods after ``names`` are one database's: SQLite is read into memory, PostgreSQL searches by itself.
    """

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which of them."""

    async def put(self, owner: Owner, store_id: str, new: NewChunks) -> None:
        """In place of all that was there of this file, in one transaction. ``Conflict`` where the store's vectors have
        another number of dimensions."""

    async def attributes(self, owner: Owner, store_id: str, file_id: str, attributes: bytes) -> None:
        """Other attributes; nothing without the file."""

    async def remove(self, owner: Owner, store_id: str, file_id: str | None) -> None:
        """The file, or all of the store."""

    async def contents(self, owner: Owner, store_id: str, file_id: str) -> list[str]:
        """The texts in order."""

    async def version(self, owner: Owner, store_id: str) -> Version | None:
        """None where nothing was ever put."""

    async def files(self, owner: Owner, store_id: str, since: int) -> list[IndexedFile]:
        """Those that changed after that version."""

    async def names(self, owner: Owner, store_id: str) -> list[str]:
        """Ids of all files."""

    async def loaded(self, owner: Owner, store_id: str, file_ids: Sequence[str]) -> list[LoadedFile]:
        """Of these files, those that are there."""

    async def postings(self, owner: Owner, store_id: str, word: str) -> str:
        """The numbers of the chunks that the word stands in, rising, parted by commas: one for each time it does."""

    async def texts(
        self, owner: Owner, store_id: str, hits: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], tuple[str, int]]:
        """The text of each chunk that is there, and the ``written`` of its file."""

    async def count(self, owner: Owner, store_id: str) -> int:
        """Chunks of the store."""

    async def counts(self, owner: Owner, store_id: str, words: Sequence[str]) -> list[int]:
        """How many chunks each word stands in."""

    async def search(self, owner: Owner, store_id: str, wanted: Wanted) -> list[Scored]:
        """What is found, in no order."""
