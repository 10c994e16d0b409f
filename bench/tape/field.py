"""What the scenarios share: how much work a round is, the processes of a run, and the base of a scenario."""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench import cpu, stats
from bench.fleet import BenchError, Helper, Process, free_port
from bench.report import Compare, Line
from bench.tape.questions import PATH, SCOPE
from bench.tape.worker import Cost, Job

_P = TypeVar("_P", bound=Process)
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much work one round is."""

    recordings: tuple[int, ...] = (10, 1_000, 10_000)
    rivals: tuple[int, ...] = (10, 1_000, 10_000)
    others: tuple[int, ...] = (10, 1_000, 10_000)  # of the proxy, the server and pytest
    calls: int = 200
    batch_s: float = 0.6
    patience_s: float = 40.0  # what a rival may take for one thing
    slow_rounds: int = 3  # of what takes long: pytest, and the index
    tests: int = 60
    in_place: bool = True
    openings: tuple[int, ...] = (10_000,)  # beside the bounded number
    first_streams: int = 7
    records: int = 40
    record_streams: int = 8
    stream_chunks: tuple[int, ...] = (20, 100, 1_000)
    begin_s: float = 140.0  # no round begins later


QUICK = Sizes(
    rivals=(10, 1_000),
    others=(1_000,),
    calls=100,
    batch_s=0.2,
    slow_rounds=1,
    tests=20,
    in_place=False,
    openings=(),
    first_streams=3,
    records=20,
    record_streams=4,
    stream_chunks=(20, 100),
    begin_s=25.0,
)


class TooLong(Exception):
    """A contestant took longer than it may; it has been ended. The message says what took so long."""


class Worker(Process):
    """A contestant in a process of its own; see `bench.tape.worker`."""

    def __init__(self, scratch: Path, kind: str, place: Path | str = "", *, patience_s: float = _START_S) -> None:
        command = [sys.executable, "-m", "bench.tape.worker", kind, str(place)]
        super().__init__(f"worker-{kind}", command, scratch, pipe=True)
        self.patience_s = patience_s
        self.ready_ms = float(self._hear("to load")["ready"])

    def ask(self, job: Job) -> Cost:
        """Have a job done. BenchError when an answer was wrong, TooLong."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(msgspec.json.encode(job) + b"\n")
        self.popen.stdin.flush()
        cost = msgspec.convert(self._hear("for a job of three calls"), Cost)
        if cost.error:
            raise BenchError(f"{self.name}: {cost.error}")
        return cost

    def _hear(self, what: str) -> dict[str, Any]:
        assert self.popen.stdout is not None
        if not select.select([self.popen.stdout], [], [], self.patience_s)[0]:
            self.popen.kill()
            self.stop()
            raise TooLong(f"over {self.patience_s:.0f} s {what}")
        line = self.popen.stdout.readline()
        if not line:
            raise BenchError(f"{self.name} ended: {self.said()}")
        told: dict[str, Any] = json.loads(line)
        return told


class Proxy(Process):
    """``antiphon tape proxy``."""

    def __init__(self, scratch: Path, upstream: int, directory: Path, mode: str) -> None:
        base = f"http://127.0.0.1:{upstream}/v1"
        command = [sys.executable, "-m", "antiphon", "tape", "proxy", "--dir", str(directory), "--mode", mode]
        super().__init__(
            f"proxy-{mode}", [*command, "--upstream", f"up={base}", "--port", "0", "--json"], scratch, pipe=True
        )
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise BenchError(f"the proxy did not start: {self.said()}")
        self.url = f"{json.loads(line)['url']}/s/{SCOPE}/up{PATH}"


