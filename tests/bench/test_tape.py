"""The benchmark of the tape: its recordings are found and played, and what is wrong is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from antiphon.tape.engine import Settings, Tape
from bench.fleet import BenchError
from bench.tape import bounds, library
from bench.tape.__main__ import arguments, main
from bench.tape.field import Scenario, Worker, pick
from bench.tape.questions import RECORDED_URL
from bench.tape.worker import Job

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark needs Linux clocks")


def test_each_made_recording_is_played_to_its_question(tmp_path: Path) -> None:
    """All calls of a job are answered by their own recordings, and what was not recorded ends it."""
    library.shelf(tmp_path, 12)
    worker = Worker(tmp_path, "ours", tmp_path)
    try:
        cost = worker.ask(Job(url=RECORDED_URL, numbers=list(range(12))))
        assert cost.calls == 12
        assert cost.cpu_us > 0
        with pytest.raises(BenchError, match="question 12"):
            worker.ask(Job(url=RECORDED_URL, numbers=[12]))
    finally:
        worker.stop()


def test_recordings_of_tests_have_scopes_of_their_own(tmp_path: Path) -> None:
    """As the pytest plugin would have recorded them."""
    library.shelf(tmp_path, 3, "test_x.py::test_q[{}]".format)
    entries = Tape(Settings(str(tmp_path)), environ={}).shelf.entries()
    assert sorted(entry.scope for entry in entries) == [f"test_x.py::test_q[{n}]" for n in range(3)]


def test_a_round_asks_all_contestants_the_same_and_the_next_round_others() -> None:
    """Numbers stay below the count."""
    assert pick(1, 50, 10_000) == pick(1, 50, 10_000) != pick(2, 50, 10_000)
    assert set(pick(1, 50, 10)) <= set(range(10))


def test_what_took_too_long_is_told_and_not_judged(tmp_path: Path) -> None:
    """Its line says what it did not finish; another one keeps its bound."""
    scenario = Scenario(None)  # type: ignore[arg-type]
    scenario.lost["vcrpy: 9"] = "over 40 s to load"
    scenario.samples["antiphon: 9"] = [bounds.REPLAY_US + 100]
    scenario.samples["floor"] = [99.0]
    lost = scenario.line("a", "u", "vcrpy: 9", "floor", limit=1.0)
    assert (lost.note, lost.holds()) == ("over 40 s to load", True)
    assert not scenario.line("a", "u", "antiphon: 9", "floor", limit=bounds.REPLAY_US).holds()


def test_without_the_rivals_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 where they are not installed; an unknown scenario is refused."""
    monkeypatch.setitem(sys.modules, "vcr", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main([]) == 2
    assert "make bench-tape" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        arguments(["--scenarios", "nonsense"])
