"""Acceptance test 10: many processes on one directory lose nothing, tear nothing, and ask once."""

from __future__ import annotations

import json
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from antiphon.tape import document
from tests.cli.tape.support import run_json
from tests.tape.acceptance import forks
from tests.tape.acceptance.on_tape import NOWHERE, text_of, under_clients
from tests.tape.proxy.raw import RawUpstream
from tests.tape.proxy.support import recordings
from tests.upstreams import FakeBackend, Gate, text

_PROCESSES = 8


def test_10_six_processes_write_thirty_whole_files(tapes: Path, backend: FakeBackend) -> None:
    """Six at once, five calls each, in one scope: thirty files of JSON, and each of the thirty answers is found."""
    words = [[f"process {n} call {call}" for call in range(5)] for n in range(6)]
    running = [
        forks.start(forks.ask, str(tapes), "record-if-missing", backend.url, n, asked) for n, asked in enumerate(words)
    ]
    assert [forks.ended(process) for process in running] == [0] * 6
    files = recordings(tapes)
    assert len([json.loads(path.read_bytes()) for path in files]) == 30 == len(backend.calls)
    assert not list(tapes.rglob("*.tmp"))
    with under_clients(tapes, "replay", NOWHERE) as opened:
        client = opened.sdk()
        for each in (word for asked in words for word in asked):
            messages: Any = [{"role": "user", "content": each}]
            assert text_of(client.chat.completions.create(model="m", messages=messages, stream=True)) == "ok"
        assert (opened.stats()["hits"], opened.misses()) == (30, [])


def test_10_six_processes_that_ask_the_same_keep_all_their_answers(tapes: Path, backend: FakeBackend) -> None:
    """The names of the files are the same then: none takes the place of another's. (Of one that was there when it was
    opened, it would: that is to be recorded anew.)"""
    for n in range(30):
        backend.answer(*text(f"answer {n}"))
    args, together = (str(tapes), "record", backend.url), forks.all_of(6)
    running = [forks.start(forks.ask, *args, n, ["same"] * 5, None, together) for n in range(6)]
    assert [forks.ended(process) for process in running] == [0] * 6
    assert {row["say"] for row in run_json(tapes, "ls")} == {f"answer {n}" for n in range(30)}


def _killed_while_writing(tapes: Path, length: int, limit: int) -> None:
    answer = b"data: " + json.dumps({"choices": [], "padding": "x" * length}).encode() + b"\n\n"
    with RawUpstream(lambda request: ("text/event-stream", [answer, b"data: [DONE]\n\n"], "end")) as upstream:
        process = forks.start(forks.die_writing, str(tapes), upstream.url, limit)
        assert forks.ended(process) == -signal.SIGXFSZ


@pytest.mark.parametrize("limit", [1, 900, 50_000, 99_999])
def test_10_who_is_killed_in_the_middle_of_a_write_leaves_no_torn_file(
    limit: int, tapes: Path, backend: FakeBackend
) -> None:
    """The system kills it at that very byte. Nothing that could be taken for a recording is there, and what was there
    before is whole; the next process records as if nothing had been.
    """
    _killed_while_writing(tapes, 100_000, limit)
    assert recordings(tapes) == []
    assert run_json(tapes, "ls") == []
    backend.answer(*text("whole"))
    assert forks.ended(forks.start(forks.ask, str(tapes), "record-if-missing", backend.url, 0, ["long"])) == 0
    (file,) = recordings(tapes)
    before = file.read_bytes()
    _killed_while_writing(tapes, 100_000, limit)
    assert recordings(tapes) == [file]
    assert file.read_bytes() == before
    assert document.load(before, lambda suffix: b"")
    assert forks.ended(forks.start(forks.ask, str(tapes), "replay", NOWHERE, 0, ["long"])) == 0


def _all_ask(tapes: Path, url: str) -> tuple[list[BaseProcess], list[Any]]:
    pipes = [forks.pipe() for _ in range(_PROCESSES)]
    running = []
    for n, (_, mouth) in enumerate(pipes):
        running.append(forks.start(forks.ask, str(tapes), "record-if-missing", url, n, ["missing"], mouth))
        mouth.close()
    return running, [ear for ear, _ in pipes]


def test_10_of_eight_processes_one_makes_the_call(tapes: Path, backend: FakeBackend) -> None:
    """Clients with the tape under them, as in eight workers of pytest: one asks, all hear the same."""
    gate = Gate()
    backend.answer(*text("once"), before=gate)
    running, ears = _all_ask(tapes, backend.url)
    gate.reached()
    gate.open()
    assert [forks.ended(process) for process in running] == [0] * _PROCESSES
    assert [ear.recv() for ear in ears] == [["once"]] * _PROCESSES
    assert len(backend.calls) == 1 == len(recordings(tapes))


def test_10_when_the_leader_is_killed_exactly_one_more_does(tapes: Path, backend: FakeBackend) -> None:
    """kill -9 while the answer is half there: seven hear the whole one, which was asked for once more."""
    gate = Gate()
    backend.answer(text("torn")[0], gate)
    backend.answer(*text("whole"))
    running, ears = _all_ask(tapes, backend.url)
    gate.reached()
    leader = int(backend.call().headers["x-worker"])
    running[leader].kill()
    codes = [forks.ended(process) for process in running]
    gate.open()
    assert codes.pop(leader) == -signal.SIGKILL
    assert codes == [0] * (_PROCESSES - 1)
    assert [ear.recv() for n, ear in enumerate(ears) if n != leader] == [["whole"]] * (_PROCESSES - 1)
    assert len(backend.calls) == 2
    assert [row["say"] for row in run_json(tapes, "ls")] == ["whole"]