class Server(Process):
    """``antiphon serve``, with a tape or without."""

    def __init__(self, scratch: Path, upstream: int, name: str, *tape: str) -> None:
        port = free_port()
        data = scratch / f"data-{name}"
        command = [sys.executable, "-m", "antiphon", "serve", "--port", str(port), "--data-dir", str(data)]
        super().__init__(
            f"server-{name}", [*command, "--upstream", f"http://127.0.0.1:{upstream}/v1", *tape], scratch, cwd=scratch
        )
        self.url = f"http://127.0.0.1:{port}{f'/s/{SCOPE}' if tape else ''}{PATH}"
        try:
            self._wait(port)
        except BaseException:
            self.stop()
            raise

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.popen.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0 and self.popen.poll() is None:
                    return
            time.sleep(0.05)
        raise BenchError(f"the server did not start: {self.said()}")


@dataclass(slots=True)
class Field:
    """What the scenarios run on. Every process that is kept is ended at the end of the run."""

    scratch: Path
    sizes: Sizes
    upstream: Helper
    tell: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    kept: list[Process] = field(default_factory=list)
    made: dict[str, Path] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The back end's."""
        return f"http://127.0.0.1:{self.upstream.port}{PATH}"

    def keep(self, process: _P) -> _P:
        """It is ended at the end."""
        self.kept.append(process)
        return process

    def end(self) -> None:
        """Ends what was kept, all at once: each may take its time."""
        for process in self.kept:
            if process.popen.poll() is None:
                process.popen.terminate()
        for process in self.kept:
            process.stop()

    def place(self, name: str, make: Callable[..., Path], *more: object) -> Path:
        """Something on disk that several scenarios use, made once."""
        if name not in self.made:
            self.tell(f"making {name}")
            path = self.scratch / name.replace(" ", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            self.made[name] = make(path, *more)
        return self.made[name]

    def charged(self, process: Process, work: Callable[[], Cost]) -> tuple[Cost, float]:
        """Work, and the CPU microseconds a call that another process spent on it."""
        before = cpu.settled_ns(process.pid)
        cost = work()
        return cost, (cpu.settled_ns(process.pid) - before) / cost.calls / 1e3


class Scenario:
    """The base of all: a name, and samples by column."""

    name = ""
    once = False

    def __init__(self, field_: Field) -> None:
        self.field = field_
        self.samples: dict[str, list[float]] = defaultdict(list)
        self.lost: dict[str, str] = {}  # columns that took too long, and what did

    def prepare(self) -> None:
        """Before the first round."""

    def round(self, k: int) -> None:
        """Measure round ``k``."""
        raise NotImplementedError

    def lines(self) -> list[Line]:
        """The lines of the table."""
        raise NotImplementedError

    def line(
        self, what: str, unit: str, column: str, base: str = "", *, limit: float | None = None, note: str = ""
    ) -> Line:
        """A line about a column, as its difference to another one where one is named.

        A column is called ``name`` or ``name: more``.
        """
        shown = column.partition(":")[0]
        if column in self.lost:
            return Line(
                name=what,
                unit=unit,
                subject=[float("nan")],
                subject_name=shown,
                compare=Compare.VALUE,
                note=self.lost[column],
            )
        compare = Compare.DIFFERENCE if base else Compare.VALUE
        return Line(
            name=what,
            unit=unit,
            base=self.samples[base] if base else [],
            base_name=base.partition(":")[0],
            subject=self.samples[column],
            subject_name=shown,
            compare=compare,
            limit=limit,
            note=note,
        )

    def middle(self, column: str) -> float:
        """The median of a column."""
        return stats.median(self.samples[column])


def turned(names: list[str], k: int) -> list[str]:
    """The names, beginning with another one each round."""
    return names[k % len(names) :] + names[: k % len(names)] if names else []


def pick(round_: int, calls: int, count: int) -> list[int]:
    """Numbers to ask for, spread over all recordings, others each round, the same for every contestant."""
    step = 7919
    return [n % count for n in itertools.islice(itertools.count(round_ * 104_729, step), calls)]


def environment(**more: str) -> dict[str, str]:
    """For pytest runs: nothing of ours that would configure them."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTIPHON_", "OPENAI_", "PYTEST_")) and k != "CI"}
    return clean | more
