"""The load generator, in a process of its own: ``python -m bench.load`` takes one job a line on stdin (JSON).

A job is answered by ``{"ready": true}`` once every connection is open and has carried one request, then waits for a
line ``go``, runs and answers with its `Result`; so whoever drives it can read the server's CPU clock exactly around
the work.

Every answer is checked to the last token: a stream must bring exactly as many deltas as the model's script has
tokens, the whole text, and one terminal event (Responses) or one ``[DONE]`` (chat). Anything else is a failure and
spoils the run.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time
from array import array
from typing import Any, cast

import httptools
import msgspec
import uvloop

from bench import stats
from bench.script import parse

_DELTA = {
    "responses": re.compile(rb'"type": ?"response\.output_text\.delta"'),
    "chat": re.compile(rb'"content": ?"[^"]'),
}
_TERMINAL = {
    "responses": re.compile(rb'"type": ?"(response\.(?:completed|failed|incomplete)|error)"'),
    "chat": re.compile(rb"^data: ?(\[DONE\])", re.MULTILINE),
}
_GOOD_END = {"responses": b"response.completed", "chat": b"[DONE]"}
_KEPT_FAILURES = 5


class Job(msgspec.Struct, kw_only=True):
    """One run: ``requests`` over keep-alive ``connections``, each sending its next when the last has ended."""

    port: int
    dialect: str = "responses"
    path: str = "/v1/responses"
    model: str
    stream: bool = True
    store: bool | None = None
    connections: int
    requests: int
    stagger_s: float = 0.0  # the connections begin evenly spread over this time
    gaps: bool = False  # keep the arrival of every delta and report the steady state
    deadline_s: float = 120.0


class Result(msgspec.Struct, kw_only=True):
    """What a job saw. Times are milliseconds."""

    requests: int
    deltas: int
    failures: list[str]
    failed: int
    ttft: list[float] = []
    reads_per_delta: float = 0.0  # below 1 when several deltas arrived in one read
    wall_s: float = 0.0
    window_s: float = 0.0  # how long all streams of a `gaps` job ran together
    jitter_p50: float = 0.0
    jitter_p99: float = 0.0
    jitter_max: float = 0.0


def request_bytes(job: Job, model: str) -> bytes:
    """The request of a job, complete with its head."""
    body: dict[str, Any] = {"model": model}
    if job.dialect == "responses":
        body["input"] = "Say some words."
        if job.store is not None:
            body["store"] = job.store
    else:
        body["messages"] = [{"role": "user", "content": "Say some words."}]
        if job.stream:
            body["stream_options"] = {"include_usage": True}
    if job.stream:
        body["stream"] = True
    raw = msgspec.json.encode(body)
    accept = "text/event-stream" if job.stream else "application/json"
    head = (
        f"POST {job.path} HTTP/1.1\r\nhost: 127.0.0.1:{job.port}\r\nauthorization: Bearer bench\r\n"
        f"accept: {accept}\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


class Checker:
    """Counts what one answer brings, whatever pieces it arrives in. Pure."""

    def __init__(self, dialect: str, text: str, tokens: int, stream: bool) -> None:
        self.delta = _DELTA[dialect]
        self.terminal = _TERMINAL[dialect]
        self.good_end = _GOOD_END[dialect]
        # In a chat stream the text is only there in pieces; a Response holds it whole in the terminal event.
        self.text = b"" if dialect == "chat" and stream else text.encode()
        self.tokens = tokens
        self.stream = stream
        self.restart()

    def restart(self) -> None:
        """Forget the last answer."""
        self.tail = b""
        self.deltas = 0
        self.ends: list[bytes] = []
        self.text_seen = not self.text

    def feed(self, body: bytes) -> int:
        """Take a piece of the body; how many deltas it completed."""
        data = self.tail + body
        if not self.stream:
            self.tail = data
            return 0
        cut = data.rfind(b"\n\n") + 2
        if cut == 1:
            self.tail = data
            return 0
        whole, self.tail = data[:cut], data[cut:]
        found = len(self.delta.findall(whole))
        self.deltas += found
        ends = self.terminal.findall(whole)
        if ends:
            self.ends += ends
            self.text_seen = self.text_seen or self.text in whole
        return found

    def verdict(self, status: int) -> str | None:
        """What is wrong with the finished answer, or None."""
        if status != 200:
            return f"status {status}: {self.tail[:300].decode(errors='replace')}"
        if not self.stream:
            return None if self.text in self.tail else "the text is not in the answer"
        if self.deltas != self.tokens:
            return f"{self.deltas} deltas, not {self.tokens}"
        if self.ends != [self.good_end]:
            return f"ended with {self.ends}, not one {self.good_end.decode()}"
        return None if self.text_seen else "the text is not in the terminal event"


class Connection(asyncio.Protocol):
    """One keep-alive connection; the run gives it requests."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.transport: asyncio.Transport
        self.parser = httptools.HttpResponseParser(self)
        self.checker: Checker
        self.busy = False
        self.sent = 0.0
        self.begun = False
        self.arrivals: array[float] = array("d")
        self.last = 0.0

    def send(self, request: bytes, checker: Checker) -> None:
        """Send one request; ``checker`` judges the answer."""
        self.checker = checker
        checker.restart()
        self.busy, self.begun = True, False
        self.sent = time.perf_counter()
        self.transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class, which is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.lost(self, exc)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        found = self.checker.feed(body)
        if not found:
            return
        now = time.perf_counter()
        self.run.reads += 1
        if not self.begun:
            self.begun = True
            self.run.ttft.append((now - self.sent) * 1e3)
        if self.run.job.gaps:
            self.arrivals.extend([now] * found)

    def on_message_complete(self) -> None:
        self.busy = False
        self.run.answered(self, self.checker.verdict(self.parser.get_status_code()))


