"""The words in which two texts differ."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.miss.words import _TOKENS, _hunks, changes, common_head, common_tail
from tests.tape.miss.requests import prose

text = st.text(st.sampled_from("ab .\n"), max_size=30)
words = st.lists(st.sampled_from(["red", "blue", "the", "fox", "ran", " ", "\n", ".", "x1"]), max_size=40)


@given(text, text)
def test_common_ends(one: str, other: str) -> None:
    """What both begin with, and end with, is found whole and never overlaps."""
    head = common_head(one, other)
    assert one[:head] == other[:head]
    assert one[head : head + 1] != other[head : head + 1] or head in (len(one), len(other))
    tail = common_tail(one, other, head)
    assert one[len(one) - tail :] == other[len(other) - tail :]
    assert head + tail <= min(len(one), len(other))


@given(words, words)
def test_the_changes_make_one_text_of_the_other(one: list[str], other: list[str]) -> None:
    """Replacing what was recorded by what was asked, hunk by hunk, gives the other text, and nothing else differs."""
    out, at = [], 0
    for i, k, j, m in _hunks(one, other):
        assert (i, j) >= (at, 0)
        out += [*one[at:i], *other[j:m]]
        at = k
    assert out + one[at:] == other


@given(words, words)
def test_equal_texts_have_no_changes(one: list[str], other: list[str]) -> None:
    """There is a change if and only if there is a difference."""
    assert bool(changes("".join(one), "".join(other))) == ("".join(one) != "".join(other))


def test_changes_far_apart_are_told_apart_and_fast() -> None:
    """Three words of 20 kB, at the beginning, in the middle and at the end, cost next to nothing."""
    tokens = _TOKENS.findall(prose(20_000))
    places = [next(n for n in range(at, at + 50) if tokens[n].isalnum()) for at in (4, 3000, len(tokens) - 60)]
    other = [f"NEW{n}" if n in places else token for n, token in enumerate(tokens)]
    start = time.process_time()
    found = changes("".join(tokens), "".join(other))
    assert time.process_time() - start < 0.5
    assert [(one.recorded, one.asked) for one in found] == [(tokens[n], f"NEW{n}") for n in places]


def test_other_texts_are_one_change() -> None:
    """Two texts that have only crumbs in common are shown as one replaced by the other."""
    assert len(changes("What is the capital of France today", "Tell me a joke of the sea and more things")) == 1


def test_neighbouring_words_are_one_change() -> None:
    """A replaced phrase is one change."""
    found = changes("the quick brown fox jumps over the dog", "the slow red fox jumps over the dog")
    assert [(one.recorded, one.asked) for one in found] == [("quick brown", "slow red")]
    found = changes("First comes the quick brown fox, then the dog.", "Next comes the slow red fox, then the cat.")
    assert [one.asked for one in found] == ["Next", "slow red", "cat"]
