"""A directory of exchanges: what is in it, and how something is put there.

One file an exchange. The index is made from what the files hold, never from their names, and a changed rule only means
that it is made again: ``.tape/index`` merely remembers it (``.tape`` is invisible to git and may be deleted at any
time). Files appear whole or not at all, and never over one that another process has just written. A claim is a lock
that the system lets go of when its holder dies, so that of many processes that miss the same exchange one records it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from antiphon.tape import document, llama_stack
from antiphon.tape.model import NO_SCOPE, Boundary, Exchange, HttpRequest, JsonBody, Request

_log = logging.getLogger("antiphon.tape")

#: Holds what git must not see.
PRIVATE = ".tape"
VARIABLES = "variables.json"
_INDEX = "index"
_INDEX_FORM = 1
_SLUG = 40
_NAME_SLUG = 52
_KEY_SHOWN = 12
#: A directory changed this recently may change again within the same tick of its clock. Nanoseconds.
_UNSETTLED = 50_000_000
#: Fewer new entries than this are not worth writing the index for.
_WORTH_KEEPING = 20

_UNSAFE = re.compile(r"[^a-z0-9._-]+")
_WORDS = re.compile(r"[a-z0-9]+")


class Entry(msgspec.Struct, array_like=True):
    """One file as the index knows it. ``path`` is relative to the directory; ``model`` and ``endpoint`` sort it."""

    path: str
    mtime_ns: int
    size: int
    scope: str
    boundary: Boundary
    provider: str
    variant: int
    key: str
    endpoint: str
    model: str
    foreign: bool = False

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """Shared ones first, then scope by scope, in the order of recording."""
        return (self.scope != NO_SCOPE, self.scope, self.variant, self.path)


class _Kept(msgspec.Struct, array_like=True):
    form: int
    signature: bytes
    entries: list[Entry]


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


class Shelf:
    """The exchanges below one directory, which need not exist yet. Safe to use from several threads."""

    def __init__(
        self, directory: Path, key: Callable[[Request], str], *, signature: bytes = b"", read_llama_stack: bool = True
    ) -> None:
        """``key`` finds an exchange; ``signature`` stands for all that ``key`` depends on beside the request."""
        self.directory = directory
        self.private = directory / PRIVATE
        self._key = key
        self._signature = signature
        self._foreign = read_llama_stack
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._by_key: dict[str, list[Entry]] = {}
        self._foreign_stems: dict[str, Entry] = {}
        self._seen: dict[str, int] = {}  # directory -> its time when it was read, 0 when it must be read again
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

    def foreign(self, stem: str) -> Entry | None:
        """The Llama Stack file of this name, without its ending."""
        return self._foreign_stems.get(stem)

    @property
    def has_foreign(self) -> bool:
        """Whether Llama Stack files are among them."""
        return bool(self._foreign_stems)

    def entries(self) -> list[Entry]:
        """All of them, in order."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda entry: entry.order)

    def in_scope(self, scope: str) -> list[Entry]:
        """Those that belong to a scope."""
        return [entry for entry in self.entries() if entry.scope == scope]

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

    def load(self, entry: Entry) -> Exchange:
        """The whole exchange. Raises ``FileNotFoundError`` when it is gone and ``Unreadable`` when it is broken."""
        path = self.directory / entry.path
        data = path.read_bytes()
        if entry.foreign:
            return llama_stack.load(data)[0]
        return document.load(data, lambda suffix: path.with_suffix(suffix).read_bytes())

    def request(self, entry: Entry) -> Request:
        """Its request alone."""
        data = (self.directory / entry.path).read_bytes()
        return llama_stack.head(data).request if entry.foreign else document.head(data).request

    def current(self, entry: Entry) -> bool:
        """Whether the file is still the one that was indexed; one that changed is indexed anew."""
        try:
            stat = (self.directory / entry.path).stat()
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

    # -- putting

    def put(self, exchange: Exchange, files: tuple[bytes, dict[str, bytes]], *, under: Path | None = None) -> Path:
        """Writes the files of an exchange (``document.dump``), in place of the one with its scope, key and variant.

        Below ``under`` instead of the directory, when given: then it is not indexed. The path is returned.
        """
        key = self._key(exchange.request)
        root = under if under is not None else self.directory
        home = root / scope_directory(exchange.scope)
        home.mkdir(parents=True, exist_ok=True)
        data, sides = files
        with self._lock:
            old = None if under is not None else self._same(exchange.scope, key, exchange.variant)
            if old is not None:
                path = self.directory / old.path
                if path.exists() and path.read_bytes() == data:
                    return path
                _write(path, data, sides, replace=True)
            else:
                path = self._fresh(home, file_name(exchange.request, key), exchange.variant, data, sides)
            if under is None:
                self._drop(str(path.relative_to(self.directory)))
                self._add(str(path.relative_to(self.directory)), path.stat())
        return path

    def remove(self, entry: Entry) -> None:
        """Deletes it, its side files too."""
        path = self.directory / entry.path
        for one in (path, *path.parent.glob(f"{path.stem}.*.bin"), path.with_suffix(".bin")):
            one.unlink(missing_ok=True)
        with self._lock:
            self._drop(entry.path)

    def claim(self, scope: str, key: str, variant: int) -> Claim | None:
        """The right to record this exchange, or None while somebody else has it."""
        name = hashlib.sha256(f"{scope}\0{key}\0{variant}".encode()).hexdigest()[:32]
        locks = self.private_directory("locks")
        path = locks / name
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
                _write(self.private_directory() / _INDEX, msgspec.msgpack.encode(kept), {}, replace=True)
            except OSError as why:  # a checkout that may not be written: the next start takes longer, and no more
                _log.debug("the index of %s is not kept: %s", self.directory, why)
            self._unkept = 0

    # -- the index

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
        prefix = f"{place}/" if place else ""
        gone = [
            path
            for path in (*self._entries, *self.unreadable)
            if path not in names and path.startswith(prefix) and "/" not in path[len(prefix) :]
        ]
        for path in gone:
            self._drop(path)
        return bool(gone)

    def _add(self, path: str, stat: os.stat_result, known: dict[str, Entry] | None = None) -> None:
        entry = known.get(path) if known else None
        if entry is None or (entry.mtime_ns, entry.size) != (stat.st_mtime_ns, stat.st_size):
            entry = self._read(path, stat)
            if entry is None:
                return
            self._unkept += 1
        self._entries[path] = entry
        same = self._by_key.setdefault(entry.key, [])
        same.append(entry)
        if len(same) > 1:
            # A new list: who plays from the old one goes on undisturbed.
            self._by_key[entry.key] = sorted(same, key=lambda one: one.order)
        if entry.foreign:
            self._foreign_stems[Path(path).stem] = entry

    def _drop(self, path: str) -> None:
        self.unreadable.pop(path, None)
        entry = self._entries.pop(path, None)
        if entry is not None:
            self._by_key[entry.key] = [one for one in self._by_key[entry.key] if one is not entry]
            self._foreign_stems.pop(Path(path).stem, None)

    def _read(self, path: str, stat: os.stat_result) -> Entry | None:
        try:
            data = (self.directory / path).read_bytes()
            foreign = self._foreign and llama_stack.is_recording(data)
            head: Any = llama_stack.head(data) if foreign else document.head(data)
        except (document.Unreadable, llama_stack.Unreadable, OSError) as why:
            self.unreadable[path] = str(why)
            return None
        endpoint, model = kind_of(head.request)
        return Entry(
            path,
            stat.st_mtime_ns,
            stat.st_size,
            head.scope,
            head.boundary,
            head.provider,
            getattr(head, "variant", 1),
            self._key(head.request),
            endpoint,
            model,
            foreign,
        )

    def _same(self, scope: str, key: str, variant: int) -> Entry | None:
        for entry in self._by_key.get(key, ()):
            if entry.scope == scope and entry.variant == variant and not entry.foreign:
                return entry
        return None

    def _fresh(self, home: Path, stem: str, variant: int, data: bytes, sides: dict[str, bytes]) -> Path:
        """A file under a name that nobody has; the number in it is the variant, unless that name is taken."""
        for number in range(variant, variant + 10_000):
            path = home / (f"{stem}.json" if number == 1 else f"{stem}.{number}.json")
            try:
                _write(path, data, sides, replace=False)
            except FileExistsError:
                continue
            return path
        raise FileExistsError(f"{home}: no free name for {stem}")


