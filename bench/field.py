"""What the scenarios share: the targets, how much work a round is, and one measured job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import cpu
from bench.fleet import Load, Server
from bench.load import Job, Result
from bench.report import Line
from bench.script import Script


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much work one round is. Counts are requests."""

    one_token: int = 2000
    long_streams: int = 96
    ttft_single: int = 50
    ttft_many: int = 256
    ladder: tuple[int, ...] = (200, 600, 1000)
    window_s: float = 4.0
    idle_wait_s: float = 3.0
    concurrency: int = 32

    def scaled(self, factor: float) -> Sizes:
        """The same with ``factor`` times the requests, but never fewer than the connections: for slow servers."""

        def scale(count: int, least: int) -> int:
            return max(round(count * factor), least)

        return Sizes(
            one_token=scale(self.one_token, self.concurrency),
            long_streams=scale(self.long_streams, self.concurrency),
            ttft_single=scale(self.ttft_single, 5),
            ttft_many=scale(self.ttft_many, self.concurrency),
            ladder=self.ladder,
            window_s=self.window_s,
            idle_wait_s=self.idle_wait_s,
            concurrency=self.concurrency,
        )


QUICK = Sizes(one_token=1000, long_streams=64, ttft_single=30, ttft_many=128, ladder=(200,), window_s=3.0)


@dataclass(frozen=True, slots=True)
class Target:
    """Somewhere to send requests: the back end itself, a forwarder, or the server under test."""

    name: str
    port: int
    pid: int | None
    dialect: str = "chat"
    path: str = "/v1/chat/completions"


@dataclass(slots=True)
class Field:
    """What the scenarios run on."""

    load: Load
    direct: Target
    floor: Target
    haproxy: Target | None
    stack: Target
    server: Target
    start_server: Callable[[Path], Server]  # a fresh one on this data directory
    scratch: Path
    sizes: Sizes
    merged: list[float] = field(default_factory=list)

    def run(self, target: Target, script: Script, *, requests: int, connections: int, **more: object) -> Result:
        """One job, its CPU not asked for."""
        return self.measure(target, script, requests=requests, connections=connections, **more)[0]

    def measure(
        self, target: Target, script: Script, *, requests: int, connections: int, **more: object
    ) -> tuple[Result, float]:
        """One job: what the client saw, and the CPU microseconds of the target's processes (0 for the back end)."""
        fields = {"model": script.model, "requests": requests, "connections": connections, **more}
        job = Job(port=target.port, dialect=target.dialect, path=target.path, **fields)  # type: ignore[arg-type]
        self.load.prepare(job)
        before = cpu.settled_ns(target.pid) if target.pid else 0
        result = self.load.go()
        after = cpu.settled_ns(target.pid) if target.pid else 0
        return result, (after - before) / 1e3


class Scenario:
    """The base of all: a name, and samples by column."""

    name = ""
    once = False  # measured in one round, however many the others have

    def __init__(self, field_: Field) -> None:
        self.field = field_
        self.samples: dict[str, list[float]] = defaultdict(list)

    def round(self, k: int) -> None:
        """Measure round ``k``."""
        raise NotImplementedError

    def lines(self) -> list[Line]:
        """The lines of the table."""
        raise NotImplementedError


def turned(targets: Sequence[Target | None], k: int) -> list[Target]:
    """The targets that exist, beginning with another one each round."""
    there = [t for t in targets if t is not None]
    return there[k % len(there) :] + there[: k % len(there)]
