"""What stands where a secret stood is one and the same to a comparison, whoever replaced it."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.tape.canon import canonical, key, parse
from antiphon.tape.engine import Play, Settings, Tape
from antiphon.tape.model import Exchange, HttpResponse, ToolRequest
from tests.tape.canon.calls import CHAT, JSON, post
from tests.tape.shelf.library import question, write

_MARKS = ("<secret:1>", "<secret:7>", "{{env:OPENAI_API_KEY}}", "{{env:OTHER}}")


@pytest.mark.parametrize("mark", _MARKS[1:])
def test_all_marks_are_one(mark: str) -> None:
    """Alone, within a text, in a query, in a path and in the arguments of a tool."""

    def keys(mark: str) -> list[str]:
        body = {"model": "m", "messages": [{"role": "user", "content": f"Use {mark}, {mark}."}]}
        return [
            key(post(CHAT, body)),
            key(post(f"{CHAT}?tenant={mark}", {})),
            key(post(f"https://api.example/v1/files/{mark}", {"token": mark, mark: 1})),
            key(ToolRequest("web", "get", {"key": mark})),
        ]

    assert keys(mark) == keys(_MARKS[0])


def test_a_mark_is_not_another_text() -> None:
    """What is no mark stays what it is."""
    keys = {key(ToolRequest("web", "get", {"key": text})) for text in ("<secret:1>", "<secret:x>", "{{env}}", "s")}
    assert len(keys) == 4
    assert canonical(ToolRequest("web", "get", {"key": "{{env:A}}"})) == canonical(
        ToolRequest("web", "get", {"key": "<secret:2>"})
    )


def test_a_recording_is_found_where_another_variable_held_the_secret(tmp_path: Path) -> None:
    """Recorded with the key in the environment, replayed without it, and the other way round."""
    call = question("Sign it with {{env:SIGNING_KEY}}.")
    write(tmp_path, [Exchange(parse(call), HttpResponse(200, JSON, (b"{}",)))])
    secret = "sk-Zq8vN3mXk2LpT7wB"
    for environ in ({}, {"SIGNING_KEY": secret}, {"OPENAI_API_KEY": secret}):
        tape = Tape(Settings(str(tmp_path)), environ=environ)
        assert isinstance(tape.begin(question(f"Sign it with {secret}.")), Play)
        tape.close()
