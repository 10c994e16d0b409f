"""The recording of one test: what the fixture ``recording`` gives."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from antiphon.tape import scope as scopes
from antiphon.tape.clients import Place
from antiphon.tape.clients.call import Outcome
from antiphon.tape.counts import Drift
from antiphon.tape.engine import Tape
from antiphon.tape.miss import Miss
from antiphon.tape.model import BOUNDARIES, NO_SCOPE, Boundary, HttpCall, Json
from antiphon.tape.pytest.options import Doing
from antiphon.tape.pytest.wishes import Wishes
from antiphon.tape.refusal import RecordingMiss, Refusal

_RECORDING = ("record", "record-if-missing")


class Called(msgspec.Struct, frozen=True):
    """One HTTP call of the test. ``request`` is its JSON body, None for another; ``outcome`` what became of it."""

    method: str
    url: str
    boundary: Boundary
    outcome: Outcome
    request: Json = None


class Recording:
    """What a test can ask of its recording, and do with it. Without a tape, when recording is off, it is idle."""

    def __init__(self, tape: Tape | None, wishes: Wishes) -> None:
        self._tape = tape
        self._wishes = wishes
        self._lock = threading.Lock()
        self._entered: list[str] = []
        #: The HTTP calls, in the order in which they were made.
        self.calls: list[Called] = []
        #: What is done with calls.
        self.mode: Doing = wishes.what
        #: The scope of calls that name none of their own.
        self.name = wishes.scope
        #: Calls that must be played and are not on the tape. To forgive one, take it out of the list.
        self.misses: list[Miss] = [] if tape is None else tape.misses
        self._records = tape is not None and any(tape.mode_of(one) in _RECORDING for one in BOUNDARIES)
        if tape is not None:
            for one in (tape.misses, tape.drifts, tape.refused):
                one.clear()
            # A list of models belongs to no scope, and waits for the end of the test as everything does.
            for scope in (self.name, NO_SCOPE):
                self._enter(scope)

    # -- for tests

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of this test, as the other side counted them: ``replayed`` and ``recorded``."""
        counts = [self._tape.stats(scope) for scope in self._entered] if self._tape is not None else []
        return {
            "replayed": sum(count.tokens_replayed for count in counts),
            "recorded": sum(count.tokens_recorded for count in counts),
        }

    def var(self, name: str, factory: Callable[[], Json]) -> Any:
        """A value made once, when the test is recorded, and the same on every replay: an id, a name, a time."""
        return factory() if self._tape is None else self._tape.var(name, factory, scope=self._current())

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Calls from within this context have a scope of their own in the test's: for agents that run side by side."""
        with scopes.scope(f"{self.name}/{name}"):
            yield

    async def tool(self, provider: str, tool: str, arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
        """A call of a tool that is no HTTP call, through the tape; ``perform`` does it."""
        if self._tape is None:
            return await perform()
        with scopes.scope(self._current()):
            return await self._tape.call(provider, tool, arguments, perform)

    # -- for the plugin

    @property
    def entered(self) -> list[str]:
        """The scopes in which it has called."""
        return list(self._entered)

    @property
    def drifts(self) -> list[Drift]:
        """Live answers that differ in shape from the recorded ones."""
        return self._tape.drifts if self._tape is not None else []

    @property
    def refused(self) -> list[str]:
        """What could not be recorded, and why."""
        return self._tape.refused if self._tape is not None else []

    @property
    def tape(self) -> Tape | None:
        """The tape it is on; None when recording is off."""
        return self._tape

    @property
    def wishes(self) -> Wishes:
        """What the test wanted."""
        return self._wishes

    def place(self, url: str) -> Place | None:
        """Where a call to this URL belongs."""
        if self._tape is None or self._wishes.ignores(url):
            return None
        return Place(self._tape, self._current(), self._note)

    def unplayed(self) -> list[str]:
        """Recordings that are this test's alone, and that it did not need."""
        tape = self._tape
        return [path for scope in self._own_scopes() for path in tape.unplayed(scope)] if tape is not None else []

    def settle(self, *, keep: bool) -> int:
        """What it recorded takes its place, or is forgotten; how many exchanges were kept."""
        tape = self._tape
        if tape is None:
            return 0
        own = self._own_scopes() if self.mode == "rewrite" and keep else []
        kept = 0
        for scope in dict.fromkeys((*self._entered, *own)):
            if keep:
                kept += tape.keep(scope, prune=scope in own)
            else:
                tape.discard(scope)
            tape.start(scope)  # a suite has many tests, and what they asked would stay in memory
        return kept

    def _own_scopes(self) -> list[str]:
        """The scopes that no other test has, in this run or in those that recorded."""
        if self._tape is None:
            return []
        recorded = self._tape.shelf.scopes(self.name)
        return [scope for scope in dict.fromkeys((*self._entered, *recorded)) if self._wishes.owns(scope)]

    def _current(self) -> str:
        scope = scopes.current() or self.name
        self._enter(scope)
        return scope

    def _enter(self, scope: str) -> None:
        with self._lock:
            if self._tape is None or scope in self._entered:
                return
            self._tape.start(scope)
            if self._records:  # a checkout that nobody may write to is played all the same
                self._tape.stage(scope)
            self._entered.append(scope)

    def _note(self, call: HttpCall, outcome: Outcome, refusal: Refusal | None) -> None:
        if refusal is not None and not isinstance(refusal, RecordingMiss):
            self.refused.append(str(refusal))
        self.calls.append(Called(call.method, call.url, call.boundary, outcome, _json(call.body)))


def _json(body: object) -> Json:
    if not isinstance(body, bytes) or not body:
        return None
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
