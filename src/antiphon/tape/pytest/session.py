"""The recordings of a test session: the test that runs, and what is known when all have run."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.tape import clients
from antiphon.tape.clients import passing
from antiphon.tape.engine import Tape
from antiphon.tape.model import Mode
from antiphon.tape.pytest import guard, wishes
from antiphon.tape.pytest.options import Options, mode_of
from antiphon.tape.pytest.recording import Recording
from antiphon.tape.pytest.summary import MISSED, Totals
from antiphon.tape.pytest.tapes import Tapes
from antiphon.tape.pytest.wishes import Wishes, scope_of


class Recordings:
    """Of this process. One test runs at a time."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._tapes = Tapes(_share(options.budget, config))
        self._running: tuple[pytest.Item, Recording] | None = None
        self._passed = True
        self._totals = Totals()
        self._missed = frozenset(_missed_before(config)) if options.only_failed else frozenset()

    # -- one test

    def run(self, request: pytest.FixtureRequest) -> Iterator[Recording]:
        """The fixture: everything is in place until the test is over."""
        item = request.node
        wanted = wishes.of(request, self._options, self._missed)
        self._totals.silent.update(wanted.unused_words)
        if wanted.what == "off":
            with self._guarded(wanted, replaying=False):
                yield Recording(None, wanted)
            return
        recording = self._begin(Path(item.path).parent / self._options.directory, wanted)
        self._running, self._passed = (item, recording), True
        self._totals.ran(item.nodeid)
        installed = clients.install(recording.place)
        assert recording.tape is not None
        try:
            with self._guarded(wanted, replaying=recording.tape.mode_of("inference") == "replay"):
                yield recording
        finally:
            installed.undo()
            clients.hang_up(recording.entered)
        self._judge_end(recording)

    def running(self, item: pytest.Item) -> bool:
        """Whether this test is the one that is recorded now."""
        return self._running is not None and self._running[0] is item

    def judge_call(self, item: pytest.Item) -> None:
        """The test has passed, as far as it knows."""
        assert self._running is not None
        trouble = self._trouble(self._running[1])
        if trouble:
            pytest.fail(trouble, pytrace=False)

    def explain(self, item: pytest.Item) -> None:
        """The test has failed: the report of a miss goes with it, for the miss may be why."""
        assert self._running is not None
        trouble = self._trouble(self._running[1])
        if trouble:
            item.add_report_section("call", "recording", trouble)

    def reported(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """A phase of a test is over; after the last it is known what becomes of its recording."""
        if not self.running(item):
            return
        self._passed = self._passed and report.passed
        if report.when != "teardown":
            return
        assert self._running is not None
        recording, self._running = self._running[1], None
        kept = recording.settle(keep=self._passed or self._options.keep_failed)
        self._totals.kept += kept
        if recording.misses:
            self._totals.missed.append(item.nodeid)

    # -- all tests

    def finish(self, items: Sequence[pytest.Item] | None) -> dict[str, Any]:
        """Closes the tapes. ``items`` are the tests of a whole run; None when only some were chosen."""
        total = self._tapes.close()
        total.recorded = self._totals.kept
        if items is not None and _first_process(self._config):
            self._totals.orphans = self._orphans(items)
        return {"count": msgspec.to_builtins(total), **self._totals.told()}

    def _orphans(self, items: Sequence[pytest.Item]) -> list[str]:
        """Recordings of tests that are no longer there, in modules of which every test was to run."""
        partly = {str(arg).split("::")[0] for arg in self._config.args if "::" in str(arg)}
        if partly:
            return []
        scopes: dict[Path, set[str]] = {}
        for item in items:
            scopes.setdefault(Path(item.path).parent, set()).add(scope_of(item.nodeid))
        found: set[str] = set()
        for shelf in self._tapes.shelves():
            directory = shelf.directory
            known = scopes.get(directory.parent, set())
            modules = {scope.partition("::")[0] for scope in known}
            for entry in shelf.entries():
                module, colons, _ = entry.scope.partition("::")
                there = module not in modules and (directory.parent / module).exists()
                if colons and not there and not _belongs(entry.scope, known):
                    found.add(os.path.relpath(directory / entry.path, self._config.rootpath))
        return sorted(found)

    # -- parts

    def _begin(self, directory: Path, wanted: Wishes) -> Recording:
        fault = wanted.fault if wanted.fault is not None else self._options.fault_file

        def take(mode: Mode) -> Tape:
            return self._tapes.take(wanted.settings(str(directory), mode, self._options), wanted.rewrite, fault)

        tape = take(mode_of(wanted.what, recorded_before=True))
        if wanted.what == "once" and not _recorded(tape, wanted):
            tape = take(mode_of(wanted.what, recorded_before=False))
        return Recording(tape, wanted)

    @contextlib.contextmanager
    def _guarded(self, wanted: Wishes, *, replaying: bool) -> Iterator[None]:
        """The network is closed to a test that replays, for clients that no tape sees."""
        off = wanted.what == "off"
        if self._options.block_all and (replaying or off):
            why = "--block-network"
        elif replaying and self._options.block_replay:
            why = "this test replays its recording, and no tape sees this client (allow the host by --allowed-hosts)"
        else:
            yield
            return
        with guard.blocked(wanted.allowed_hosts, passing.get, why):
            yield

    def _judge_end(self, recording: Recording) -> None:
        """At the very end, when nothing can call any more."""
        if not self._passed:
            return
        trouble = self._trouble(recording)
        if not trouble and recording.mode in ("replay", "once", "record-if-missing"):
            unplayed = recording.unplayed()
            self._totals.unused += len(unplayed)
            tape = recording.tape
            assert tape is not None
            shown = [os.path.relpath(tape.shelf.directory / path, self._config.rootpath) for path in unplayed]
            self._totals.unplayed += shown
            if shown and self._options.unused == "fail":
                trouble = "Recordings that this test does not use:\n" + "\n".join(f"  {path}" for path in shown)
        if trouble:
            pytest.fail(trouble, pytrace=False)

    def _name(self, item: pytest.Item) -> str:
        """The name of a test for who stands where pytest was started."""
        path, colons, inside = item.nodeid.partition("::")
        return os.path.relpath(self._config.rootpath / path, self._config.invocation_params.dir) + colons + inside

    def _trouble(self, recording: Recording) -> str:
        """Why this test cannot pass; empty when it can."""
        assert self._running is not None
        again = f"pytest {shlex.quote(self._name(self._running[0]))} --record-mode=rewrite"
        parts = [_with_command(miss.report, miss.command, again) for miss in recording.misses[:3]]
        if len(recording.misses) > len(parts):
            parts.append(f"... and {len(recording.misses) - len(parts)} more calls without a recording.")
        parts += recording.refused
        for drift in recording.drifts:
            parts.append(f"{drift.path or 'a call'}: the answer differs from the recorded one:")
            parts += [f"  {line}" for line in drift.differences]
        return "\n".join(parts)


def _with_command(report: str, command: str, again: str) -> str:
    """The report with pytest's command in place of the tape's, which it may have wrapped."""
    if not command:
        return report
    return re.sub(r"[\s\\]+".join(re.escape(word) for word in command.split()), lambda _: again, report)


def _recorded(tape: Tape, wanted: Wishes) -> bool:
    scopes = tape.shelf.scopes(wanted.scope)
    return bool(scopes) if wanted.own else wanted.scope in scopes


def _belongs(scope: str, known: set[str]) -> bool:
    """Whether it is the scope of one of these tests, or one inside it."""
    if scope in known:
        return True
    return any(scope[:at] in known for at in range(len(scope)) if scope[at] == "/")


def _share(budget: int | None, config: pytest.Config) -> int | None:
    """What each worker of pytest-xdist may spend, so that together they stay within the budget."""
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    return None if budget is None else -(-budget // workers)


def _first_process(config: pytest.Config) -> bool:
    worker = getattr(config, "workerinput", None)
    return worker is None or worker["workerid"] == "gw0"


def _missed_before(config: pytest.Config) -> list[str]:
    cache = getattr(config, "cache", None)
    if cache is None:
        raise pytest.UsageError("--record-only-failed needs pytest's cacheprovider")
    return cache.get(MISSED, None) or []
