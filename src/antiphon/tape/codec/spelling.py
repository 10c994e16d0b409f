"""JSON scalars and their spelling: which spelling a stream uses, and which values it reproduces.

One value has many spellings (``"é"`` and ``"\\u00e9"``, ``1.0`` and ``1.00``). A stream is written by one encoder, so
one spelling of strings is chosen a stream; a value that it does not reproduce stays as its text, ``{"raw": text}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Literal, TypeAlias

from antiphon.tape.model import Json

#: ``utf8`` escapes what must be escaped; ``ascii`` also what is not ASCII; ``html`` also ``<``, ``>`` and ``&``.
Spelling = Literal["utf8", "ascii", "html"]
Quote: TypeAlias = Callable[[str], str]

#: What html-safe encoders escape beyond the need, and how.
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_HTML_SIGNS = re.compile("[<>&\u2028\u2029]")
_HTML_ESCAPE = re.compile(r"\\u(?:003c|003e|0026|2028|2029)")
_ASCII_ESCAPE = re.compile(r"\\u(?!00[01])[0-9a-f]{4}")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS: dict[str, Json] = {"null": None, "true": True, "false": False}


def _quote_html(text: str) -> str:
    return _HTML_SIGNS.sub(lambda sign: _HTML[sign[0]], encode_basestring(text))


QUOTES: dict[str, Quote] = {"utf8": encode_basestring, "ascii": encode_basestring_ascii, "html": _quote_html}


def spelling_of(text: str) -> Spelling:
    """The spelling of strings that most likely wrote ``text``."""
    if _HTML_ESCAPE.search(text):
        return "html"
    return "ascii" if text.isascii() and _ASCII_ESCAPE.search(text) else "utf8"


def read_scalar(text: str, quote: Quote) -> Json:
    """The value of the scalar spelled ``text``, or ``{"raw": text}`` where ``spell`` would not give ``text`` back."""
    value: Json = None
    if text[0] == '"':
        if "\\" not in text and text.isprintable() and quote(text[1:-1]) == text:
            return text[1:-1]
        try:
            value = json.loads(text)
        except ValueError:  # no JSON, only something in quotes
            return {"raw": text}
        if _SURROGATE.search(value):  # a file of ours is UTF-8, which has none
            return {"raw": text}
    elif text in _WORDS:
        return _WORDS[text]
    else:
        value = int(text) if _INTEGER.fullmatch(text) else float(text)
    return value if spell(value, quote) == text else {"raw": text}


def spell(value: Json, quote: Quote) -> str:
    """The text of a scalar or of ``{"raw": text}``. Raises TypeError for anything else."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        raw = value.get("raw")
        if len(value) == 1 and isinstance(raw, str):
            return raw
    elif value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise TypeError(f"a value must be a string, a number, true, false, null or {{'raw': text}}, not {value!r:.60}")
