"""Every body has its most readable form, and its bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from antiphon.tape import document
from antiphon.tape.document import Unreadable
from antiphon.tape.model import Exchange, HttpRequest, HttpResponse
from tests.tape.document.examples import EVENT_STREAM, answered, chat, file_of, nothing_beside


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{"a":[1,2.5,null]}', None),
        ('{"a": [1, 2.5, null]}', '"written": {"spaced": true}'),
        ('{\n  "a": [\n    1,\n    {}\n  ]\n}\n', '"written": {"after": "\\n", "indent": "  "}'),
        ('{"b":"caf\\u00e9"}', '"written": {"strings": "ascii"}'),
        ('{"b":"a \\u003c b \\u0026 c"}', '"written": {"strings": "html"}'),
        (
            '{"b":"http:\\/\\/x","c":1e-5,"d":0.10}',
            '"tokens": {"1": "\\"http:\\\\/\\\\/x\\"", "3": "1e-5", "5": "0.10"}',
        ),
        ('[{"z":1,"a":2}]', None),
        ("{}", None),
    ],
)
def test_json_is_a_value_and_its_spelling(text: str, written: str | None) -> None:
    """A JSON body stands as a value, in the order it came, with no more about its spelling than is needed."""
    file = file_of(answered(text.encode()))
    assert '\n  "json": ' in file
    assert written in file if written else "written" not in file


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', '{"a" :1}', '{"a":1', "17", "[1,\n2]", '{"a":NaN}', "[" * 9000, '{"a":1e999}']
)
def test_json_that_cannot_be_kept_as_a_value_is_text(text: str) -> None:
    """A repeated name, odd blanks, half a body: the text itself is kept."""
    assert '\n  "text": ' in file_of(answered(text.encode()))


def test_what_is_no_json_by_its_first_sign_is_a_stream_when_it_looks_like_one() -> None:
    """Events are coded also where the headers do not say so, and lines of JSON when they do."""
    assert '"stream": ' in file_of(answered(b'data: {"a":1}\n\n', headers=()))
    lines = tuple(b'{"message":{"content":"%d"}}\n' % at for at in range(9))
    assert '"say": "012345678"' in file_of(answered(*lines, headers=(("Content-Type", "application/x-ndjson"),)))


def test_reads_of_a_body_are_kept() -> None:
    """A body that came in parts comes in the same parts."""
    assert '"cuts": [3, 4]' in file_of(answered(b'{"a', b'":1}'))
    assert '"cuts"' not in file_of(answered(b'{"a":1}'))


def test_a_body_that_can_be_read_needs_no_say_line() -> None:
    """Only of a stream is it written what it says."""
    assert '"say"' not in file_of(answered(b'{"choices":[{"message":{"content":"Bon jour"}}]}'))


def test_a_small_binary_body_is_in_the_file() -> None:
    """Up to 4096 bytes stand in the file as base64, on lines."""
    assert '"base64": ' in file_of(answered(b"\xff" * 4096))
    assert '"base64": "/w=="' in file_of(answered(b"\xff", headers=EVENT_STREAM))


def test_a_long_binary_body_is_beside_the_file() -> None:
    """It is found there again, and a changed one is refused."""
    sound = bytes(range(256)) * 20
    data, side = document.dump(answered(sound))
    assert side == {".bin": sound}
    assert hashlib.sha256(sound).hexdigest().encode() in data
    response = document.load(data, side.__getitem__).response
    assert isinstance(response, HttpResponse)
    assert response.content == sound
    with pytest.raises(Unreadable, match=r"holds something else - at `\$.response.binary.sha256`"):
        document.load(data, lambda _: sound + b"!")


def test_a_missing_file_beside_is_named() -> None:
    """A file that was not copied along is told, not a crash."""
    data, _ = document.dump(answered(b"\xff" * 5000))

    def lost(suffix: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", suffix)

    with pytest.raises(Unreadable, match=r"\$.response.binary.file"):
        document.load(data, lost)


def test_headers_of_one_name_are_kept_apart() -> None:
    """Headers are an object, or pairs where a name comes twice."""
    response = HttpResponse(200, (("x-a", "1"), ("x-a", "2")), (b"ok",))
    assert '"headers": [["x-a", "1"], ["x-a", "2"]]' in file_of(Exchange(HttpRequest("GET", "/"), response))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (('"status": 200', '"status": "200"'), "`$.response.status`"),
        (('"status": 200', '"stauts": 200'), "`stauts` - at `$.response`"),
        (('"status": 200', '"status": 200,,'), "line 13, column 17"),
        (('"tape": 1,', ""), "`tape`"),
        (('"end": "complete"', '"end": "done"'), "`$.response.end`"),
        (('"by"', '"bye"'), "`$.response.stream`"),
        (('"key"', '"kye"'), "`k"),
        (('"method": "POST",', ""), "neither a method nor a tool - at `$.request`"),
        (('"boundary": "inference"', '"boundary": "infer"'), "`$.boundary`"),
    ],
)
def test_a_file_that_a_hand_broke_names_the_place(change: tuple[str, str], place: str) -> None:
    """Whoever edited it is told where, by line or by path."""
    text = file_of(chat(["Bon", " jour"]))
    assert change[0] in text
    with pytest.raises(Unreadable) as caught:
        document.load(text.replace(*change, 1).encode(), nothing_beside)
    assert place in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"{" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000])
def test_what_is_no_file_of_ours_is_unreadable(data: bytes) -> None:
    """Whatever lies in the directory, only Unreadable comes out of it."""
    for read in (document.head, lambda data: document.load(data, {}.__getitem__)):
        reader: Any = read
        with pytest.raises(Unreadable):
            reader(data)
