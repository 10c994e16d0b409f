"""The words of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.knowledge.index.words import LONGEST, MOST_ASKED, question, words


@given(st.text())
def test_letters_and_digits_only(text: str) -> None:
    """Whatever the text: what a database's query language would read differently never comes out."""
    for word in words(text):
        assert word.isalnum()
        assert 0 < len(word) <= LONGEST


@given(st.text(), st.text())
def test_parts_are_independent(one: str, other: str) -> None:
    """The words of two texts are those of both, one behind the other."""
    assert words(f"{one}\n{other}") == words(one) + words(other)


@given(st.text())
def test_a_question_has_each_word_once(text: str) -> None:
    """All of them, in order, up to a bound."""
    assert question(text) == list(dict.fromkeys(words(text)))[:MOST_ASKED]


def test_a_very_long_question() -> None:
    """Only its beginning is asked for."""
    assert len(question(" ".join(f"word{n}" for n in range(1000)))) == MOST_ASKED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stored", "storing"),
        ("stores", "store"),
        ("running", "runs"),
        ("cities", "city"),
        ("Café", "cafe"),
        ("classes", "class"),
        ("ﬁle", "file"),
    ],
)
def test_forms_of_one_word(one: str, other: str) -> None:
    """They are the same."""
    assert words(one) == words(other) != []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the of and", []),
        ("getHTTPResponse_code", ["gethttprespons", "get", "http", "respons", "cod"]),
        ("VX-4103", ["vx", "4103"]),
        ("漢字テスト", ["漢字", "字テ", "テス", "スト"]),
        ("字", ["字"]),
        ("E310", ["e310", "e", "310"]),
    ],
)
def test_examples(text: str, found: list[str]) -> None:
    """Parts of names, pairs of signs, nothing of what stands everywhere."""
    assert words(text) == found
