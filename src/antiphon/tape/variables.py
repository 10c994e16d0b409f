"""Values that a test makes at random once, and finds again on every replay."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from antiphon.tape.files import write_whole
from antiphon.tape.model import Json
from antiphon.tape.naming import VARIABLES, scope_directory
from antiphon.tape.secrets import Redactor


class Variables:
    """A file of names and values for each scope. Not for secrets: a value that looks like one is a ``ValueError``."""

    def __init__(self, directory: Path, redactor: Redactor) -> None:
        self._directory = directory
        self._redactor = redactor
        self._known: dict[str, dict[str, Json]] = {}
        self._staged: dict[str, dict[str, Json]] = {}
        #: Held while a value is made, so that of several threads one makes it.
        self.lock = threading.RLock()

    def get(self, scope: str, name: str, *, fresh: bool = False) -> tuple[Json] | None:
        """The value, in a tuple because it may be None; None when there is none.

        ``fresh``: only one that was put since the scope was staged.
        """
        with self.lock:
            for values in (self._staged.get(scope, {}), {} if fresh else self._values(scope)):
                if name in values:
                    return (values[name],)
            return None

    def put(self, scope: str, name: str, value: Json) -> None:
        """Keeps it, aside while its scope is staged."""
        data = msgspec.json.encode(value)
        if self._redactor.surviving(data) or self._redactor.text(data.decode()) != data.decode():
            raise ValueError(f"The variable '{name}' looks like a secret, and a tape does not keep secrets.")
        with self.lock:
            if scope in self._staged:
                self._staged[scope][name] = value
            else:
                self._write(scope, {name: value})

    def stage(self, scope: str) -> None:
        """From here on what is put for this scope waits."""
        with self.lock:
            self._staged[scope] = {}

    def keep(self, scope: str) -> None:
        """What waited takes its place."""
        with self.lock:
            if values := self._staged.pop(scope, None):
                self._write(scope, values)

    def discard(self, scope: str) -> None:
        """What waited is forgotten."""
        with self.lock:
            self._staged.pop(scope, None)

    def _write(self, scope: str, new: dict[str, Json]) -> None:
        values = self._values(scope)
        values.update(new)
        document = {"tape": 1, "scope": scope, "variables": dict(sorted(values.items()))}
        path = self._path(scope)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")

    def _values(self, scope: str) -> dict[str, Json]:
        values = self._known.get(scope)
        if values is None:
            try:
                read: Any = msgspec.json.decode(self._path(scope).read_bytes())
                values = read["variables"]
            except FileNotFoundError:
                values = {}
            self._known[scope] = values
        return values

    def _path(self, scope: str) -> Path:
        return self._directory / scope_directory(scope) / VARIABLES
