"""``python -m bench``: run the scenarios, print the table, exit 1 when a figure is above its bound.

Exit status 2 means that nothing was measured: a process did not live, or an answer was wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import fleet, report
from bench.field import QUICK, Field, Sizes, Target
from bench.scenarios import SCENARIOS
from bench.script import Script

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
_P = TypeVar("_P", bound=fleet.Process)
_ROUNDS, _QUICK_ROUNDS = 7, 3


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="What the server costs beside a byte forwarder."
    )
    parser.add_argument("--quick", action="store_true", help="about a minute, wider spread")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help=f"some of {','.join(SCENARIOS)}")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds ({_ROUNDS}, quick {_QUICK_ROUNDS})")
    parser.add_argument("--scale", type=float, default=1.0, help="times the requests of a round (for slow servers)")
    parser.add_argument("--ladder", help="stream counts of `hold`, for example 200,600,1000")
    parser.add_argument("--command", help="another server: a command with {port}, {upstream} and {data}")
    parser.add_argument("--path", default="/v1/responses", help="where that server answers")
    parser.add_argument("--no-bounds", action="store_true", help="judge nothing (for other servers)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round here")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into docs/{_PAGE.name}")
    chosen = parser.parse_args(argv)
    unknown = set(chosen.scenarios.split(",")) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return chosen


def sizes(chosen: argparse.Namespace) -> Sizes:
    """How much work a round is."""
    base = QUICK if chosen.quick else Sizes()
    if chosen.ladder:
        ladder = tuple(int(count) for count in chosen.ladder.split(","))
        base = Sizes(**{name: getattr(base, name) for name in Sizes.__slots__} | {"ladder": ladder})
    return base.scaled(chosen.scale)


@contextmanager
def playing_field(chosen: argparse.Namespace) -> Iterator[Field]:
    """Every process of the run, up and warm; all ended at the end."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))

        def keep(process: _P) -> _P:
            stack.callback(process.stop)
            return process

        upstream = keep(fleet.Helper("upstream", scratch))
        forwarder = keep(fleet.Helper("forwarder", scratch, str(upstream.port)))
        libraries = keep(fleet.Helper("stack", scratch, str(upstream.port)))
        proxy = fleet.haproxy(scratch, upstream.port)
        if proxy is not None:
            keep(proxy[0])
        command = chosen.command or fleet.default_command()

        def start(data: Path) -> fleet.Server:
            return fleet.Server(command, upstream.port, data, scratch, chosen.path)

        data = scratch / "data"
        data.mkdir()
        server = keep(start(data))
        yield Field(
            load=keep(fleet.Load(scratch)),
            direct=Target("direct", upstream.port, None),
            floor=Target("floor", forwarder.port, forwarder.pid),
            haproxy=Target("haproxy", proxy[1], proxy[0].pid) if proxy else None,
            stack=Target("libraries", libraries.port, libraries.pid, "responses", "/v1/responses"),
            server=Target("server", server.port, server.pid, "responses", chosen.path),
            start_server=start,
            scratch=scratch,
            sizes=sizes(chosen),
        )


def warm_up(field: Field) -> None:
    """One round nobody counts: imports on first use, caches, connection pools."""
    for target in (field.direct, field.floor, field.haproxy, field.stack, field.server):
        if target is not None:
            field.run(target, Script(1), requests=field.sizes.concurrency * 4, connections=field.sizes.concurrency)
            if target is not field.stack:  # which knows one answer only
                field.run(target, Script(20), requests=field.sizes.concurrency, connections=field.sizes.concurrency)


def run(chosen: argparse.Namespace, rounds: int) -> report.Report:
    """Run everything. BenchError when an answer was wrong or a process did not live."""
    began = time.monotonic()
    names = chosen.scenarios.split(",")
    with playing_field(chosen) as field:
        warm_up(field)
        scenarios = [SCENARIOS[name](field) for name in SCENARIOS if name in names]
        for k in range(rounds):
            for scenario in scenarios:
                if not scenario.once:
                    tell(f"round {k + 1}/{rounds} {scenario.name}")
                    scenario.round(k)
        for scenario in scenarios:
            if scenario.once:
                tell(scenario.name)
                scenario.round(0)
        notes = remarks(field, began)
    lines = [line for scenario in scenarios for line in scenario.lines()]
    if chosen.no_bounds:
        for line in lines:
            line.limit = None
    command = "python -m bench --quick" if chosen.quick else "python -m bench"
    return report.Report(command=command, rounds=rounds, machine=report.machine(), lines=lines, notes=notes)


def remarks(field: Field, began: float) -> list[str]:
    """What a reader of the table must know besides."""
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    notes = [f"Run of {time.monotonic() - began:.0f} s; load average at its end {load}."]
    if field.haproxy is None:
        notes.append("haproxy is not installed: the floor went unchecked.")
    if field.merged and min(field.merged) < 0.95:
        notes.append(
            f"Doubtful: in a tok100 round only {min(field.merged):.0%} of the tokens arrived in a read of their own; "
            "the machine was too busy to pace them."
        )
    return notes


def tell(what: str) -> None:
    """Progress, on stderr."""
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Exit status 0, 1 (above a bound) or 2 (nothing was measured)."""
    chosen = arguments(argv)
    fleet.allow_many_files()
    try:
        done = run(chosen, chosen.rounds or (_QUICK_ROUNDS if chosen.quick else _ROUNDS))
    except fleet.BenchError as error:
        tell("")
        print(f"bench: {error}", file=sys.stderr)
        return 2
    tell("")
    print(report.text(done))
    if chosen.json:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(done)))
    if chosen.write_docs:
        report.write_docs(_PAGE, done)
    return done.exit_code()


if __name__ == "__main__":
    sys.exit(main())
