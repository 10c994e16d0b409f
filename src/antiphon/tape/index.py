"""What is in a directory of exchanges.

The index is made from what the files hold, never from their names, and a changed rule only means that it is made again:
``.tape/index`` merely remembers it (``.tape`` is invisible to git and may be deleted at any time).
"""

from __future__ import annotations

import bisect
import logging
import operator
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from antiphon.tape import document, llama_stack
from antiphon.tape.files import read, write_whole
from antiphon.tape.miss import Sketch, sketch
from antiphon.tape.model import NO_SCOPE, Boundary, Request
from antiphon.tape.naming import PRIVATE, VARIABLES, scope_directory

_log = logging.getLogger("antiphon.tape")

_INDEX = "index"
#: Goes up with every change of ``Entry``, and of what is computed for one.
_INDEX_FORM = 3
#: A directory changed this recently may change again within the same tick of its clock. Nanoseconds.
_UNSETTLED = 50_000_000
#: Fewer new entries than this are not worth writing the index for.
_WORTH_KEEPING = 20
#: Digits of a hash that the oldest Llama Stack files have in their names.
_SHORT = 12


class Entry(msgspec.Struct, array_like=True):
    """One file as the index knows it. ``path`` is relative to the directory; ``outline`` says what it is near to."""

    path: str
    mtime_ns: int
    size: int
    scope: str
    boundary: Boundary
    provider: str
    variant: int
    key: str
    outline: Sketch
    foreign: bool = False

    @property
    def model(self) -> str:
        """The model that is asked, or empty."""
        return self.outline.model

    @property
    def endpoint(self) -> str:
        """The last part of where the call goes; provider and tool, for a tool."""
        return self.outline.endpoint if self.boundary == "tools" else self.outline.endpoint.rpartition("/")[2]

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """Shared ones first, then scope by scope, in the order of recording."""
        return (self.scope != NO_SCOPE, self.scope, self.variant, self.path)


class _Kept(msgspec.Struct, array_like=True):
    form: int
    signature: bytes
    entries: list[Entry]