class Run:
    """The connections of one job and what they have counted."""

    def __init__(self, job: Job) -> None:
        script = parse(job.model)
        if script is None:
            raise ValueError(f"{job.model} is not a benchmark model")
        self.job = job
        self.script = script
        self.loop = asyncio.get_running_loop()
        self.connections: list[Connection] = []
        self._begin(1, "bench-1")

    def _begin(self, requests: int, model: str) -> None:
        script = parse(model)
        assert script is not None
        job = self.job
        self.request = request_bytes(job, model)
        self.checkers = [Checker(job.dialect, script.text, script.tokens, job.stream) for _ in range(job.connections)]
        self.ttft: list[float] = []
        self.reads = self.deltas = self.answers = self.failed = 0
        self.failures: list[str] = []
        self.unsent = self.total = requests
        self.done: asyncio.Future[None] = self.loop.create_future()

    async def open(self) -> None:
        """Open every connection and warm each up with one request."""
        for _ in range(self.job.connections):
            _, made = await self.loop.create_connection(lambda: Connection(self), "127.0.0.1", self.job.port)
            self.connections.append(made)
        self._begin(self.job.connections, "bench-1")
        await self._finish(0.0)
        if self.failed:
            raise RuntimeError(f"the warm-up failed: {self.failures}")
        for connection in self.connections:
            connection.arrivals = array("d")

    async def measure(self) -> Result:
        """Run the job itself."""
        self._begin(self.job.requests, self.job.model)
        start = time.perf_counter()
        await self._finish(self.job.stagger_s)
        result = Result(
            requests=self.answers,
            deltas=self.deltas,
            failures=self.failures,
            failed=self.failed,
            ttft=self.ttft,
            reads_per_delta=self.reads / self.deltas if self.deltas else 0.0,
            wall_s=time.perf_counter() - start,
        )
        if self.job.gaps:
            self._steady_state(result)
        return result

    def close(self) -> None:
        """Close every connection."""
        for connection in self.connections:
            connection.transport.close()

    async def _finish(self, stagger_s: float) -> None:
        for k, connection in enumerate(self.connections):
            self.loop.call_later(stagger_s * k / len(self.connections), self._next, connection, k)
        try:
            async with asyncio.timeout(self.job.deadline_s):
                await self.done
        except TimeoutError:
            self._fail(f"{self.total - self.answers} of {self.total} unfinished after {self.job.deadline_s} s")

    def _next(self, connection: Connection, k: int) -> None:
        if self.unsent:
            self.unsent -= 1
            connection.send(self.request, self.checkers[k])

    def answered(self, connection: Connection, wrong: str | None) -> None:
        """One answer is complete; its connection sends the next request."""
        if wrong is not None:
            self._fail(wrong)
        self.answers += 1
        self.deltas += connection.checker.deltas
        if self.answers == self.total:
            if not self.done.done():
                self.done.set_result(None)
        elif self.unsent:
            self.unsent -= 1
            # From a fresh turn of the loop: the parser is still inside the callback that ended the last answer.
            self.loop.call_soon(connection.send, self.request, connection.checker)

    def lost(self, connection: Connection, exc: Exception | None) -> None:
        """A connection closed; that is a failure while an answer is due (there is no reconnecting)."""
        if self.answers < self.total and not self.done.done():
            self._fail(f"connection closed {'in an answer' if connection.busy else 'between answers'}: {exc}")
            self.done.set_result(None)

    def _fail(self, what: str) -> None:
        self.failed += 1
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(what)

    def _steady_state(self, result: Result) -> None:
        """Jitter: how far each gap between deltas is from the script's, while every stream was running."""
        arrivals = [c.arrivals for c in self.connections if len(c.arrivals) > 1]
        if len(arrivals) < len(self.connections):
            return
        # The second token's pace is the upstream's choice (it spreads the streams), so streams count from there on.
        first, last = max(a[1] for a in arrivals), min(a[-1] for a in arrivals)
        result.window_s = max(last - first, 0.0)
        period = 1.0 / self.script.rate
        off: list[float] = []
        for times in arrivals:
            inside = [t for t in times if first <= t <= last]
            off += (abs(b - a - period) * 1e3 for a, b in itertools.pairwise(inside))
        if off:
            off.sort()
            result.jitter_p50 = stats.percentile(off, 50)
            result.jitter_p99 = stats.percentile(off, 99)
            result.jitter_max = off[-1]


def _say(message: Any) -> None:
    print(msgspec.json.encode(message).decode(), flush=True)


async def _run(job: Job) -> None:
    run = Run(job)
    try:
        await run.open()
        _say({"ready": True})
        sys.stdin.readline()  # blocks the loop on purpose: nothing is under way until the driver says go
        _say(await run.measure())
    finally:
        run.close()
        await asyncio.sleep(0)  # transports close in the next turn of the loop


def _main() -> None:
    for line in sys.stdin:
        try:
            uvloop.run(_run(msgspec.json.decode(line, type=Job)))
        except (OSError, RuntimeError, ValueError) as error:
            _say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    _main()
