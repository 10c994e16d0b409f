"""Secrets in files: the last look before one is written, and the search through those that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.tape import document
from antiphon.tape.model import Exchange, HttpRequest, HttpResponse, TextBody
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


def _wrapped(secret: str) -> dict[str, tuple[bytes, str]]:
    """Files of ours in which the secret stands, but in no one string: by place, with the section that holds it."""
    words = "some words of no importance " * 8
    pieces = [*(secret[at : at + 3] for at in range(0, len(secret), 3)), *(f" {word}" for word in words.split())]
    events = [f'data: {{"d":"{piece}"}}\n\n'.encode() for piece in pieces]
    stream = HttpResponse(200, (("content-type", "text/event-stream"),), tuple(events))
    text = f"{words}so it was {secret} and {words}"
    plain = HttpResponse(200, (("content-type", "text/plain"),), (text.encode(),))
    asked = HttpRequest("POST", "/x", body=TextBody(text, "text/plain"))
    fine = HttpResponse(200, (), (b"ok",))
    get = HttpRequest("GET", "/x")
    exchanges = {"stream": Exchange(get, stream), "text": Exchange(get, plain), "request": Exchange(asked, fine)}
    sections = {"stream": "response", "text": "response", "request": "request"}
    return {name: (document.dump(one)[0], sections[name]) for name, one in exchanges.items()}


@pytest.mark.parametrize("place", ["request", "stream", "text"])
@pytest.mark.parametrize("secret", [SK, TOKENS["aws"], OPENAI], ids=["sk", "aws", "value"])
def test_what_a_file_of_ours_wraps_and_parts_is_looked_at_whole(secret: str, place: str, tmp_path: Path) -> None:
    """A text over several lines, and the deltas of a stream, which stand parted by a sign."""
    data, section = _wrapped(secret)[place]
    found = REDACTOR.surviving(data)
    assert found
    assert all(secret not in str(each) for each in found)
    lines = data.decode().splitlines()
    assert found[0].line >= 1 + next(n for n, line in enumerate(lines) if f'"{section}":' in line)
    (tmp_path / "one.json").write_bytes(data)
    assert [Path(each.path).name for each in scan([tmp_path], environ=ENVIRON)] == ["one.json"] * len(found)


def test_each_secret_is_told_once() -> None:
    """One that shows in the file as it stands is not told again for what the file means."""
    exchange = Exchange(HttpRequest("GET", "/x"), HttpResponse(200, (), (f"it is {SK}.".encode(),)))
    assert [each.kind for each in REDACTOR.surviving(document.dump(exchange)[0])] == ["sk key"]
