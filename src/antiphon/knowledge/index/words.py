"""The words by which a text is found: the same for what is kept and for what is asked, on every database.

Lower case, without accents; ``camelCase`` and ``snake_case`` are also their parts; Han, Kana and Hangul, which have no
blanks between words, are pairs of characters; English endings are taken off; words that stand everywhere are left out.
What comes out is letters and digits only. What this makes of a text is kept in the database: a change here needs stores
to be read in anew.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

#: Longer ones are cut: they are data, not words.
LONGEST = 64

#: Each word of a question is looked up by itself.
MOST_ASKED = 64

_RUN = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002fa1f]+")

_STOP = """
a about after all also am an and any are as at be because been before being between both but by can could did do does
doing don down during each few for from further had has have having he her here hers him his how i if in into is it its
just me more most my no nor not now of off on once only or other our out over own same she should so some such t s re ve
ll than that the their them then there these they this those through to too under until up us very was we were what when
where which while who whom why will with would you your yours tell please give find know explain show
"""
STOP_WORDS = frozenset(_STOP.split())

#: Words whose form is remembered: about the vocabulary of a large store.
_REMEMBERED = 200_000
_forms: dict[str, tuple[str, ...]] = {}


def words(text: str) -> list[str]:
    """All of them in order, as often as they stand there."""
    found: list[str] = []
    for run in _RUN.findall(text):
        forms = _forms.get(run)
        if forms is None:
            if len(_forms) >= _REMEMBERED:
                _forms.clear()
            forms = _forms[run] = _forms_of(run)
        found += forms
    return found


def question(text: str) -> Sequence[str]:
    """The words of a question, each once, in order; of a very long one the first ``MOST_ASKED``."""
    return list(dict.fromkeys(words(text)))[:MOST_ASKED]


def _forms_of(run: str) -> tuple[str, ...]:
    if not run.isascii():
        run = "".join(c for c in unicodedata.normalize("NFKD", run) if not unicodedata.combining(c))
        # What was one character may be several words now, or none.
        run = "".join(_RUN.findall(run))
        run = unicodedata.normalize("NFC", run)
        if _ASIAN.search(run):
            return tuple(_pairs(run))
    whole = run.lower()
    parts = [part.lower() for part in _PART.findall(run)] if run.isascii() else []
    forms = [whole] if len(parts) < 2 else [whole, *parts]
    return tuple(stem(form)[:LONGEST] for form in forms if form and form not in STOP_WORDS)


def _pairs(run: str) -> list[str]:
    found: list[str] = []
    at = 0
    for match in _ASIAN.finditer(run):
        found += _forms_of(run[at : match.start()]) if match.start() > at else ()
        signs = match[0]
        found += [signs] if len(signs) == 1 else [signs[n : n + 2] for n in range(len(signs) - 1)]
        at = match.end()
    return [*found, *(_forms_of(run[at:]) if at < len(run) else ())]


_VOWEL = re.compile(r"[aeiouy]")


def stem(word: str) -> str:
    """An English word without its ending; carefully, because not every word is English."""
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("sses"):
        word = word[:-2]
    elif word.endswith("ies"):
        word = word[:-3] + ("y" if len(word) > 4 else "ie")
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) > 2 and _VOWEL.search(rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    if word.endswith("ly") and len(word) > 5:
        word = word[:-2]
    if word.endswith("y") and len(word) > 3 and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    return word
