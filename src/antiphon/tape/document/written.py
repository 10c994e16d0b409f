"""A JSON body as a value that people can read, and how it was written, so that its bytes come back.

Most bodies are one of a few styles; then nothing or a word is kept. Single tokens that our spelling does not reproduce
(``1e-5``, ``"\\/"``) are kept by their number. A body that needs more than that is kept as the text it was.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

import msgspec

from antiphon.tape.codec.spelling import QUOTES, Spelling, spelling_of
from antiphon.tape.model import Json

_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*+"|-?[0-9][-+.0-9eE]*+|true|false|null)')
_FIRST_INDENT = re.compile(r"[\[{]\r?\n([ \t]+)")
_HTML_SIGNS = re.compile("[<>&\u2028\u2029]")
#: So many tokens of a body, or one in so many, may be spelled in another way than ours.
_ODD, _ODD_IN = 16, 8


class Written(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a JSON text was written: by default without any space.

    ``before`` and ``after`` are the blanks around it; ``tokens`` the odd ones by their number, which counts strings,
    names, numbers and words from 0.
    """

    after: str = ""
    before: str = ""
    indent: str = ""
    spaced: bool = False
    strings: Spelling = "utf8"
    tokens: dict[str, str] = {}


def read(text: str) -> tuple[Json, Written] | None:
    """The object or array that ``text`` is, with how it was written; None when it cannot be kept so."""
    core = text.strip(" \t\r\n")
    if core[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(core)
    except (ValueError, RecursionError):
        return None
    start = text.index(core)
    before, after = text[:start], text[start + len(core) :]
    strings = spelling_of(core)
    indent = _FIRST_INDENT.match(core)
    styles = [(indent[1], False)] if indent else [("", False), ("", True)]
    for width, spaced in styles:
        written = Written(after, before, width, spaced, strings)
        odd = _odd(core, value, written)
        if odd is not None:
            return value, msgspec.structs.replace(written, tokens=odd)
    return None


def write(value: Json, written: Written) -> str:
    """The text again. Raises ValueError when the tokens of ``written`` do not fit the value."""
    core = _core(value, written)
    if written.tokens:
        parts = _TOKEN.split(core)
        for number, token in written.tokens.items():
            at = 2 * int(number) + 1
            if not 0 < at < len(parts):
                raise ValueError(f"there is no token {number}")
            parts[at] = token
        core = "".join(parts)
    return written.before + core + written.after


def _core(value: Json, written: Written) -> str:
    text = _encoder(written.strings == "ascii", written.indent, written.spaced).encode(value)
    if written.strings == "html":  # these signs stand only in strings, so the whole text may be treated at once
        text = _HTML_SIGNS.sub(lambda sign: QUOTES["html"](sign[0])[1:-1], text)
    return text


@lru_cache(maxsize=16)
def _encoder(ascii_only: bool, indent: str, spaced: bool) -> json.JSONEncoder:
    return json.JSONEncoder(
        ensure_ascii=ascii_only,
        allow_nan=False,
        indent=indent or None,
        separators=(",", ": ") if indent else (", ", ": ") if spaced else (",", ":"),
    )


def _odd(core: str, value: Json, written: Written) -> dict[str, str] | None:
    """The tokens of ``core`` that are spelled in another way than ours; None when the difference is elsewhere."""
    try:
        ours = _core(value, written)
    except (ValueError, RecursionError):  # not a number, or infinite
        return None
    if ours == core:
        return {}
    theirs, own = _TOKEN.split(core), _TOKEN.split(ours)
    if theirs[::2] != own[::2]:
        return None
    odd = {
        str(at): token for at, (token, mine) in enumerate(zip(theirs[1::2], own[1::2], strict=True)) if token != mine
    }
    return odd if len(odd) <= max(_ODD, len(own) // (2 * _ODD_IN)) else None
