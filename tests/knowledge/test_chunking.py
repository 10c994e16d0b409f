"""Chunks: the laws that hold for every text."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.knowledge.chunking import AUTO_OVERLAP, AUTO_TOKENS, chunks, clean, windows
from antiphon.upstream.tokens import count_text, token_lengths

TEXTS = st.one_of(
    st.text(max_size=400),
    st.lists(
        st.sampled_from(["word ", "Sentence. ", "\n\n", "\n", "漢字", "🙂👩‍👩‍👧", "é", "aaaa", " "]), max_size=150
    ).map("".join),
)


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """Tokens and overlap."""
    most = draw(st.integers(1, 40))
    return most, draw(st.integers(0, most // 2))


@given(TEXTS, sizes())
def test_the_law(text: str, size: tuple[int, int]) -> None:
    """All of the text is covered, in order; no chunk is larger than asked; no code point is cut."""
    most, overlap = size
    text = clean(text)
    pieces = chunks(text, max_tokens=most, overlap=overlap)
    if not text.strip():
        assert pieces == []
        return
    data = text.encode()
    behind = [0, *accumulate(token_lengths(text))]
    found = list(windows(text, most, overlap))
    assert [(data[start:end].decode(), tokens) for start, end, tokens in found] == [(p.text, p.tokens) for p in pieces]
    assert (found[0][0], found[-1][1]) == (0, len(data))
    for (start, end, _), (next_start, next_end, _) in pairwise(found):
        assert start < next_start <= end <= next_end
        # At least what was asked for; more only where the beginning of a code point is further back.
        shared = behind.index(end) - behind.index(next_start)
        assert shared <= overlap + 3
    for start, end, tokens in found:
        assert behind.index(end) - behind.index(start) == tokens
        # A code point of several tokens may have to be taken whole.
        assert tokens <= max(most, 4)


@given(st.lists(st.sampled_from(["one", " two", " three", " four"]), min_size=1, max_size=300).map("".join), sizes())
def test_the_overlap_is_exact(text: str, size: tuple[int, int]) -> None:
    """Where every token is whole characters, each chunk shares exactly ``overlap`` tokens with the one before."""
    most, overlap = size
    pieces = chunks(text, max_tokens=most, overlap=overlap)
    total = len(token_lengths(text))
    assert sum(piece.tokens for piece in pieces) - overlap * (len(pieces) - 1) == total
    assert all(piece.tokens <= most for piece in pieces)


def test_automatic() -> None:
    """A long text is cut into 800 tokens with 400 shared, give or take a better ending."""
    text = "".join(f"This is sentence number {n}, which says nothing.\n" for n in range(2000))
    pieces = chunks(text)
    assert all(AUTO_TOKENS * 9 // 10 <= piece.tokens <= AUTO_TOKENS for piece in pieces[:-1])
    assert all(piece.text.endswith(".\n") for piece in pieces[:-1])
    assert AUTO_OVERLAP == AUTO_TOKENS // 2
    assert [one.tokens for one in pieces] == [one.tokens for one in chunks(text)]


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("word " * 9 + "\n\n" + "word " * 50, "\n\n"),
        ("word " * 9 + "end.\n" + "word " * 50, "end.\n"),
        ("word word word word word word word word end. " + "word " * 50, "end."),
    ],
)
def test_a_good_ending(text: str, ending: str) -> None:
    """A paragraph, a line, a sentence: where one ends in the last tenth, the chunk does too."""
    piece = chunks(text, max_tokens=count_text(text[: text.index(ending) + len(ending)]) + 1, overlap=0)[0]
    assert piece.text.endswith(ending)


def test_special_tokens_are_text() -> None:
    """What looks like a command to a model is kept as it is."""
    assert chunks("a <|endoftext|> b")[0].text == "a <|endoftext|> b"


def test_what_cannot_be_kept() -> None:
    """NUL and half characters are replaced; halves that belong together are one character."""
    assert clean("a\0b\ud800c\ud83d\ude42") == "a\ufffdb\ufffdc🙂"


@pytest.mark.parametrize(("most", "overlap"), [(0, 0), (10, 6), (10, -1)])
def test_sizes_that_do_not_fit(most: int, overlap: int) -> None:
    """They are refused."""
    with pytest.raises(ValueError, match="does not fit"):
        chunks("text", max_tokens=most, overlap=overlap)
