"""Where recordings wait until it is known whether they are kept: a room for each process, below ``.tape/staging``.

A room has a lock that the system lets go of when its process dies, so that who comes next can tell what was left
behind by one that was killed from what still waits, also where processes do not see each other.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import threading
from pathlib import Path

from antiphon.tape.claims import Claim, claim
from antiphon.tape.shelf import Shelf

_log = logging.getLogger("antiphon.tape")

_DIRECTORY = "staging"
_LOCK = ".lock"


class Staging:
    """The room of one user of a shelf, made when it is first needed. What others left behind is swept at once."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._room: Path | None = None
        self._claim: Claim | None = None
        self._numbers = itertools.count(1)
        self._sweep()

    def place(self) -> Path:
        """A path below it that nobody has had."""
        if self._room is None:
            rooms = self._shelf.private_directory(_DIRECTORY)
            name = f"{os.getpid()}-{threading.get_ident()}-{id(self):x}"
            self._claim = claim(rooms / f"{name}{_LOCK}")
            self._room = rooms / name
        return self._room / str(next(self._numbers))

    def close(self) -> None:
        """The room is given up, with what is still in it."""
        if self._room is not None:
            shutil.rmtree(self._room, ignore_errors=True)
            self._room = None
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _sweep(self) -> None:
        rooms = self._shelf.private / _DIRECTORY
        try:
            names = {path.name.removesuffix(_LOCK) for path in rooms.iterdir()}
            for name in names:
                left = claim(rooms / f"{name}{_LOCK}")
                if left is not None:
                    shutil.rmtree(rooms / name, ignore_errors=True)
                    left.release()
        except FileNotFoundError:
            pass  # nobody has ever staged anything here
        except OSError as why:  # recordings that may not be written are played all the same
            _log.debug("what was left in %s is not swept: %s", rooms, why)
