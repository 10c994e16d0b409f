"""Puts the tape under the client libraries, those that are loaded and those that will be; and takes it away again.

No library is imported for it: one that nobody uses costs nothing.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from antiphon.tape.clients.call import Gate

#: The libraries, and the room that knows each.
_FAMILIES = {
    "httpx": "antiphon.tape.clients.httpx_like",
    "httpx2": "antiphon.tape.clients.httpx_like",
    "aiohttp": "antiphon.tape.clients.aiohttp_session",
}


class Installed:
    """The tape under the clients of this process, until ``undo``. There is one at a time."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._lock = threading.RLock()
        self._undo: list[tuple[type, str, Any]] = []
        self._done: list[ModuleType] = []
        self._finder = _Finder(self)
        sys.meta_path.insert(0, self._finder)
        for name in _FAMILIES:
            module = sys.modules.get(name)
            if module is not None and not _loading(module):
                self.patch(name, module)

    def patch(self, name: str, module: ModuleType) -> None:
        """Puts the tape under one library that has been loaded."""
        with self._lock:
            if any(module is done for done in self._done):  # one library can stand in for another under its name
                return
            self._done.append(module)
            room = importlib.import_module(_FAMILIES[name])
            for owner, attribute, replacement in room.patches(module, self._gate):
                self._undo.append((owner, attribute, owner.__dict__[attribute]))
                setattr(owner, attribute, replacement)

    def undo(self) -> None:
        """Everything is as it was; calls under way go on as they began."""
        with self._lock:
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            while self._undo:
                owner, attribute, original = self._undo.pop()
                setattr(owner, attribute, original)


def install(gate: Gate) -> Installed:
    """Calls of httpx, httpx2 and aiohttp go to the tape that ``gate`` names for their URL, in all threads."""
    return Installed(gate)


def _loading(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _Finder(importlib.abc.MetaPathFinder):
    """Hears of the import of a library, finds it as anybody would, and puts the tape under it once it has run."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _FAMILIES:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._installed, fullname)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """The library's own loader, with one step more."""

    def __init__(self, inner: Any, installed: Installed, name: str) -> None:
        self._inner = inner
        self._installed = installed
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._installed.patch(self._name, module)
