"""Secrets in files: the last look before one is written, and the search through those that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.tape.secrets import Redactor, restore, scan
from tests.tape.secrets.planted import ENVIRON, HUNTER, OPENAI, SK, TOKENS

REDACTOR = Redactor(ENVIRON)


@pytest.mark.parametrize("secret", TOKENS.values(), ids=[*TOKENS])
def test_a_secret_that_survives_is_found(secret: str) -> None:
    """A secret in a file is found in one string, over the strings of a list, and over a column of lists; and it is
    shown by its first letters only."""
    at = len(secret) // 2
    forms = (
        {"say": f"it is {secret}."},
        {"ev": ["it is ", secret[:3], secret[3:at], secret[at:], "."]},
        {"ev": ["x", [1, "c1", "it is " + secret[:at]], [1, "c1", secret[at:] + "."], [2]]},
        {"tpl": [f'data: {{"text":"it is {json.dumps(secret)[1:-1]}"}}\n\n']},
    )
    for form in forms:
        data = json.dumps(form, indent=1).encode()
        found = REDACTOR.surviving(data)
        assert found, data
        assert all(secret not in str(each) for each in found)
        assert found[0].line > 1


def test_a_clean_file() -> None:
    """A file with placeholders only has nothing to find."""
    data = json.dumps({"a": "<secret:1> {{env:OPENAI_API_KEY}}", "ev": ["<secret:1>", "x"], "password": "<secret:2>"})
    assert REDACTOR.surviving(data.encode()) == []
    assert REDACTOR.suspects(data.encode()) == []


def test_only_what_is_beyond_doubt_stops_a_file() -> None:
    """A password known by its name alone does not stop a file, but a scan tells it."""
    data = json.dumps({"password": HUNTER}).encode()
    assert REDACTOR.surviving(data) == []
    assert [each.kind for each in REDACTOR.suspects(data)] == ["field password"]


def test_scan(tmp_path: Path) -> None:
    """A scan tells file, line and kind of planted secrets, and passes over what git does not see."""
    (tmp_path / "deep").mkdir()
    (tmp_path / ".tape").mkdir()
    (tmp_path / "clean.json").write_text(json.dumps({"messages": ["hello"], "max_tokens": 5}))
    (tmp_path / "deep" / "bad.json").write_text('{\n "a": 1,\n "b": "key ' + SK + '"\n}')
    (tmp_path / "notes.txt").write_text(f"one\ntwo {TOKENS['aws']}\n")
    (tmp_path / "mine.txt").write_text(f"{OPENAI}\n")
    (tmp_path / ".tape" / "index").write_text(SK)
    (tmp_path / "picture.bin").write_bytes(b"\0\1" + SK.encode())
    found = list(scan([tmp_path], environ=ENVIRON))
    told = [(Path(f.path).name, f.line, f.kind) for f in found]
    assert told == [("bad.json", 3, "sk key"), ("mine.txt", 1, "value"), ("notes.txt", 2, "aws key id")]
    assert str(found[0]) == f"{tmp_path / 'deep' / 'bad.json'}:3: sk key sk-pro... (32 characters)"
    assert [Path(f.path).name for f in scan([tmp_path / "notes.txt"])] == ["notes.txt"]
    assert list(scan([tmp_path / "notes.txt"], allow=["re:AKIA.*"])) == []


def test_restore() -> None:
    """A variable's value is put back where it is set and needs no escaping; everything else stays."""
    data = b'{"a": "{{env:A_KEY}} {{env:B_KEY}} {{env:C_KEY}} <secret:1> caf\xc3\xa9 \xff"}'
    done = restore(data, {"A_KEY": "abc-123", "B_KEY": 'with "quotes"'})
    assert done == b'{"a": "abc-123 {{env:B_KEY}} {{env:C_KEY}} <secret:1> caf\xc3\xa9 \xff"}'
    assert restore(b"x", {"A_KEY": "y"}) == b"x"
