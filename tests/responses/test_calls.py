"""Laws of telling calls apart, and of knowing when the arguments of one are whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.responses.turn.calls import Extent
from tests.responses.chunks import TEXTS, Script, cut, scripts
from tests.responses.play import options, output, play, read
from tests.responses.test_turn_laws import said

VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.one_of(st.dictionaries(TEXTS, VALUES, max_size=3), st.lists(VALUES, max_size=3))


def whole(pieces: list[str]) -> bool:
    """Whether JSON that came in these pieces is whole."""
    extent = Extent()
    for piece in pieces:
        extent.add(piece)
    return extent.whole


@given(st.data(), OBJECTS, st.booleans(), st.sampled_from(["", " ", "\n"]))
@settings(max_examples=60)
def test_an_object_is_whole_at_its_last_bracket(
    data: st.DataObject, value: object, ascii_only: bool, space: str
) -> None:
    """However it is cut, JSON is whole with its last bracket, not before, and stays so."""
    text = space + json.dumps(value, ensure_ascii=ascii_only)
    pieces = data.draw(cut(text))
    assert whole(pieces)
    assert whole([*pieces, space, "}"])
    assert not whole(list(text[:-1]))
    assert not whole(data.draw(cut(text[:-1])))


@pytest.mark.parametrize(
    "text", ["12", '"{}"', "null", "", " ", "patch {x}", "] {}", '{"a": "}', '{"a": [}', '{"a": "\\"}']
)
def test_what_may_go_on_is_not_whole(text: str) -> None:
    """A value without brackets, and one whose brackets are open, may always go on."""
    assert not whole([text])
    assert not whole(list(text))


@pytest.mark.parametrize("index", ["zero", "null"])
@pytest.mark.parametrize("ids", ["first", "each", "none", "same"])
@given(st.data())
@settings(max_examples=25)
def test_calls_are_told_apart_without_indexes(index: str, ids: str, data: st.DataObject) -> None:
    """By ids, by names, and by arguments that begin anew after they were whole."""
    script: Script = data.draw(scripts(index=index, ids=ids))
    assert said(output(play(read(script.chunks), options()))) == script.expected


def call(name: str | None, arguments: str, **more: object) -> dict[str, object]:
    """A piece of a call under index 0."""
    piece = {"index": 0, "function": {"name": name, "arguments": arguments}, **more}
    return {"choices": [{"delta": {"tool_calls": [piece]}}]}


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        ([call("f", ""), call("g", "{}")], [("f", "{}"), ("g", "{}")]),
        ([call("f", '{"a":'), call("g", "{}")], [("f", '{"a":'), ("g", "{}")]),
        ([call("f", "{"), call("f", "}"), call("f", "")], [("f", "{}")]),
        ([call("f", "{}"), call("f", ""), call(None, "{"), call(None, "}")], [("f", "{}"), ("f", "{}")]),
        ([call("f", "{}"), call(None, "}")], [("f", "{}}")]),
        ([call("f", "{}"), call(None, "\n")], [("f", "{}\n")]),
        ([call("f", "{}", id="a"), call(None, "", id="a")], [("f", "{}")]),
        ([call("f", "{", id="a"), call("f", "{", id="b"), call(None, "}", id="a")], [("f", "{}"), ("f", "{")]),
        ([call(None, "", id=""), call("f", "{}")], [("f", "{}")]),
        ([call("f", "{}", id="a"), call("f", "\n", id="a"), call("g", "{}", id="b")], [("f", "{}\n"), ("g", "{}")]),
    ],
)
def test_under_one_index(chunks: list[dict[str, object]], calls: list[tuple[str, str]]) -> None:
    """What back ends are known to send where every call has index 0."""
    assert [(item["name"], item["said"]) for item in said(output(play(read(chunks))))] == calls
