"""Laws of the think tags: what is reasoning and what is text does not depend on where the stream cut the answer."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from antiphon.responses.turn.think import ThinkTags
from tests.responses.chunks import TEXTS, cut

ANSWERS = st.one_of(
    TEXTS,
    st.lists(st.sampled_from(["<think>", "</think>", " ", "\n", "<thi", "nk>", "ok", "</", "<"]), max_size=9).map(
        "".join
    ),
)


def split(pieces: list[str]) -> tuple[str, str]:
    """Reasoning and text of an answer that comes in these pieces."""
    tags = ThinkTags()
    said = [pair for piece in pieces for pair in tags.feed(piece)] + tags.flush()
    voices = [voice for voice, _ in said]
    assert voices == sorted(voices), "reasoning comes first"
    assert all(text for _, text in said), "nothing is said without a word"
    reasoning, text = ("".join(text for voice, text in said if voice == which) for which in ("reasoning", "text"))
    return reasoning, text


def reference(answer: str) -> tuple[str, str]:
    """The same, read at once."""
    begun = re.match(r"\s*<think>\s*", answer)
    if begun is None:
        return "", answer
    reasoning, closed, text = answer[begun.end() :].partition("</think>")
    return reasoning, text.lstrip() if closed else ""


@given(st.data(), ANSWERS)
def test_pieces_do_not_matter(data: st.DataObject, answer: str) -> None:
    """However an answer is cut, its reasoning and its text are those of the whole."""
    assert split(data.draw(cut(answer))) == reference(answer)


@given(st.lists(TEXTS, max_size=4))
def test_without_tags_everything_is_text_at_once(pieces: list[str]) -> None:
    """Where tags are switched off nothing is held back."""
    tags = ThinkTags(enabled=False)
    assert [tags.feed(piece) for piece in pieces] == [[("text", piece)] for piece in pieces]
    assert tags.flush() == []


@given(TEXTS.filter(lambda text: not "<think>".startswith(text.lstrip()[:7])))
def test_an_answer_without_tags_is_not_held_back(answer: str) -> None:
    """What cannot be a tag is out at once, and the tags are not looked for any more."""
    tags = ThinkTags()
    assert tags.feed(answer) == [("text", answer)]
    assert tags.settled


def test_only_what_may_become_a_tag_is_held_back() -> None:
    """Of reasoning that ends in half a tag, only that half waits."""
    tags = ThinkTags()
    assert tags.feed("<think>a < b </thi") == [("reasoning", "a < b ")]
    assert tags.feed("s") == [("reasoning", "</this")]
    assert tags.tagged


def test_reasoning_goes_on_after_a_flush() -> None:
    """A model that calls a tool while it thinks has not finished thinking."""
    tags = ThinkTags()
    assert tags.feed("<think>one</th") == [("reasoning", "one")]
    assert tags.flush() == [("reasoning", "</th")]
    assert tags.feed("two</think> done") == [("reasoning", "two"), ("text", "done")]


def test_endless_white_space_is_not_waited_for() -> None:
    """A model that has lost its way in blanks is seen to do so."""
    tags = ThinkTags()
    said = [pair for _ in range(300) for pair in tags.feed("\n")]
    assert "".join(text for _, text in said) == "\n" * 300
    assert len(said) > 40
