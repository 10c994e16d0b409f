"""Files and uploads, joined with the folder that holds them, and their housekeeping."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from antiphon.config import Config
from antiphon.files.blobs import DiskBlobs
from antiphon.files.contents import Contents
from antiphon.files.parsing import Parsers
from antiphon.files.service import Files
from antiphon.files.showing import Showing
from antiphon.files.uploads import Uploads
from antiphon.storage import Stores

_log = logging.getLogger("antiphon.files")

#: Below ``storage.data_dir``.
_FOLDER = "files"
#: How long what has expired may still lie about. Seconds.
_SWEEP_SECONDS = 30.0


class Filing:
    """The services. ``keep_house`` runs as a task of who made this, and ``parsers`` are closed by it."""

    def __init__(self, config: Config, store: Stores) -> None:
        self._contents = Contents(DiskBlobs(Path(config.storage.data_dir) / _FOLDER), store.files)
        self.files = Files(store.files, self._contents, config.files)
        self.uploads = Uploads(store.uploads, self._contents, config.files)
        self.parsers = Parsers(config.files.parsing)
        self.showing = Showing(self.files, self.parsers, config.files)

    async def keep_house(self) -> None:
        """Remove what a crash left behind and what has expired: now, and again and again."""
        while True:
            try:
                await self._contents.sweep()
                files, uploads = await self.files.sweep(), await self.uploads.sweep()
            except Exception:  # noqa: BLE001 - a database that is away for a while must not end the housekeeping
                _log.exception("The housekeeping of files failed; the next try is in %g s.", _SWEEP_SECONDS)
            else:
                if files or uploads:
                    _log.info("Removed %d expired files, ended %d uploads.", files, uploads)
            await asyncio.sleep(_SWEEP_SECONDS)
