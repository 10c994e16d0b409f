"""``python -m bench.tape``: run everything, print the table, exit 1 when a figure is above its bound.

Exit status 2 means that nothing was measured: a process did not live, or an answer was wrong.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import report
from bench.fleet import BenchError, Helper
from bench.tape.field import QUICK, Field, Scenario, Sizes
from bench.tape.opening import Opening
from bench.tape.recording import Recording, Room
from bench.tape.replay import Inside, Through
from bench.tape.suite import Suite

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "recording" / "benchmark.md"
_ROUNDS, _QUICK_ROUNDS = 5, 2
_BEGAN = time.monotonic()
SCENARIOS: dict[str, type[Scenario]] = {s.name: s for s in (Inside, Through, Suite, Opening, Recording, Room)}


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.tape", description="What the tape costs, beside vcrpy.")
    parser.add_argument("--quick", action="store_true", help="half a minute, fewer sizes, wider spread")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help=f"some of {','.join(SCENARIOS)}")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds ({_ROUNDS}, quick {_QUICK_ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round here")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {_PAGE.name}")
    chosen = parser.parse_args(argv)
    unknown = set(chosen.scenarios.split(",")) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return chosen


@contextmanager
def playing_field(sizes: Sizes) -> Iterator[Field]:
    """A directory and a back end; whatever else is started is ended at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-tape-", ignore_cleanup_errors=True) as scratch:
        upstream = Helper("upstream", Path(scratch))
        field = Field(Path(scratch), sizes, upstream, tell)
        field.keep(upstream)
        try:
            yield field
        finally:
            tell("ending")
            field.end()


def run(chosen: argparse.Namespace, field: Field, rounds: int) -> report.Report:
    """Run everything. BenchError when an answer was wrong or a process did not live."""
    names = chosen.scenarios.split(",")
    scenarios = [SCENARIOS[name](field) for name in SCENARIOS if name in names]
    for scenario in scenarios:
        tell(f"preparing {scenario.name}")
        scenario.prepare()
    for k in range(rounds):
        if k and time.monotonic() - _BEGAN > field.sizes.begin_s:
            rounds = k
            break
        for scenario in scenarios:
            if k == 0 or not scenario.once:
                tell(f"round {k + 1}/{rounds} {scenario.name}")
                scenario.round(k)
    lines = [line for scenario in scenarios for line in scenario.lines()]
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    notes = [*field.notes]
    if os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1):
        notes.append("Doubtful: the machine was busy. That only adds to figures, CPU included.")
    notes.append(f"Run of {time.monotonic() - _BEGAN:.0f} s; load average at its end {load}.")
    command = "python -m bench.tape --quick" if chosen.quick else "python -m bench.tape"
    return report.Report(command=command, rounds=rounds, machine=machine(), lines=lines, notes=notes)


def machine() -> str:
    """The machine, no more exactly than the figures are worth."""
    names = {1: "One core", 2: "Two cores", 4: "Four cores"}
    cores = os.cpu_count() or 0
    return f"{names.get(cores, f'{cores} cores')}, Python {sys.version_info.major}.{sys.version_info.minor}"


def tell(what: str) -> None:
    """Progress, on stderr."""
    seconds = f"{time.monotonic() - _BEGAN:3.0f} s  " if what else ""
    print(f"\r\x1b[K{seconds}{what}", end="", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Exit status 0, 1 (above a bound) or 2 (nothing was measured)."""
    chosen = arguments(argv)
    missing = [name for name in ("vcr", "pytest_recording", "httpx2") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"bench.tape: there is no {', '.join(missing)} here. Run it by `make bench-tape`.", file=sys.stderr)
        return 2
    rounds = chosen.rounds or (_QUICK_ROUNDS if chosen.quick else _ROUNDS)
    try:
        with playing_field(QUICK if chosen.quick else Sizes()) as field:
            done = run(chosen, field, rounds)
            tell("")
            print(report.text(done), flush=True)
            if chosen.json:
                chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(done)))
            if chosen.write_docs:
                report.write_docs(_PAGE, done)
    except BenchError as error:
        tell("")
        print(f"bench.tape: {error}", file=sys.stderr)
        return 2
    tell("")
    return done.exit_code()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what was started is ended first
    sys.exit(main())
