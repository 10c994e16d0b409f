"""The scenarios: what a call costs beside that of a bare client, and how long ten slow ones take together."""

from __future__ import annotations

import http.client
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from bench import cpu
from bench.fleet import BenchError, Helper, Server
from bench.report import Compare, Line

#: Calls of one answer.
AT_ONCE = 10
#: Ten calls of 200 ms, from the request to the whole response.
TOGETHER_MS = 300.0


@dataclass(frozen=True, slots=True)
class Field:
    """What the scenarios run on. ``responses`` of each kind a round."""

    server: Server
    bare: Helper
    things: str
    responses: int

    def respond(self, calls: int, tool: str = "add") -> float:
        """One response with so many calls; its seconds. BenchError unless each result is there, in call order."""
        entry = {"type": "mcp", "server_label": "things", "server_url": self.things, "require_approval": "never"}
        model = f"calls-{calls}-{tool}" if calls else "bench-1"
        body = json.dumps({"model": model, "input": "Go.", "tools": [entry]})
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            began = time.perf_counter()
            connection.request("POST", "/v1/responses", body, {"content-type": "application/json"})
            reply = connection.getresponse()
            content = reply.read()
            took = time.perf_counter() - began
        finally:
            connection.close()
        given: dict[str, Any] = json.loads(content) if reply.status == 200 else {"output": []}
        outputs = [item["output"] for item in given["output"] if item["type"] == "mcp_call"]
        if outputs != [str(n) for n in range(calls)]:
            raise BenchError(f"{calls} calls gave {outputs}: {reply.status} {content[:300]!r}")
        return took

    def cost(self, calls: int) -> float:
        """CPU microseconds of the server for a response with so many calls at once."""
        before = cpu.settled_ns(self.server.pid)
        for _ in range(self.responses):
            self.respond(calls)
        return (cpu.settled_ns(self.server.pid) - before) / 1e3 / self.responses

    def bare_cost(self) -> float:
        """CPU microseconds of the bare client for a call, as many at once."""
        before = cpu.settled_ns(self.bare.pid)
        assert self.bare.popen.stdin is not None
        self.bare.popen.stdin.write(b"%d %d\n" % (self.responses, AT_ONCE))
        self.bare.popen.stdin.flush()
        if self.bare.readline() != "done\n":
            raise BenchError(f"the bare client ended: {self.bare.said()}")
        return (cpu.settled_ns(self.bare.pid) - before) / 1e3 / (self.responses * AT_ONCE)


class Calls:
    """CPU of a call through the loop, beside that of a bare client over the same transport."""

    name = "calls"

    def __init__(self, field: Field) -> None:
        self._field = field
        self._samples: dict[str, list[float]] = defaultdict(list)

    def round(self, k: int) -> None:
        """Each kind once, beginning with another one each time."""
        jobs = {
            "bare": self._field.bare_cost,
            "none": lambda: self._field.cost(0),
            "one": lambda: self._field.cost(1),
            "ten": lambda: self._field.cost(AT_ONCE),
        }
        names = list(jobs)
        for name in names[k % len(names) :] + names[: k % len(names)]:
            self._samples[name].append(jobs[name]())

    def lines(self) -> list[Line]:
        """A call more in an answer, and the first one, which takes a second question to the model."""
        s = self._samples
        more = [(ten - one) / (AT_ONCE - 1) for ten, one in zip(s["ten"], s["one"], strict=True)]
        return [
            Line(
                name="mcp: one call more in an answer, CPU",
                unit="µs/call",
                base=s["bare"],
                base_name="bare mcp",
                subject=more,
            ),
            Line(
                name="mcp: the first call and its round, CPU",
                unit="µs/response",
                base=s["none"],
                base_name="no call",
                subject=s["one"],
                compare=Compare.DIFFERENCE,
            ),
        ]


class Together:
    """How long a response takes with ten calls of 200 ms in one answer."""

    name = "together"
    _times = 3

    def __init__(self, field: Field) -> None:
        self._field = field
        self._longest: list[float] = []

    def round(self, k: int) -> None:
        """The longest of a few."""
        self._longest.append(max(self._field.respond(AT_ONCE, "wait") for _ in range(self._times)) * 1e3)

    def lines(self) -> list[Line]:
        """Its one line."""
        return [
            Line(
                name=f"mcp: {AT_ONCE} calls of 200 ms at once, whole response",
                unit="ms",
                subject=self._longest,
                compare=Compare.VALUE,
                limit=TOGETHER_MS,
            )
        ]


SCENARIOS = {scenario.name: scenario for scenario in (Calls, Together)}
