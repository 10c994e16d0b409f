"""One contestant in a process of its own. It makes calls as it is told, a line of JSON a job, and tells what they cost.

    python -m bench.tape.worker KIND [PLACE]       KIND: see ``KINDS``; PLACE: its recordings

It says ``{"ready": ...}`` once it may be asked. Every kind makes its calls with the same httpx2 client and the same
questions. An answer that is not the right one ends the job with an error.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2
import msgspec

from antiphon.tape import clients
from antiphon.tape.engine import Settings, Tape
from bench import stats
from bench.tape.questions import SAID_LIVE, SCOPE, answer, question, said

#: vcrpy with bodies compared: without, every question gets the answer of the first.
_MATCH_ON = ("method", "scheme", "host", "port", "path", "query", "body")


class Job(msgspec.Struct, kw_only=True):
    """Questions to ask, one after the other, until ``seconds`` are over (three at the least).

    ``live``: the answers are those of the back end. ``stream``: the model that streams them.
    """

    url: str
    numbers: list[int]
    seconds: float = 1e9
    live: bool = False
    long: bool = False
    stream: str = ""


class Cost(msgspec.Struct, kw_only=True):
    """What a job came to: microseconds a call (the median), and milliseconds to the first token of each stream."""

    calls: int = 0
    cpu_us: float = 0.0
    wall_us: float = 0.0
    first_ms: list[float] = []
    error: str = ""


class Contestant:
    """Plain calls. The others put something under them: for the whole job, or for each call."""

    def __init__(self, place: str) -> None:
        self.place = place

    def job(self, job: Job) -> AbstractContextManager[object]:
        """What surrounds a job."""
        return contextlib.nullcontext()

    def call(self, number: int) -> AbstractContextManager[object]:
        """What surrounds a call; its cost counts."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """The end."""


class Floor(Contestant):
    """The least that a replay in the process can cost: the answer lies ready where ours puts its own."""

    def job(self, job: Job) -> AbstractContextManager[object]:
        ready = iter([answer(number) for number in job.numbers])

        def handle_request(self: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
            assert isinstance(request.stream, httpx2.SyncByteStream)
            b"".join(request.stream)
            return httpx2.Response(
                200, headers=[("content-type", "application/json")], stream=httpx2.ByteStream(next(ready))
            )

        return _patched(httpx2.HTTPTransport, "handle_request", handle_request)


class Ours(Contestant):
    """The tape under the clients of this process, as the pytest plugin puts it there."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._tape = Tape(Settings(place, mode="replay"), environ=os.environ)
        put = clients.Place(self._tape, SCOPE)
        self._installed = clients.install(lambda url: put)

    def job(self, job: Job) -> AbstractContextManager[object]:
        self._tape.start(SCOPE)
        return contextlib.nullcontext()

    def close(self) -> None:
        self._installed.undo()
        self._tape.close()


class OursRecording(Ours):
    """The same, recording."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._tape.set_mode("record")


class Vcr(Contestant):
    """vcrpy with one cassette, loaded once."""

    mode = "none"

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._vcr = importlib.import_module("vcr").VCR(record_mode=self.mode, match_on=_MATCH_ON)
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(self.cassette(place))

    def cassette(self, path: str) -> AbstractContextManager[object]:
        """A cassette in use."""
        return self._vcr.use_cassette(path, allow_playback_repeats=True)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._stack.close()


class VcrEach(Vcr):
    """vcrpy with a cassette for each call, loaded each time: what a suite of one-call tests does."""

    def cassette(self, path: str) -> AbstractContextManager[object]:
        return contextlib.nullcontext()

    def call(self, number: int) -> AbstractContextManager[object]:
        return super().cassette(str(Path(self.place) / f"{number}.yaml"))


class VcrRecording(VcrEach):
    """The same, recording."""

    mode = "all"


KINDS: dict[str, type[Contestant]] = {
    "plain": Contestant,
    "floor": Floor,
    "ours": Ours,
    "ours-recording": OursRecording,
    "vcr": Vcr,
    "vcr-each": VcrEach,
    "vcr-recording": VcrRecording,
}


@contextlib.contextmanager
def _patched(owner: type, name: str, new: Callable[..., object]) -> Iterator[None]:
    old = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, old)


def ask(contestant: Contestant, client: httpx2.Client, job: Job) -> Cost:
    """Do a job."""
    cost = Cost()
    began = time.monotonic()
    cpu: list[int] = []
    wall: list[int] = []
    with contestant.job(job):
        for number in job.numbers:
            cpu.append(-time.process_time_ns())
            wall.append(-time.perf_counter_ns())
            with contestant.call(number):
                if job.stream:
                    cost.first_ms.append(_stream(client, job, number))
                else:
                    _one(client, job, number)
            cpu[-1] += time.process_time_ns()
            wall[-1] += time.perf_counter_ns()
            cost.calls += 1
            if cost.calls >= 3 and time.monotonic() - began > job.seconds:
                break
    # The median of the calls: what others do on the machine meanwhile falls on some calls more than on most.
    cost.cpu_us = stats.median(cpu) / 1e3
    cost.wall_us = stats.median(wall) / 1e3
    return cost


def _one(client: httpx2.Client, job: Job, number: int) -> None:
    text = client.post(job.url, json=question(number, long=job.long)).text
    if (SAID_LIVE if job.live else said(number)) not in text:
        raise ValueError(f"the answer to question {number} is {text[:300]}")


def _stream(client: httpx2.Client, job: Job, number: int) -> float:
    began, first, heard = time.perf_counter(), 0.0, b""
    with client.stream("POST", job.url, json=question(number, stream=job.stream)) as response:
        for data in response.iter_bytes():
            heard += data
            if not first and SAID_LIVE.encode() in heard:
                first = (time.perf_counter() - began) * 1e3
    if not first or b"data: [DONE]" not in heard:
        raise ValueError(f"the stream of question {number} is {heard[:300]!r}")
    return first


def _say(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def main(argv: Sequence[str]) -> None:
    """Serve jobs until standard input ends."""
    kind, place = argv[0], argv[1] if len(argv) > 1 else ""
    cpu = time.process_time_ns()
    contestant = KINDS[kind](place)
    _say({"ready": (time.process_time_ns() - cpu) / 1e6})
    try:
        with httpx2.Client(timeout=60, trust_env=False) as client:
            for line in sys.stdin.buffer:
                try:
                    cost = ask(contestant, client, msgspec.json.decode(line, type=Job))
                except Exception as wrong:  # noqa: BLE001 - told to the run, which ends
                    cost = Cost(error=f"{type(wrong).__name__}: {wrong}")
                _say(cost)
    finally:
        contestant.close()


if __name__ == "__main__":
    main(sys.argv[1:])
