"""The decisions of the tape: for each call that is about to leave, play a recording, let it go, or refuse it.

``Tape.begin`` is quick and never waits, so that every way in - transports, clients, proxy, tools - is built on it, in
threads and in tasks. It answers with one of three steps: ``Play`` what is recorded; go ``Live``, and tell the recorder
what comes; or ``Wait`` for who is recording this very call. A call that must be played and is not there is a
``RecordingMiss``, which is remembered, so that it fails a test even if the application swallows it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec

from antiphon.tape import canon, tools
from antiphon.tape import scope as scopes
from antiphon.tape.counts import Count, Drift, Hook, Tally
from antiphon.tape.faults import FaultError, Faults, Filter, Picked
from antiphon.tape.finder import Finder
from antiphon.tape.miss import Miss, explain
from antiphon.tape.model import (
    BOUNDARIES,
    NO_SCOPE,
    Boundary,
    Call,
    Exchange,
    HttpCall,
    HttpRequest,
    HttpResponse,
    Json,
    Mode,
    Request,
    ToolCall,
    Usage,
)
from antiphon.tape.plays import PlayLog
from antiphon.tape.refusal import BadFault, BudgetSpent, RecordingMiss, Refusal
from antiphon.tape.secrets import Redactor
from antiphon.tape.settings import Settings
from antiphon.tape.shelf import Claim, Entry
from antiphon.tape.steps import Live, Play, Recorder, Step, Wait
from antiphon.tape.tools import ToolError
from antiphon.tape.variables import Variables
from antiphon.tape.writer import Place, Writer

_log = logging.getLogger("antiphon.tape")

#: Misses that are kept to be shown.
_KEPT = 1000


class Tape:
    """One directory of recordings in use. Safe to use from several threads; close it in the end."""

    def __init__(
        self,
        settings: Settings,
        *,
        environ: Mapping[str, str],
        rewrite: Callable[[Request], Request] | None = None,
        faults: Faults | None = None,
        background: bool = False,
    ) -> None:
        """``rewrite`` is a matcher of the user's own: it sees each request before it is compared.

        ``background``: recordings are written by a thread, so that a loop is not held up; ``flush`` waits for it.
        """
        self.settings = settings
        self.faults = faults
        self.redactor = Redactor(environ, allow=settings.allow)
        self._finder = Finder(settings, self.redactor, rewrite)
        self.shelf = self._finder.shelf
        self._variables = Variables(self.shelf.directory, self.redactor)
        self._tally = Tally()
        self._plays = PlayLog(self.shelf)
        self._writer = Writer(
            self.shelf, self.redactor, self._plays, self._tally, timing=settings.timing, background=background
        )
        self._mode: Mode = settings.mode
        self._modes: dict[Boundary, Mode] = dict(settings.modes)
        #: What was asked for and is not there.
        self.misses: list[Miss] = []

    # -- modes and scopes

    def mode_of(self, boundary: Boundary) -> Mode:
        """The mode of a boundary."""
        return self._modes.get(boundary, self._mode)

    def set_mode(self, mode: Mode, boundary: Boundary | None = None) -> None:
        """Change the mode of one boundary, or of all."""
        if boundary is None:
            self._mode = mode
            self._modes.clear()
        else:
            self._modes[boundary] = mode

    def hook(self, make: Hook) -> None:
        """For each run of a scope ``make`` is asked what surrounds its calls: frozen ids, a frozen clock."""
        self._tally.hook(make)

    @contextlib.contextmanager
    def within(self, scope: str) -> Iterator[None]:
        """Calls from within this context belong to the scope, and are surrounded by what was hooked."""
        with scopes.scope(scope), contextlib.ExitStack() as stack:
            if any(self.mode_of(boundary) != "live" for boundary in BOUNDARIES):
                for around in self._tally.run(scope).around:
                    stack.enter_context(around())
            yield

    def start(self, scope: str) -> None:
        """A new run of a scope: repeats, and faults, are counted from the first again."""
        self._tally.restart(scope)
        if self.faults is not None:
            self.faults.reset(scope)

    @property
    def scopes(self) -> dict[str, Count]:
        """The scopes that have called, and what happened to their calls."""
        return {name: run.count for name, run in self._tally.known().items()}

    def stats(self, scope: str | None = None) -> Count:
        """What happened to the calls of one scope's run, or to all calls."""
        return msgspec.structs.replace(self._tally.total if scope is None else self._tally.run(scope).count)

    def unplayed(self, scope: str) -> list[str]:
        """The recordings of a scope that its run neither played nor made."""
        run = self._tally.run(scope)
        return [e.path for e in self.shelf.in_scope(scope) if e.path not in run.played and e.path not in run.recorded]

    @property
    def drifts(self) -> list[Drift]:
        """Live answers that differ in shape from their recordings (mode ``verify``)."""
        return self._writer.drifts

    @property
    def refused(self) -> list[str]:
        """What was not written, and why, a sentence each."""
        return self._writer.refused

    # -- the decision

    def begin(self, call: Call, *, scope: str | None = None) -> Step:
        """What to do about this call. Raises ``RecordingMiss``, ``BudgetSpent`` and ``BadFault``."""
        scope = scopes.current() if scope is None else scope
        fault = self._fault(call, scope)
        if isinstance(fault, Exchange):
            return Play(fault)
        mode = self.mode_of(call.boundary)
        if mode == "live" or tools.inside():
            self._tally.add(scope, Count(live=1))
            return Live(None, fault)
        asked = canon.parse(call)
        request = self.redactor.call(asked)
        key = self._finder.clean_key(request)
        if _is_listing(request):
            scope = NO_SCOPE
        url = call.url if isinstance(call, HttpCall) else ""
        number = self._tally.run(scope).next(key)
        place = Place(asked, request, call.boundary, call.provider, scope, number, url, key)
        if mode == "record":
            return Live(self._recorder(place), fault)
        found, relaxed = self._find(place, key)
        if mode == "verify":
            verify = found[min(place.variant, len(found)) - 1] if found else None
            return Live(self._recorder(msgspec.structs.replace(place, verifying=True, verify=verify)), fault)
        if mode == "replay" or _answered(place, found):
            if relaxed and found:
                self._tally.add(scope, Count(relaxed=1))
            return self._play(place, key, found, fault)
        return self._claimed(place, key, fault)

    def _fault(self, call: Call, scope: str) -> Picked:
        if self.faults is None:
            return None
        try:
            return self.faults.pick(call, scope, scopes.fault())
        except FaultError as wrong:
            raise BadFault(wrong) from wrong

    async def call(self, provider: str, tool: str, arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
        """A tool call through the tape; ``perform`` does it live. What leaves from within is not recorded again.

        Raises what ``perform`` raises; a replayed failure is a ``ToolError``, or a ``TimeoutError``.
        """
        step = self.begin(ToolCall(provider, tool, arguments))
        if isinstance(step, Wait):
            step = await step.step_async()
        if isinstance(step, Play):
            return tools.answer(step.exchange.response)
        if step.recorder is None:
            return await perform()
        return await tools.perform_recorded(step.recorder, perform)

    def var(self, name: str, factory: Callable[[], Json], *, scope: str | None = None) -> Json:
        """A value that is made once, when recording, and is the same on every replay. Not for secrets."""
        scope = scopes.current() if scope is None else scope
        mode = self.mode_of("inference")
        if mode == "live":
            return factory()
        with self._variables.lock:
            known = self._variables.get(scope, name, fresh=mode == "record")
            if known is not None:
                return known[0]
            if mode == "replay":
                raise LookupError(
                    f"The variable '{name}' of the scope '{scope}' is not on the tape. Run once with the mode 'record'."
                )
            value = factory()
            if mode != "verify":
                self._variables.put(scope, name, value)
            return value

    def overrun(self, play: Play, *, scope: str | None = None) -> RecordingMiss:
        """For who reads on where the recorded reader hung up: the miss to end the stream with."""
        scope = scopes.current() if scope is None else scope
        return self._missed(play.exchange.request, scope, closed=play.path)

    # -- what a test records is kept only if it passes

    def stage(self, scope: str) -> None:
        """From here on what this scope records waits aside, and so do its variables."""
        self._writer.stage(scope)
        self._variables.stage(scope)

    def keep(self, scope: str, *, prune: bool = False) -> int:
        """What waited takes its place. ``prune``: what the scope had before and its run did not need is deleted."""
        kept = self._writer.keep(scope)
        self._variables.keep(scope)
        if prune:
            spare = set(self.unplayed(scope))
            for entry in self.shelf.in_scope(scope):
                if entry.path in spare and not entry.foreign:
                    self.shelf.remove(entry)
        return kept

    def discard(self, scope: str) -> None:
        """What waited is forgotten."""
        self._writer.discard(scope)
        self._variables.discard(scope)

    def flush(self) -> None:
        """Blocks until all that was heard is written."""
        self._writer.flush()

    def close(self) -> None:
        """Writes what is outstanding, and what helps the next process."""
        self._writer.close()
        self._plays.close()
        self.shelf.close()

    # -- playing

    def _find(self, place: Place, key: str) -> tuple[list[Entry], bool]:
        return self._finder.find(place.scope, key, place.request, provider=place.provider, url=place.url)

    def _play(self, place: Place, key: str, found: list[Entry], fault: Filter | None) -> Play:
        listing = _is_listing(place.request)
        number = self._number(place, found, strict=self.settings.strict and not listing)
        entry = found[number - 1]
        try:
            fresh = self.shelf.current(entry)
            exchange = self._finder.load(found, number, listing=listing) if fresh else None
        except FileNotFoundError:
            exchange = None
        if exchange is None:  # somebody changed or took the file since it was indexed
            found, _ = self._find(place, key)
            return self._play(place, key, found, fault)
        run, usage = self._tally.run(place.scope), exchange.usage or Usage()
        run.played.add(entry.path)
        run.asked(place.request, entry.path)
        self._plays.add(entry.path)
        self._tally.add(place.scope, Count(hits=1, tokens_replayed=usage.input + usage.output))
        return Play(exchange, fault, self._delays(exchange), entry.path)

    def _number(self, place: Place, found: list[Entry], *, strict: bool) -> int:
        """Which of the recordings is due, from 1."""
        if not found:
            raise self._missed(place.request, place.scope)
        number = place.variant
        if number <= len(found):
            return number
        policy = "error" if strict else self.settings.exhausted
        if policy == "error":
            raise self._missed(place.request, place.scope, exhausted=True)
        return len(found) if policy == "last" else (number - 1) % len(found) + 1

    def _delays(self, exchange: Exchange) -> tuple[float, ...] | None:
        speed, response = self.settings.speed, exchange.response
        if speed is None or not isinstance(response, HttpResponse):
            return None
        gaps = response.gaps
        if gaps is None:
            if response.summary is None:
                return None
            first, usual, _ = response.summary
            gaps = (first, *[usual] * (len(response.reads) - 1))
        return tuple(gap / 1000 / speed for gap in gaps)

    # -- recording

    def _claimed(self, place: Place, key: str, fault: Filter | None) -> Live | Wait | Play:
        """Record it, unless somebody else does so already: of many that miss the same call one makes it."""

        def claim() -> Claim | None:
            return self.shelf.claim(place.scope, key, place.variant)

        def again(mine: Claim) -> Play | Live:
            try:
                self.shelf.refresh(place.scope or None)
                found = self.shelf.find(place.scope, key)
                if not _answered(place, found):
                    return Live(self._recorder(place, mine), fault)
                play = self._play(place, key, found, fault)
            except BaseException:
                mine.release()
                raise
            mine.release()
            return play

        mine = claim()
        return Wait(claim, again) if mine is None else again(mine)

    def _recorder(self, place: Place, claim: Claim | None = None) -> Recorder:
        if self.settings.budget is not None:
            self._check_budget(self.settings.budget)
        self._tally.run(place.scope).asked(place.request, None)
        return Recorder(lambda response, release: self._writer.record(place, response, release), claim)

    def _check_budget(self, budget: int) -> None:
        self.flush()  # what an answer has cost is counted when it is written
        spent = self._tally.total.tokens_recorded
        if spent >= budget:
            raise BudgetSpent(
                f"Recording has cost {spent} tokens and its budget is {budget}. Raise the budget, or replay."
            )

    # -- missing

    def _missed(self, request: Request, scope: str, *, exhausted: bool = False, closed: str = "") -> RecordingMiss:
        run = self._tally.run(scope)
        miss = explain(
            request,
            scope,
            self._finder.candidates(run.played),
            run.history,
            command=self._command(scope),
            form=self._finder.form,
            exhausted=exhausted,
            closed=closed,
        )
        if not _is_listing(request):  # a list of models is a convenience: routing goes on without it
            run.asked(request, None)
            if len(self.misses) < _KEPT:
                self.misses.append(miss)
            self._tally.add(scope, Count(misses=1))
            self._note(miss, self._finder.key(request))
        return RecordingMiss(miss)

    def _command(self, scope: str) -> str:
        where = f" --scope '{scope}'" if scope else ""
        return f"antiphon tape accept --dir {self.settings.directory}{where}"

    def _note(self, miss: Miss, key: str) -> None:
        """For ``antiphon tape why``."""
        try:
            path = self.shelf.private_directory("misses") / f"{key[:16]}.json"
            path.write_bytes(msgspec.json.encode(miss))
        except OSError as why:  # recordings that may not be written are played all the same
            _log.debug("a miss is not kept for later: %s", why)


def _answered(place: Place, found: list[Entry]) -> bool:
    """Whether the tape has this call. A scope records each repeat; calls without one make do with what there is."""
    return bool(found) and (len(found) >= place.variant or place.scope == NO_SCOPE)


def _is_listing(request: Request) -> bool:
    """A list of models: the same for every scope, asked for at any time."""
    return isinstance(request, HttpRequest) and request.method == "GET" and request.path.rstrip("/").endswith("/models")


__all__ = [
    "BudgetSpent",
    "Count",
    "Drift",
    "Live",
    "Play",
    "Recorder",
    "RecordingMiss",
    "Refusal",
    "Settings",
    "Step",
    "Tape",
    "ToolError",
    "Wait",
]
