"""Which recordings answer a request: by its exact key, by Llama Stack's name for it, by rules the user loosened."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

from antiphon.tape import canon, llama_stack
from antiphon.tape.canon import Rules
from antiphon.tape.miss import Candidate
from antiphon.tape.model import NO_SCOPE, Exchange, Json, Request
from antiphon.tape.secrets import Redactor
from antiphon.tape.settings import Settings
from antiphon.tape.shelf import Entry, Shelf

_EXACT = Rules()


class Finder:
    """The ladder of matching over one shelf. Nothing on it is fuzzy unless the user said so."""

    def __init__(
        self, settings: Settings, redactor: Redactor, rewrite: Callable[[Request], Request] | None = None
    ) -> None:
        self._redactor = redactor
        self._rewrite = rewrite
        self.rules = Rules(volatile=settings.volatile, relax=settings.relax)
        self._loose: dict[str, list[Entry]] | None = None
        self._refuse_relaxed = settings.strict and bool(settings.relax)
        self.shelf = Shelf(
            Path(settings.directory),
            self.key,
            signature=self._signature(),
            read_llama_stack=settings.read_llama_stack,
        )

    def key(self, request: Request, rules: Rules = _EXACT) -> str:
        """The key of a request that was read from a file: secrets are replaced before it is made."""
        return self.clean_key(self._redactor.call(request), rules)

    def clean_key(self, request: Request, rules: Rules = _EXACT) -> str:
        """The key of a request without secrets."""
        return canon.key(self._rewrite(request) if self._rewrite is not None else request, rules)

    def form(self, request: Request) -> Json:
        """The JSON value in which a request is compared, by all the rules there are."""
        return canon.canonical(self._redactor.call(request), self.rules, rewrite=self._rewrite)

    def find(
        self, scope: str, key: str, request: Request, *, provider: str = "", url: str = ""
    ) -> tuple[list[Entry], bool]:
        """The recordings in the order of playing, and whether only loosened rules led to them.

        ``provider`` and ``url`` of the live call are in the names of some Llama Stack files.
        """
        shelf = self.shelf
        found = shelf.find(scope, key)
        if not found and shelf.refresh(scope or None):
            self._loose = None
            found = shelf.find(scope, key)
        if not found and shelf.has_foreign:
            theirs = llama_stack.their_key(request, scope, provider=provider, url=url)
            found = shelf.foreign(theirs) if theirs else []
        if not found and self.rules != _EXACT and not self._refuse_relaxed:
            return self._loosely(scope, request), True
        return found, False

    def load(self, found: list[Entry], number: int, *, listing: bool) -> Exchange:
        """The exchange of one of them; a list of models that Llama Stack keeps in many files is their union."""
        entry = found[number - 1]
        if listing and entry.foreign:
            return llama_stack.merged([self.shelf.load(one) for one in found if one.foreign])
        return self.shelf.load(entry)

    def candidates(self, played: set[str]) -> list[Candidate]:
        """What could be the nearest: all there is, by its outline; read is only what is asked for."""
        return [
            Candidate(
                functools.partial(self.shelf.request, entry),
                entry.scope,
                entry.variant,
                entry.path,
                entry.path in played,
                entry.outline,
            )
            for entry in self.shelf.unordered()
        ]

    def _loosely(self, scope: str, request: Request) -> list[Entry]:
        if self._loose is None:
            index: dict[str, list[Entry]] = {}
            for entry in self.shelf.entries():
                with contextlib.suppress(OSError):
                    index.setdefault(self.key(self.shelf.request(entry), self.rules), []).append(entry)
            self._loose = index
        found = self._loose.get(self.key(request, self.rules), [])
        if scope == NO_SCOPE:
            return found
        return [e for e in found if e.scope == scope] or [e for e in found if e.scope == NO_SCOPE]

    def _signature(self) -> bytes:
        rewrite = self._rewrite.__qualname__ if self._rewrite is not None else ""
        return f"{canon.VERSION}\n{self._redactor.signature}\n{rewrite}".encode()
