"""Latency scenarios: what the server adds to the first token, and how many streams it holds on their beat."""

from __future__ import annotations

import msgspec

from bench.field import Field, Scenario, Target, turned
from bench.fleet import BenchError
from bench.report import Compare, Line
from bench.script import Script

# A held stream: 99 of 100 tokens are less than this off their beat, while all streams run.
HELD_P99_MS = 50.0
HOLD_RATE = 50


class FirstToken(Scenario):
    """Time to the first token above asking the back end directly, at 1 stream and at 32 (begun evenly spread)."""

    name = "ttft"

    def round(self, k: int) -> None:
        f = self.field
        for target in turned([f.direct, f.floor, f.server], k):
            for connections, script, requests in (
                (1, Script(4), f.sizes.ttft_single),
                (32, Script(20), f.sizes.ttft_many),
            ):
                stagger = script.tokens / script.rate
                result = f.run(target, script, requests=requests, connections=connections, stagger_s=stagger)
                middle = sorted(result.ttft)[len(result.ttft) // 2]
                self.samples[f"{target.name} {connections}"].append(middle)

    def lines(self) -> list[Line]:
        return [
            Line(
                name=f"ttft: added to the first token, {connections} at once",
                unit="ms (p50)",
                base=self.samples[f"direct {connections}"],
                base_name="direct",
                subject=self.samples[f"{name} {connections}"],
                subject_name=name,
                compare=Compare.DIFFERENCE,
            )
            for connections in (1, 32)
            for name in ("server", "floor")
        ]


class Hold(Scenario):
    """Streams of 50 tokens a second held together: how far tokens are off their beat, once all streams run.

    A rung on which the server loses a stream or a token ends the ladder; it is told, not an end of the run.
    """

    name = "hold"
    once = True

    def __init__(self, field_: Field) -> None:
        super().__init__(field_)
        self.notes: dict[int, str] = {}

    def round(self, k: int) -> None:
        for count in self.field.sizes.ladder:
            for target in turned([self.field.direct, self.field.floor], k):
                self._hold(target, count)
            try:
                self.notes[count] = self._hold(self.field.server, count)
            except BenchError as error:
                self.notes[count] = f"not held: {error}"
                return

    def _hold(self, target: Target, count: int) -> str:
        """Hold ``count`` streams; what is to be said of it."""
        wanted_s = self.field.sizes.window_s
        ramp_s = max(1.0, count / 500)
        script = Script(round(HOLD_RATE * (ramp_s + wanted_s)), HOLD_RATE)
        result, used = self.field.measure(
            target, script, requests=count, connections=count, stagger_s=ramp_s, gaps=True
        )
        self.samples[f"{target.name} {count} p99"].append(result.jitter_p99)
        self.samples[f"{target.name} {count} cpu"].append(used / (count * script.tokens))
        # Without a window the streams were never all running: late starts are no steady state.
        if result.window_s < wanted_s / 2:
            return "not held: the streams were never all running"
        verdict = "held" if result.jitter_p99 < HELD_P99_MS else "not held"
        return f"{verdict} (p50 {result.jitter_p50:.1f}, max {result.jitter_max:.0f})"

    def lines(self) -> list[Line]:
        out: list[Line] = []
        for count, note in self.notes.items():
            measured = self.samples[f"server {count} p99"]
            jitter = Line(
                name=f"hold: {count} streams, p99 jitter",
                unit="ms",
                base=self.samples[f"direct {count} p99"],
                base_name="direct",
                subject=measured,
                compare=Compare.DIFFERENCE,
                note=note,
            )
            if not measured:
                out.append(msgspec.structs.replace(jitter, base=[], subject=[float("nan")], compare=Compare.VALUE))
                continue
            cpu = Line(
                name=f"hold: {count} streams, CPU",
                unit="µs/token",
                base=self.samples[f"floor {count} cpu"],
                base_name="floor",
                subject=self.samples[f"server {count} cpu"],
            )
            out += [jitter, cpu]
        return out
