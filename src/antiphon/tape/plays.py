"""Which recordings were played: what no run plays is unused."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from antiphon.tape.shelf import Shelf

_log = logging.getLogger("antiphon.tape")


class PlayLog:
    """Which recordings this process played, a line each: what no run plays is unused."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._known: set[str] = set()
        self._file: Any = None
        self._lock = threading.Lock()
        self._silent = False

    def add(self, path: str) -> None:
        """It was played, or made."""
        if path in self._known or self._silent:
            return
        with self._lock:
            self._known.add(path)
            try:
                if self._file is None:
                    name = f"{time.time_ns():x}-{threading.get_native_id()}.log"
                    self._file = (self._shelf.private_directory("plays") / name).open("a", buffering=1)
                self._file.write(path + "\n")
            except OSError as why:
                self._silent = True
                _log.debug("plays are not logged: %s", why)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._silent = True
