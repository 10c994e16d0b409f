"""The files of a folder that are worth sending."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from antiphon.files.parsing import Unparsable, kinds

#: Suffixes of zip archives that are documents.
_OFFICE = frozenset({"docx", "docm", "pptx", "pptm", "xlsx", "xlsm", "odt", "ods", "epub"})


class Found(msgspec.Struct):
    """Files by their paths below the folder, in order, and how many were left out."""

    files: dict[str, Path]
    left_out: int = 0


def walk(folder: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Found:
    """Looks at names and beginnings only. A pattern means a whole path, or a name anywhere; ``exclude`` also takes
    whole folders. What does not fit the patterns was not asked for, and is not counted."""
    found = Found({})
    for path in _files(folder, exclude):
        name = path.relative_to(folder).as_posix()
        if include and not _fits(name, include):
            continue
        if _is_hidden(name) or not _has_text(path):
            found.left_out += 1
        else:
            found.files[name] = path
    return found


def _files(folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    """In one order everywhere. Folders behind links are not entered; hidden ones are, for their files are counted."""
    for here, folders, names in os.walk(folder):
        place = Path(here)

        def wanted(name: str, place: Path = place) -> bool:
            return not _fits((place / name).relative_to(folder).as_posix(), exclude)

        folders[:] = sorted(filter(wanted, folders))
        yield from (place / name for name in sorted(filter(wanted, names)) if (place / name).is_file())


def _fits(path: str, patterns: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch(path, pattern) or fnmatch(name, pattern) for pattern in patterns)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _has_text(path: Path) -> bool:
    """Whether the server could read it. What cannot be opened here is not junk: it fails, and is told."""
    try:
        with path.open("rb") as file:
            head = file.read(kinds.HEAD)
    except OSError:
        return True
    if not head:
        return False
    try:
        kind = kinds.kind_of(head, path.name, "")
    except Unparsable:
        return False
    return kind != "zip" or kinds.suffix_of(path.name) in _OFFICE
