"""A model that computes in this process: beside the loop, documents and questions each in a thread of their own.

So a question never waits behind a long document; and a long document is computed in slices, so that who gives up
waiting does not leave hours of work behind.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Characters of the texts that are computed in one go: about half a second.
_SLICE = 8_000


class Network(Protocol):
    """A loaded model. ``embed`` may run in two threads at once."""

    def embed(self, texts: Sequence[str]) -> Array:
        """A row of length 1 for each text."""


class OfflineEmbedder:
    """``base.Embedder`` over a network that ``load`` makes at the first use."""

    def __init__(
        self,
        model: str,
        dimensions: int | None,
        load: Callable[[], Network],
        *,
        document_prefix: str = "",
        query_prefix: str = "",
    ) -> None:
        self.model = model
        self._dimensions = dimensions
        self._load = functools.cache(load)
        self._loading = threading.Lock()
        self._prefixes = (document_prefix, query_prefix)
        # Their threads start at the first use.
        self._documents = ThreadPoolExecutor(1, thread_name_prefix="embed-documents")
        self._queries = ThreadPoolExecutor(1, thread_name_prefix="embed-queries")

    @property
    def dimensions(self) -> int | None:
        """Known before the first use, or from then on."""
        return self._dimensions

    async def documents(self, texts: Sequence[str]) -> list[bytes]:
        """One vector for each text."""
        found: list[bytes] = []
        for texts_now in _slices(texts):
            found += await self._run(self._documents, [self._prefixes[0] + text for text in texts_now])
        return found

    async def query(self, text: str) -> bytes:
        """The vector of a question."""
        (vector,) = await self._run(self._queries, [self._prefixes[1] + text])
        return vector

    async def aclose(self) -> None:
        """Let the threads end what they compute."""
        for pool in (self._documents, self._queries):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def _run(self, pool: ThreadPoolExecutor, texts: list[str]) -> list[bytes]:
        return await asyncio.get_running_loop().run_in_executor(pool, self._embed, texts)

    def _embed(self, texts: list[str]) -> list[bytes]:
        with self._loading:
            network = self._load()
        rows = network.embed(texts)
        self._dimensions = int(rows.shape[1])
        return [row.astype("<f4").tobytes() for row in rows]


def _slices(texts: Sequence[str]) -> list[list[str]]:
    slices: list[list[str]] = []
    size = _SLICE
    for text in texts:
        if size + len(text) > _SLICE:
            slices.append([])
            size = 0
        slices[-1].append(text)
        size += len(text)
    return slices