class Index:
    """The exchanges below one directory, which need not exist yet. Safe to use from several threads."""

    def __init__(
        self, directory: Path, key: Callable[[Request], str], *, signature: bytes = b"", read_llama_stack: bool = True
    ) -> None:
        """``key`` finds an exchange; ``signature`` stands for all that ``key`` depends on beside the request."""
        self.directory = directory
        self.private = directory / PRIVATE
        self._root = str(directory)  # to put paths together ten times faster than ``Path`` does
        self._key = key
        self._signature = signature
        self._foreign = read_llama_stack
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._by_key: dict[str, list[Entry]] = {}
        self._by_their_key: dict[str, list[Entry]] = {}
        self._by_scope: dict[str, dict[str, Entry]] = {}
        self._inside: dict[str, set[str]] = {}  # scope -> those that are called ``scope/...``
        self._seen: dict[str, int] = {}  # directory -> its time when it was read, 0 when it must be read again
        self._files: dict[str, set[str]] = {}  # directory -> what of it is known, readable or not
        self._unkept = 0
        #: Files that are not exchanges, and why.
        self.unreadable: dict[str, str] = {}
        self._open()

    # -- looking

    def find(self, scope: str, key: str) -> list[Entry]:
        """The exchanges of a key, in the order of playing: a scope's own, else the shared; without a scope, all."""
        with self._lock:
            found = self._by_key.get(key)
            if not found:
                return []
            if scope == NO_SCOPE:
                return found
            own = [entry for entry in found if entry.scope == scope]
            return own or [entry for entry in found if entry.scope == NO_SCOPE]

    def foreign(self, key: str) -> list[Entry]:
        """The Llama Stack files that are named by this hash of theirs, or by its beginning."""
        with self._lock:
            return self._by_their_key.get(key) or self._by_their_key.get(key[:_SHORT], [])

    @property
    def has_foreign(self) -> bool:
        """Whether Llama Stack files are among them."""
        return bool(self._by_their_key)

    def entries(self) -> list[Entry]:
        """All of them, in order."""
        return sorted(self.unordered(), key=lambda entry: entry.order)

    def unordered(self) -> list[Entry]:
        """All of them, which is quicker."""
        with self._lock:
            return list(self._entries.values())

    def scopes(self, scope: str) -> list[str]:
        """This scope, and those inside it (``scope/...``), as far as there are exchanges of them."""
        with self._lock:
            return [one for one in (scope, *sorted(self._inside.get(scope, ()))) if self._by_scope.get(one)]

    def in_scope(self, scope: str) -> list[Entry]:
        """Those that belong to a scope, in order."""
        with self._lock:
            found = list(self._by_scope.get(scope, {}).values())
        return sorted(found, key=lambda entry: entry.order)

    def refresh(self, scope: str | None = None) -> bool:
        """Looks for what other processes have put there, in one scope and among the shared; True when it changed."""
        with self._lock:
            if scope:
                places: Iterable[str] = ("", scope_directory(scope))
            else:
                places = ["", *self._seen]
            changed = False
            for place in dict.fromkeys(places):
                changed |= self._look(place)
            return changed

    def current(self, entry: Entry) -> bool:
        """Whether the file is still the one that was indexed; one that changed is indexed anew."""
        try:
            stat = os.stat(self._place(entry.path))  # noqa: PTH116 - every replayed call asks
        except FileNotFoundError:
            with self._lock:
                self._drop(entry.path)
            return False
        if (stat.st_mtime_ns, stat.st_size) == (entry.mtime_ns, entry.size):
            return True
        with self._lock:
            self._drop(entry.path)
            self._add(entry.path, stat)
        return False

    def private_directory(self, *names: str) -> Path:
        """A directory below ``.tape``, made with the file that hides it from git."""
        path = self.private.joinpath(*names)
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            ignore = self.private / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        return path

    def close(self) -> None:
        """Keeps the index for the next process."""
        with self._lock:
            if self._unkept < _WORTH_KEEPING:
                return
            kept = _Kept(_INDEX_FORM, self._signature, list(self._entries.values()))
            try:
                write_whole(self.private_directory() / _INDEX, msgspec.msgpack.encode(kept))
            except OSError as why:  # a checkout that may not be written: the next start takes longer, and no more
                _log.debug("the index of %s is not kept: %s", self.directory, why)
            self._unkept = 0

    # -- making

    def _open(self) -> None:
        known: dict[str, Entry] = {}
        try:
            kept = msgspec.msgpack.decode((self.private / _INDEX).read_bytes(), type=_Kept)
            if kept.form == _INDEX_FORM and kept.signature == self._signature:
                known = {entry.path: entry for entry in kept.entries}
        except (OSError, msgspec.MsgspecError):
            pass  # no index, or another version's: it is made again
        self._look("", known)

    def _look(self, place: str, known: dict[str, Entry] | None = None) -> bool:
        """Reads a directory if it has changed, and those below it that are new."""
        directory = self.directory / place
        try:
            modified = directory.stat().st_mtime_ns
        except FileNotFoundError:
            modified = -1
        if self._seen.get(place) == modified:
            return False
        settled = time.time_ns() - modified > _UNSETTLED
        self._seen[place] = modified if settled else 0
        if modified < 0:
            return self._forget(place, set())
        names: set[str] = set()
        changed = False
        with os.scandir(directory) as found:
            for one in found:
                path = f"{place}/{one.name}" if place else one.name
                if one.name.startswith("."):
                    continue
                if one.is_dir():
                    if path not in self._seen:
                        changed |= self._look(path, known)
                elif one.name.endswith(".json") and one.name != VARIABLES:
                    names.add(path)
                    if path not in self._entries and path not in self.unreadable:
                        changed = True
                        self._add(path, one.stat(), known)
        return self._forget(place, names) or changed

    def _forget(self, place: str, names: set[str]) -> bool:
        gone = self._files.get(place, set()) - names
        for path in gone:
            self._drop(path)
        return bool(gone)

    def _add(self, path: str, stat: os.stat_result, known: dict[str, Entry] | None = None) -> None:
        entry = known.get(path) if known else None
        if entry is None or (entry.mtime_ns, entry.size) != (stat.st_mtime_ns, stat.st_size):
            entry = self._read(path, stat)
            self._unkept += entry is not None
        self._enter(path, entry)

    def _enter(self, path: str, entry: Entry | None) -> None:
        """Files an entry; None for what is no exchange."""
        self._files.setdefault(path.rpartition("/")[0], set()).add(path)
        if entry is None:
            return
        self._entries[path] = entry
        if entry.scope not in self._by_scope:
            self._by_scope[entry.scope] = {}
            for outer in _around(entry.scope):
                self._inside.setdefault(outer, set()).add(entry.scope)
        self._by_scope[entry.scope][path] = entry
        _file(self._by_key, entry.key, entry)
        if entry.foreign and (name := llama_stack.file_key(path)):
            _file(self._by_their_key, name, entry)

    def _drop(self, path: str) -> None:
        self._files.get(path.rpartition("/")[0], set()).discard(path)
        self.unreadable.pop(path, None)
        entry = self._entries.pop(path, None)
        if entry is not None:
            del self._by_scope[entry.scope][path]
            _unfile(self._by_key, entry.key, entry)
            if entry.foreign:
                _unfile(self._by_their_key, llama_stack.file_key(path), entry)

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _read(self, path: str, stat: os.stat_result) -> Entry | None:
        try:
            data = read(self._place(path), stat.st_size)
            foreign = self._foreign and llama_stack.is_recording(data)
            head: Any = llama_stack.head(data) if foreign else document.head(data)
        except (document.Unreadable, llama_stack.Unreadable, OSError) as why:
            self.unreadable[path] = str(why)
            return None
        return entry_of(path, stat, head, self._key(head.request), foreign=foreign)


def entry_of(path: str, stat: os.stat_result, head: Any, key: str, *, foreign: bool = False) -> Entry:
    """The entry of a file. ``head`` is the head of either kind of file, or the exchange in it."""
    return Entry(
        path,
        stat.st_mtime_ns,
        stat.st_size,
        head.scope,
        head.boundary,
        head.provider,
        getattr(head, "variant", 1),
        key,
        sketch(head.request),
        foreign,
    )


_order = operator.attrgetter("order")


def _file(index: dict[str, list[Entry]], key: str, entry: Entry) -> None:
    """Adds it in its place. The list is a new one: who plays from the old one goes on undisturbed."""
    same = [*index.get(key, ())]
    bisect.insort(same, entry, key=_order)
    index[key] = same


def _around(scope: str) -> Iterator[str]:
    """The scopes that this one is inside."""
    at = scope.find("/")
    while at >= 0:
        yield scope[:at]
        at = scope.find("/", at + 1)


def _unfile(index: dict[str, list[Entry]], key: str, entry: Entry) -> None:
    left = [one for one in index.get(key, ()) if one is not entry]
    if left:
        index[key] = left
    else:
        index.pop(key, None)
