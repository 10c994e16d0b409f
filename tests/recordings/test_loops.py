"""Real recorded agent runs, where they stand beside the checkout: their tools run here, under each setting of
``tools.prompts``, and the model is asked what it was asked when they were recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.config import TapeConfig
from antiphon.tools.prompts import Style
from tests.recordings.loops import asked
from tests.recordings.settings import STYLES, Stage, loops, staged
from tests.shared import shared

LOOPS = {loop.name: loop for loop in loops()}

#: Two calls at once of which one was allowed; an identifier that leads to a result; two web searches at once.
SEEDS = {"004": ["mcp_call"], "001": ["mcp_call", "mcp_call"], "003": ["web_search_call", "web_search_call"]}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Servers in front of all of them."""
    shared("recordings")
    with staged(list(LOOPS.values())) as stage:
        yield stage


@pytest.mark.parametrize("style", STYLES)
def test_how_many_happen_again(stage: Stage, style: Style) -> None:
    """All do under the settings that they were recorded with. Under ours, those with a web search do not: its model is
    told more of it."""
    missed = {name: why for name, loop in LOOPS.items() if (why := stage.missed(loop, style))}
    ours = {name for name, loop in LOOPS.items() if loop.kind == "web_search"} if style == "antiphon" else set()
    assert missed.keys() == ours, missed


@pytest.mark.parametrize("name", SEEDS)
def test_a_run(stage: Stage, name: str) -> None:
    """Its calls are made, together where the model makes them together, and stand in its order."""
    loop = LOOPS[name]
    response = stage.run(loop, "llama-stack")
    assert [item.type for item in response.output if item.type.endswith("_call")] == SEEDS[name]
    wanted = [f"{name} " for turn in loop.turns for _, name, _ in turn.calls]
    assert [call.partition(" ")[0] + " " for call in stage.tools.called] == wanted[: len(SEEDS[name])]


@pytest.mark.parametrize("name", SEEDS)
def test_a_run_without_its_servers(name: str, tmp_path: Path) -> None:
    """Recorded by the Tape, it happens again to the last byte of its events, without model and tools."""
    shared("recordings")
    loop = LOOPS[name]
    tape = TapeConfig(dir=str(tmp_path / "tape"), mode="record")
    with staged([loop], tape) as stage:
        body = asked(stage.tools, loop)
        recorded = stage.stream(loop, "llama-stack")
    assert recorded[-1]["type"] == ("response.completed" if loop.ends else "response.failed")
    with staged([], TapeConfig(dir=tape.dir, mode="replay")) as empty:
        assert empty.stream(loop, "llama-stack", body) == recorded
        assert (empty.backend.served, empty.tools.called) == ([], [])
