"""All that is kept in one database, each under its name: what ``open_store`` gives and ``app`` hands on in parts."""

from __future__ import annotations

from typing import Protocol

from antiphon.storage.chunks.model import ChunkStore
from antiphon.storage.files.model import FileStore, UploadStore
from antiphon.storage.jobs.model import JobStore
from antiphon.storage.model import Store
from antiphon.storage.vectors.model import VectorStore


class Stores(Store, Protocol):
    """The responses' store, and those of the other rooms."""

    @property
    def files(self) -> FileStore:
        """The files' rows."""

    @property
    def uploads(self) -> UploadStore:
        """The uploads' rows."""

    @property
    def jobs(self) -> JobStore:
        """Work that is owed."""

    @property
    def vectors(self) -> VectorStore:
        """Vector stores, their files and batches."""

    @property
    def chunks(self) -> ChunkStore:
        """What the files of vector stores were cut into."""
