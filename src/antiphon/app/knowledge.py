"""Vector stores, joined with the index, the embedders and the workers that fit this server.

Made at start, and cheap: models, documents' readers and the index itself are opened by their first use.
"""

from __future__ import annotations

import asyncio
import logging

from antiphon.config import Config
from antiphon.files.parsing import Parsers
from antiphon.files.service import Files
from antiphon.jobs.workers import Jobs
from antiphon.knowledge import duties
from antiphon.knowledge.embedding.embedders import Embedders
from antiphon.knowledge.index.choice import open_index
from antiphon.knowledge.ingest import ExpireStores, ForgetDocuments, ReadFiles
from antiphon.knowledge.reading import Reading
from antiphon.knowledge.service import VectorStores
from antiphon.storage import Stores
from antiphon.upstream.routing import Router

_log = logging.getLogger("antiphon.knowledge")

#: How long an expired store may still take up room. Seconds; it answers nothing from its time on.
_SWEEP_SECONDS = 60.0


class Knowledge:
    """``stores`` for requests; ``keep_house`` runs as a task of who made this, who awaits ``aclose`` in the end."""

    def __init__(self, config: Config, store: Stores, files: Files, parsers: Parsers, router: Router) -> None:
        self._index = open_index(store.chunks, config.knowledge)
        self._embedders = Embedders(config.knowledge, router)
        reading = Reading(files, parsers)
        self._jobs = Jobs(
            store.jobs,
            {
                duties.READ: ReadFiles(store.vectors, files, reading, self._embedders, self._index),
                duties.FORGET: ForgetDocuments(store.vectors, self._index),
                duties.EXPIRE: ExpireStores(store.vectors, self._index),
            },
            config.jobs,
        )
        self.stores = VectorStores(store.vectors, store.jobs, files, self._jobs, self._embedders, self._index)
        files.on_delete.append(self.stores.files.detach_everywhere)

    async def keep_house(self) -> None:
        """Have the stores emptied that have expired: now, and again and again."""
        while True:
            try:
                await self.stores.sweep()
            except Exception:  # noqa: BLE001 - a database that is away for a while must not end the housekeeping
                _log.exception("Expired vector stores were not looked for; the next try is in %g s.", _SWEEP_SECONDS)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def aclose(self) -> None:
        """Give back what is being read, and let go."""
        await self._jobs.close()
        await self._embedders.aclose()
        await self._index.aclose()