def scope_directory(scope: str) -> str:
    """The directory of a scope: safe on every file system, and never the same for two scopes."""
    if scope == NO_SCOPE:
        return ""
    slug = _UNSAFE.sub("-", scope.lower()).strip("-.")[:_SLUG].rstrip("-.")
    if slug == scope:
        return slug
    return f"{slug}-{hashlib.sha256(scope.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def file_name(request: Request, key: str) -> str:
    """The name of its file without ending: for people, of what was asked, and unique by the key."""
    words = _WORDS.findall(" ".join(_topic(request))[:200].lower())
    slug = "-".join(words)[:_NAME_SLUG].strip("-") or "call"
    return f"{slug}--{key[:_KEY_SHOWN]}"


def kind_of(request: Request) -> tuple[str, str]:
    """Where it goes and to which model: what a search for the nearest sorts by."""
    if not isinstance(request, HttpRequest):
        return f"{request.provider}/{request.tool}", ""
    model = request.body.value.get("model") if _is_object(request.body) else ""  # type: ignore[union-attr]
    return request.path.rstrip("/").rpartition("/")[2], model if isinstance(model, str) else ""


def _is_object(body: object) -> bool:
    return isinstance(body, JsonBody) and isinstance(body.value, dict)


def _topic(request: Request) -> Iterator[str]:
    endpoint, model = kind_of(request)
    yield model.rpartition("/")[2] or endpoint
    if not isinstance(request, HttpRequest):
        if isinstance(request.arguments, dict):
            yield from (value for value in request.arguments.values() if isinstance(value, str))
        return
    if not isinstance(request.body, JsonBody) or not isinstance(request.body.value, dict):
        return
    value = request.body.value
    said = value.get("messages") or value.get("input") or value.get("prompt")
    for message in reversed(said) if isinstance(said, list) else (said,):
        text = message.get("content") if isinstance(message, dict) else message
        if isinstance(message, dict) and message.get("role") not in ("user", None):
            continue
        if isinstance(text, list):
            text = " ".join(
                part["text"] for part in text if isinstance(part, dict) and isinstance(part.get("text"), str)
            )
        if isinstance(text, str):
            yield text
            return


def write_whole(path: Path, data: bytes) -> None:
    """Puts a file in place of what is there, at once."""
    _put(path, data, replace=True)


def _write(path: Path, data: bytes, sides: dict[str, bytes], *, replace: bool) -> None:
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
