"""Laws of the freeform input: the text inside the JSON, however the JSON is written and cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.responses.turn.freeform import FreeformInput
from tests.responses.chunks import TEXTS, cut

SPACE = st.text(alphabet=" \t\n\r", max_size=3)
#: What models write instead of JSON, and JSON that is not text: half escapes, lone surrogates, raw line ends.
BROKEN = st.lists(
    st.sampled_from(["\\u", "d83d", "\\ud83d", "\\ude00", "\\", '"', "a", "\n", "\\n", "}", "12", "\\x", "\\u00e9"]),
    max_size=8,
).map("".join)


def read(pieces: list[str]) -> str:
    """The text of arguments that come in these pieces."""
    freeform = FreeformInput()
    return "".join([*map(freeform.feed, pieces), freeform.flush()])


@given(st.data(), st.text() | TEXTS, st.booleans(), SPACE, SPACE, SPACE)
def test_the_text_comes_out(data: st.DataObject, text: str, ascii_only: bool, one: str, two: str, three: str) -> None:
    """Any text, with any escapes and any white space around, cut anywhere, is that text."""
    arguments = f'{one}{{{two}"input"{three}:{one}{json.dumps(text, ensure_ascii=ascii_only)}{two}}}{three}'
    assert read(data.draw(cut(arguments))) == text


@given(st.data(), BROKEN)
@example(None, "\\ud83dabc\\ude00")
@example(None, "\\ud83d\\ud83d\\ude00")
def test_pieces_do_not_matter(data: st.DataObject | None, inside: str) -> None:
    """What is not quite JSON is read the same however it is cut."""
    arguments = '{"input": "' + inside
    pieces = list(arguments) if data is None else data.draw(cut(arguments))
    assert read(pieces) == read([arguments])


@given(TEXTS.filter(lambda text: '"' not in text and "\\" not in text and "{" not in text))
def test_plain_text_is_out_at_once(text: str) -> None:
    """Inside the string nothing is held back but half an escape."""
    freeform = FreeformInput()
    assert freeform.feed('{"input":"' + text) == text
    assert freeform.feed("\\u00") == ""
    assert freeform.feed("e9") == "é"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"\\ud83d\\ude00"}', "😀"),
        ('{"input":"\\ud83d"}', "\ufffd"),
        ('{"input":"a\\ude00b"}', "a\ufffdb"),
        ('{"input":"\\ud83dabc\\ude00"}', "\ufffdabc\ufffd"),
        ('{"input":"\\ud83d\\ud83d\\ude00"}', "\ufffd😀"),
        ('{"input":"a\nb"}', "a\nb"),
        ('{"input":"\\q\\uzz"}', "\\q\\uzz"),
        ('{"input":"x","more":1}', "x"),
        ('{"more":1,"input":"x"}', "x"),
        ('{"patch":"x"}', "x"),
        ('{"a":"x","b":"y"}', '{"a":"x","b":"y"}'),
        ('{"input":5}', '{"input":5}'),
        ('"x"', "x"),
        ("*** Begin Patch", "*** Begin Patch"),
        ("", ""),
    ],
)
def test_what_models_write(arguments: str, text: str) -> None:
    """Other keys, other shapes, half characters and no JSON at all, whole or letter by letter."""
    assert read([arguments]) == text
    assert read(list(arguments)) == text


@given(st.data())
def test_a_long_beginning_is_read_at_the_end(data: st.DataObject) -> None:
    """A model that pads its JSON without end is not misread."""
    arguments = " " * 600 + '{"input":"a\\nb\\ud83d'
    assert read(data.draw(cut(arguments))) == "a\nb"
