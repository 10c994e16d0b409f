"""A claim is a lock that the system lets go of when its holder dies, so that of many processes that miss the same
exchange one records it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Claim:
    """The right to record one exchange, held until ``release`` or the end of the process."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    def release(self) -> None:
        """Let go; the file of the lock goes too, while nobody else can hold it."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def claim(path: Path) -> Claim | None:
    """The right that the file of this lock stands for, or None while somebody else has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have taken the file away between our opening and our locking it.
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                return Claim(descriptor, path)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        os.close(descriptor)
