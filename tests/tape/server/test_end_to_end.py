"""Recorded through one server, replayed by another process with other data and no back end: the same, to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.behaviour.processes import Processes
from tests.tape.server.runs import RUNS, heard, script
from tests.upstreams import PATIENCE, FakeBackend


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts servers as processes of their own."""
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def _stats(root: str) -> Any:
    with httpx2.Client(base_url=root, timeout=PATIENCE, trust_env=False) as http:
        return http.get("/_tape/stats").json()


def test_what_was_recorded_replays_in_a_fresh_process(processes: Processes, tmp_path: Path) -> None:
    """Every Response and every event of every run is the same; nothing is missing, and nothing recorded is left."""
    tape = ("--tape", str(tmp_path / "tape"), "--tape-mode")
    with FakeBackend() as backend:
        script(backend)
        recording = processes("--upstream", backend.url, *tape, "record", data_dir="first").answering()
        first = heard(recording.root)
        recorded = _stats(recording.root)
        recording.signal()
        assert recording.ended() == 0
        asked = len(backend.calls)
    # The back end is gone now.
    replaying = processes("--upstream", backend.url, *tape, "replay", data_dir="second").answering()
    second = heard(replaying.root)
    replayed = _stats(replaying.root)
    for scope in RUNS:
        assert second[scope] == first[scope], scope
    assert (replayed["misses"], replayed["live"], replayed["recorded"]) == (0, 0, 0)
    assert replayed["hits"] == recorded["recorded"] == asked + 1  # the embeddings are no chat
    assert replayed["tokens_replayed"] == recorded["tokens_recorded"] > 0
    assert any(line.endswith(f"Tape: {tmp_path / 'tape'}, mode replay.") for line in replaying.lines)


def test_the_runs_are_what_they_should_be(processes: Processes, tmp_path: Path) -> None:
    """They end well, but for those that shall not."""
    with FakeBackend() as backend:
        script(backend)
        server = processes("--upstream", backend.url, "--tape", str(tmp_path / "tape"), "--tape-mode", "record")
        found = heard(server.answering().root)
    ends = {scope: [status for status, _ in replies] for scope, replies in found.items()}
    assert ends.pop("refused") == [429, 429]
    assert {status for statuses in ends.values() for status in statuses} == {200}
    assert "response.failed" in found["broken"][0][1]
    assert all("reasoning" in body and '"encrypted_content":"..."' in body for _, body in found["reasoning"])
    assert [f"answer {n}" in body for n, (_, body) in enumerate(found["repeated"])] == [True] * 3
