"""Scenarios of a server's beginning: how soon it answers, and what it takes to be there."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from bench import cpu
from bench.field import Field, Scenario
from bench.report import Compare, Line

# The bounds of this project. A figure above one fails the run.
IDLE_MB = 60.0
START_S = 0.8


class Start(Scenario):
    """From the command to the first model answer by ``POST /v1/responses``, and to the first accepted connection."""

    name = "start"

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.data = Path(tempfile.mkdtemp(dir=field_.scratch))
        self.fresh = 0.0

    def round(self, k: int) -> None:
        if k == 0:  # makes the database and warms the page cache; told, not judged
            self.fresh = self._start()
        self.samples["answer"].append(self._start())

    def _start(self) -> float:
        server = self.field.start_server(self.data)
        server.stop()
        self.samples["listen"].append(server.listen_s)
        return server.answer_s

    def lines(self) -> list[Line]:
        return [
            Line(
                name="start: command to first answer",
                unit="s",
                subject=self.samples["answer"],
                compare=Compare.VALUE,
                limit=START_S,
                note=f"({self.fresh:.2f} s with a new database)",
            ),
            Line(
                name="start: command to first connection",
                unit="s",
                subject=self.samples["listen"][1:],
                compare=Compare.VALUE,
            ),
        ]


class Idle(Scenario):
    """Memory of a server that was started on an existing database and has answered nothing but its start-up check."""

    name = "idle"
    once = True

    def round(self, k: int) -> None:
        data = Path(tempfile.mkdtemp(dir=self.field.scratch))
        self.field.start_server(data).stop()
        server = self.field.start_server(data)
        try:
            time.sleep(self.field.sizes.idle_wait_s)
            for kind, megabytes in cpu.memory(server.pid).items():
                self.samples[kind].append(megabytes)
        finally:
            server.stop()
            shutil.rmtree(data)
        main = self.field.server.pid
        assert main is not None
        self.samples["loaded"].append(cpu.memory(main)["pss"])

    def lines(self) -> list[Line]:
        s = self.samples
        note = f"(RSS {s['rss'][0]:.0f}, after the load PSS {s['loaded'][0]:.0f})"
        return [
            Line(
                name="idle: memory", unit="MB (PSS)", subject=s["pss"], compare=Compare.VALUE, limit=IDLE_MB, note=note
            )
        ]
