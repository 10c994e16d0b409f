"""BERT's uncased word pieces: a text as the numbers of its pieces.

Lower case, accents taken off, every punctuation mark and every Han character a word of its own, and each word the
longest pieces that the vocabulary has, from its beginning.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

#: A longer word is unknown as a whole.
_LONGEST_WORD = 100

#: Words whose pieces are remembered: about the vocabulary of a long document.
_REMEMBERED = 50_000

_HAN = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieces:
    """Over one vocabulary. Not for two threads at once."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: n for n, piece in enumerate(vocabulary)}
        self._unknown = self._ids["[UNK]"]
        self._words: dict[str, tuple[int, ...]] = {}
        self._spaced: dict[int, str | None] = {}

    def __call__(self, text: str) -> list[int]:
        """The pieces, without any mark of beginning or end."""
        found: list[int] = []
        words = self._words
        for word in self._split(text):
            pieces = words.get(word)
            if pieces is None:
                if len(words) >= _REMEMBERED:
                    words.clear()
                pieces = words[word] = self._pieces(word)
            found += pieces
        return found

    def _split(self, text: str) -> list[str]:
        text = unicodedata.normalize("NFD", text.lower()) if not text.isascii() else text.lower()
        known = self._spaced
        for character in set(text):
            if (code := ord(character)) not in known:
                known[code] = _written(character)
        return text.translate(known).split()

    def _pieces(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        found, start, prefix = [], 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._ids.get(prefix + word[start:end])
                if number is not None:
                    found.append(number)
                    start, prefix = end, "##"
                    break
            else:
                return (self._unknown,)
        return tuple(found)


def _written(character: str) -> str | None:
    """How a character stands in a text whose words are to be split at blanks; None where it goes."""
    category = unicodedata.category(character)
    if character in "\t\n\r" or category == "Zs":
        return " "
    if category == "Mn" or category in ("Cc", "Cf", "Cs", "Co", "Cn") or character == "\ufffd":
        return None
    code = ord(character)
    marks = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    if marks or category.startswith("P") or any(low <= code <= high for low, high in _HAN):
        return f" {character} "
    return character
