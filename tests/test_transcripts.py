"""Golden transcripts: what a back end streamed, and every event that came of it.

One folder a case: ``chunks.jsonl`` is the stream as the back end's JSON, ``options.json`` how it is read and how it
ends (the fields of ``TurnOptions``, ``dialect``, ``cut``), ``events.jsonl`` what clients get. Of a Response only what
differs from the request's echo is written down. ``pytest --update-transcripts`` rewrites the events.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.responses.fold import fold
from antiphon.responses.journal import Journal
from antiphon.upstream import quirks
from antiphon.wire import segments
from tests.responses.grammar import check
from tests.responses.judge import validate
from tests.responses.play import RESPONSE, options, play, wire

FOLDER = Path(__file__).parent / "transcripts"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())

#: Every quirk of a back end that shows in its chunks must have a case of its name.
QUIRKS = {
    "args-object", "bad-args", "empty-first", "empty-tools", "finish-stop", "index0", "no-finish", "no-usage",
    "null-content", "null-id", "role-each", "unknown-tool", "usage-each", "whole-call",
}  # fmt: skip

_ALWAYS = {"id", "status", "output"}
_ECHO: dict[str, Any] = json.loads(msgspec.json.encode(RESPONSE))


def perform(case: str) -> Journal:
    """The case's stream, read as its options say."""
    settings = json.loads((FOLDER / case / "options.json").read_text())
    how = {key: settings.pop(key) for key in ("dialect", "cut") if key in settings}
    if settings.pop("seal", False):
        settings["seal"] = lambda text: "sealed:" + text[::-1]
    lines = (FOLDER / case / "chunks.jsonl").read_text().splitlines()
    return play([quirks.typed(json.loads(line)) for line in lines], options(**settings), **how)


def written(journal: Journal) -> str:
    """The events as they are kept, one a line."""
    lines = []
    for event in wire(journal):
        if "response" in event:
            said = event["response"].items()
            event["response"] = {key: value for key, value in said if key in _ALWAYS or value != _ECHO[key]}
        lines.append(json.dumps(event, ensure_ascii=False))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_transcript(case: str, pytestconfig: pytest.Config) -> None:
    """The events are those written down; they keep the grammar, fit the SDK, fold, and survive storage."""
    journal = perform(case)
    golden = FOLDER / case / "events.jsonl"
    if pytestconfig.getoption("--update-transcripts"):
        golden.write_text(written(journal), encoding="utf-8")
    assert written(journal) == golden.read_text(encoding="utf-8")
    check(wire(journal), dialect=journal.dialect)
    assert fold(journal.events).status == wire(journal)[-1]["response"]["status"]
    assert segments.decode(segments.encode(journal.frames)) == journal.frames
    if journal.dialect == "openai":
        for frame in journal.frames:
            validate(frame)


def test_every_quirk_has_its_transcript() -> None:
    """No quirk of the table goes without a case."""
    assert set(CASES) >= QUIRKS
