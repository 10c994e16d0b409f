"""The nearest recording among very many: all of them count, and few are read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.canon import parse
from antiphon.tape.engine import RecordingMiss, Tape
from antiphon.tape.model import HttpRequest, JsonBody, Request
from antiphon.tape.steps import Live
from tests.tape.shelf.library import exchange, opened, question, write

#: More than were ever looked at before.
_MANY = 2500


def _missed(tape: Tape, text: str, scope: str = "") -> RecordingMiss:
    with pytest.raises(RecordingMiss) as missed:
        tape.begin(question(text), scope=scope)
    return missed.value


def test_all_recordings_count_and_few_are_read(tmp_path: Path) -> None:
    """The nearest is found wherever it stands, though all others are nonsense by now."""
    text = "Which of the numbers is {}? Say no more than that, please."
    paths = write(tmp_path, (exchange(question(f"Unlike the others, number {n}.")) for n in range(_MANY)))
    wanted = write(tmp_path, [exchange(question(text.format("prime")), scope="zzz")])[0]
    tape = opened(tmp_path)
    for path in paths:
        path.write_bytes(b"{}")
    missed = _missed(tape, text.format("even"))
    tape.close()
    assert missed.miss.nearest == str(wanted.relative_to(tmp_path))
    assert missed.miss.reason == "prompt"


def test_an_index_of_another_form_is_made_again(tmp_path: Path) -> None:
    """What an earlier version left behind is replaced."""
    write(tmp_path, (exchange(question(f"Question {n}")) for n in range(30)))
    opened(tmp_path).close()
    index = tmp_path / ".tape" / "index"
    form, signature, entries = msgspec.msgpack.decode(index.read_bytes())
    entries = [[*entry[:8], "completions", "small", False] for entry in entries]
    index.write_bytes(msgspec.msgpack.encode([1, signature, entries]))
    tape = opened(tmp_path)
    assert _missed(tape, "Question 7, please").miss.nearest
    tape.close()
    assert msgspec.msgpack.decode(index.read_bytes())[0] == form > 1


def test_a_matcher_of_ones_own_decides_what_differs(tmp_path: Path) -> None:
    """What the matcher takes away is not shown as a difference."""

    def without_user(request: Request) -> Request:
        if not isinstance(request, HttpRequest) or not isinstance(request.body, JsonBody):
            return request
        fields = {name: value for name, value in request.body.value.items() if name != "user"}
        return msgspec.structs.replace(request, body=JsonBody(fields))

    write(tmp_path, [exchange(question("How far is it?", user="monday"), scope="a")])
    tape = opened(tmp_path, rewrite=without_user)
    missed = _missed_other(tape)
    tape.close()
    assert [one.pointer for one in missed.miss.differences] == ["$.messages[0].content"]
    assert parse(question("How far is it?")) != missed.miss.request


def _missed_other(tape: Tape) -> RecordingMiss:
    with pytest.raises(RecordingMiss) as missed:
        tape.begin(question("How long is it?", user="tuesday"), scope="a")
    return missed.value


@given(st.lists(st.sampled_from(["one", "two", "sk-proj-Q7wK2mZx9LpTr4VbNc8Yh3Jd", "é 😀", ""]), max_size=6))
def test_what_is_written_is_indexed_as_it_is_read(texts: list[str]) -> None:
    """The index of who wrote the files is the one that the files give."""
    with tempfile.TemporaryDirectory() as name:
        tape = opened(Path(name), "record")
        for scope in ("", "a/b"):
            for text in texts:
                step = tape.begin(question(text), scope=scope)
                assert isinstance(step, Live)
                assert step.recorder is not None
                step.recorder.begin(200, ())
                step.recorder.read(b"{}")
                step.recorder.end()
        read = opened(Path(name))
        assert tape.shelf.entries() == read.shelf.entries()
        assert tape.shelf.scopes("a") == read.shelf.scopes("a") == (["a/b"] if texts else [])
        for one in (tape, read):
            one.close()
