"""What waits to be kept: exchanges and variables of a test that has not passed yet, and what a killed process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.tape.engine import Tape
from antiphon.tape.steps import Live
from tests.tape.shelf.library import opened, question

_SCOPE = "test_it.py::test_it"


def _record(tape: Tape, text: str) -> None:
    step = tape.begin(question(text), scope=_SCOPE)
    assert isinstance(step, Live)
    assert step.recorder is not None
    step.recorder.begin(200, (("content-type", "application/json"),))
    step.recorder.read(b'{"a": 1}')
    step.recorder.end()


def _shown(directory: Path) -> list[Path]:
    """The files that git sees."""
    return [path for path in directory.rglob("*.json") if ".tape" not in path.parts]


@pytest.mark.parametrize("kept", [True, False])
def test_what_waits_is_kept_or_forgotten(tmp_path: Path, kept: bool) -> None:
    """An exchange and a variable wait together: nothing shows before the end, and then both or neither."""
    tape = opened(tmp_path, "record")
    tape.stage(_SCOPE)
    _record(tape, "one")
    assert [tape.var("id", lambda n=n: n, scope=_SCOPE) for n in (1, 2)] == [1, 1]
    assert _shown(tmp_path) == []
    if kept:
        assert tape.keep(_SCOPE) == 1
    else:
        tape.discard(_SCOPE)
    tape.close()
    assert len(_shown(tmp_path)) == (2 if kept else 0)
    assert list((tmp_path / ".tape" / "staging").iterdir()) == []
    again = opened(tmp_path)
    if kept:
        assert again.var("id", lambda: 3, scope=_SCOPE) == 1
    else:
        with pytest.raises(LookupError):
            again.var("id", lambda: 3, scope=_SCOPE)
    again.close()


def test_a_variable_made_anew_takes_the_place_of_the_old(tmp_path: Path) -> None:
    """Recording again makes a new value, which the old one survives where the test fails."""
    for number, keep in ((1, True), (2, False), (3, True)):
        tape = opened(tmp_path, "record")
        tape.stage(_SCOPE)
        assert tape.var("id", lambda n=number: n, scope=_SCOPE) == number
        if keep:
            tape.keep(_SCOPE)
        else:
            tape.discard(_SCOPE)
        tape.close()
        replayed = opened(tmp_path)
        assert replayed.var("id", lambda: 0, scope=_SCOPE) == (number if keep else 1)
        replayed.close()


_KILLED = """
import sys
from pathlib import Path
from tests.tape.shelf.library import opened
from tests.tape.shelf.test_staging import _record, _SCOPE
tape = opened(Path(sys.argv[1]), "record")
tape.stage(_SCOPE)
_record(tape, "one")
print("staged", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    """While a process lives what it staged stays; once it was killed the next start takes it away."""
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"staged\n"
        rooms = tmp_path / ".tape" / "staging"
        opened(tmp_path).close()
        assert len(list(rooms.rglob("*.json"))) == 1
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert len(list(rooms.rglob("*.json"))) == 1
    opened(tmp_path).close()
    assert list(rooms.iterdir()) == []
    assert _shown(tmp_path) == []
