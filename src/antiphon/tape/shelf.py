"""A directory of exchanges: what is in it, and how something is put there.

One file an exchange. Files appear whole or not at all, and never over one that another process has just written. What
is there is known by the index.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from antiphon.tape import claims, document, llama_stack
from antiphon.tape.claims import Claim
from antiphon.tape.files import read, write_beside
from antiphon.tape.index import Entry, Index, entry_of
from antiphon.tape.model import Exchange, Request
from antiphon.tape.naming import file_name, scope_directory

__all__ = ["Claim", "Entry", "Shelf", "file_name", "scope_directory"]


class Shelf(Index):
    """The exchanges below one directory, to be read and written. Safe to use from several threads."""

    def load(self, entry: Entry) -> Exchange:
        """The whole exchange. Raises ``FileNotFoundError`` when it is gone and ``Unreadable`` when it is broken."""
        path = self._place(entry.path)
        data = read(path, entry.size)
        if entry.foreign:
            return llama_stack.load(data)[0]
        return document.load(data, lambda suffix: Path(path).with_suffix(suffix).read_bytes())

    def request(self, entry: Entry) -> Request:
        """Its request alone. Raises ``OSError`` when it is gone or can no longer be read."""
        data = read(self._place(entry.path), entry.size)
        try:
            return llama_stack.head(data).request if entry.foreign else document.head(data).request
        except (document.Unreadable, llama_stack.Unreadable) as why:
            raise OSError(f"{entry.path}: {why}") from why

    def put(
        self,
        exchange: Exchange,
        files: tuple[bytes, dict[str, bytes]],
        *,
        key: str | None = None,
        under: Path | None = None,
    ) -> Path:
        """Writes the files of an exchange (``document.dump``), in place of the one with its scope, key and variant.

        ``key`` is that of its request, where it is known. Below ``under`` instead of the directory, when given: then
        it is not indexed. The path is returned.
        """
        key = self._key(exchange.request) if key is None else key
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
                write_beside(path, data, sides, replace=True)
            else:
                path = self._fresh(home, file_name(exchange.request, key), exchange.variant, data, sides)
            if under is None:
                relative = str(path.relative_to(self.directory))
                self._drop(relative)
                self._enter(relative, entry_of(relative, path.stat(), exchange, key))
                self._unkept += 1
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
        return claims.claim(self.private_directory("locks") / name)

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
                write_beside(path, data, sides, replace=False)
            except FileExistsError:
                continue
            return path
        raise FileExistsError(f"{home}: no free name for {stem}")
