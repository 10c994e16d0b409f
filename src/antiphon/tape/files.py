"""Files that appear whole or not at all, also when their writer is killed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_MORE = 1024 * 1024


def read(path: str, size: int) -> bytes:
    """What is in a file that had this size. Three calls of the system, where an object of Python's makes seven."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, size + 1)
        while len(data) != size and (more := os.read(descriptor, _MORE)):
            data += more
        return data
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Puts a file in place of what is there, at once."""
    _put(path, data, replace=True)


def write_beside(path: Path, data: bytes, sides: dict[str, bytes], *, replace: bool) -> None:
    """The file appears whole, its side files before it. Without ``replace`` a taken name is ``FileExistsError``."""
    if not replace and path.exists():
        raise FileExistsError(path)
    for suffix, side in sides.items():
        _put(path.with_suffix(suffix), side, replace=True)
    _put(path, data, replace=replace)


def _put(path: Path, data: bytes, *, replace: bool) -> None:
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.write_bytes(data)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # unlike a rename, this fails where the name is taken
    finally:
        temporary.unlink(missing_ok=True)
