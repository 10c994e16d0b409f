"""The benchmark of tools as a command: its processes over real sockets, and answers that are checked."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from bench.report import Report
from bench.tools.__main__ import main
from bench.tools.upstream import chunks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark needs Linux clocks")


def test_the_mock_model_calls_and_then_answers() -> None:
    """As many calls at once as its name says, and a word once it has their results."""
    asked = {"model": "calls-2-add", "messages": [{"role": "user", "content": "x"}]}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(asked) if chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [
        ("call_0", '{"n": 0}'),
        ("call_1", '{"n": 1}'),
    ]
    asked["messages"].append({"role": "tool", "content": "0"})  # type: ignore[attr-defined]
    assert next(iter(chunks(asked)))["choices"][0]["delta"] == {"content": " word0"}


def test_calls_that_wait_together(tmp_path: Path) -> None:
    """A whole run of one scenario: ten calls of 200 ms, which one after another would take two seconds."""
    path = tmp_path / "run.json"
    assert main(["--scenarios", "together", "--rounds", "1", "--json", str(path)]) in (0, 1)
    (line,) = msgspec.json.decode(path.read_bytes(), type=Report).lines
    assert 200 < line.figure() < 1000
