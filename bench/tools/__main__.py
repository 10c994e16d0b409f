"""``python -m bench.tools``: run the scenarios, print the table, exit 1 when a figure is above its bound.

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

import msgspec

from bench import fleet, report
from bench.tools.scenarios import AT_ONCE, SCENARIOS, Field

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
_MARKS = ("<!-- bench-tools:begin -->", "<!-- bench-tools:end -->")
_ROUNDS, _QUICK_ROUNDS = 7, 3
_RESPONSES, _QUICK_RESPONSES = 100, 30


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.tools", description="What calling tools costs the server.")
    parser.add_argument("--quick", action="store_true", help="some seconds, wider spread")
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
def playing_field(responses: int) -> Iterator[Field]:
    """Every process of the run, up and warm; all ended at the end."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        upstream = fleet.Helper("tools.upstream", scratch)
        stack.callback(upstream.stop)
        things = fleet.Helper("tools.things", scratch)
        stack.callback(things.stop)
        url = f"http://127.0.0.1:{things.port}/mcp"
        bare = fleet.Helper("tools.bare", scratch, url)
        stack.callback(bare.stop)
        data = scratch / "data"
        data.mkdir()
        server = fleet.Server(fleet.default_command(), upstream.port, data, scratch, "/v1/responses")
        stack.callback(server.stop)
        field = Field(server, bare, url, responses)
        for calls in (0, 1, AT_ONCE, AT_ONCE):
            field.respond(calls)
        yield field


def run(chosen: argparse.Namespace) -> report.Report:
    """Run everything. BenchError when an answer was wrong or a process did not live."""
    began = time.monotonic()
    rounds = chosen.rounds or (_QUICK_ROUNDS if chosen.quick else _ROUNDS)
    with playing_field(_QUICK_RESPONSES if chosen.quick else _RESPONSES) as field:
        names = chosen.scenarios.split(",")
        scenarios = [SCENARIOS[name](field) for name in SCENARIOS if name in names]
        for k in range(rounds):
            for scenario in scenarios:
                scenario.round(k)
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    return report.Report(
        command="python -m bench.tools",
        rounds=rounds,
        machine=report.machine(),
        lines=[line for scenario in scenarios for line in scenario.lines()],
        notes=[f"Run of {time.monotonic() - began:.0f} s; load average at its end {load}."],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Exit status 0, 1 (above a bound) or 2 (nothing was measured)."""
    chosen = arguments(argv)
    try:
        done = run(chosen)
    except fleet.BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(report.text(done))
    if chosen.json:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(done)))
    if chosen.write_docs:
        report.write_docs(_PAGE, done, _MARKS)
    return done.exit_code()


if __name__ == "__main__":
    sys.exit(main())
