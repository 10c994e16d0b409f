"""Faults and the runs of a scope."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.tape.engine import Play, Settings, Tape
from antiphon.tape.faults import Faults, parse
from antiphon.tape.model import HttpCall
from antiphon.tape.refusal import BadFault
from antiphon.tape.scope import asking

_URL = "http://127.0.0.1:9/v1/chat/completions"


def test_a_new_run_of_a_scope_meets_its_faults_again(tmp_path: Path) -> None:
    """``Tape.start`` counts the scope's faults anew, and those of no other scope."""
    tape = Tape(Settings(str(tmp_path), "live"), environ={}, faults=Faults(parse({"status": 503, "times": 1})))

    def refused(scope: str) -> bool:
        return isinstance(tape.begin(HttpCall("POST", _URL), scope=scope), Play)

    assert [refused("a"), refused("a"), refused("b")] == [True, False, True]
    tape.start("a")
    assert [refused("a"), refused("a"), refused("b")] == [True, False, False]
    tape.close()


def test_a_wrong_header_is_a_refusal_with_status_400(tmp_path: Path) -> None:
    """Whichever way it comes: on the call, or in the context."""
    tape = Tape(Settings(str(tmp_path), "live"), environ={}, faults=Faults())
    with pytest.raises(BadFault, match="X-Antiphon-Fault") as refused:
        tape.begin(HttpCall("POST", _URL, (("X-Antiphon-Fault", "explode"),)))
    assert refused.value.status == 400
    with pytest.raises(BadFault, match="explode"), asking("explode"):
        raise AssertionError("it was let in")
    tape.close()
