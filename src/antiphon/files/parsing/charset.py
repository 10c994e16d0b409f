"""Bytes as text, in whatever charset they are. Pure."""

from __future__ import annotations

import codecs
import re

from antiphon.files.parsing.kinds import unsupported

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]{1,40})|<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})"
    rb"|^[ \t\f]*#.{0,40}?coding[:=][ \t]*([-\w.]{1,40})",
    re.IGNORECASE | re.MULTILINE,
)
#: Charsets of text; others of Python's are no text (``rot13``), or take quadratic time (``punycode``).
_CHARSETS = re.compile(
    r"utf-(8|16|32)(-[a-z]{2})?|(cp|iso8859|windows|koi8|mac|gb|big5|euc|iso2022|shift|tis|johab|hz|ptcp|kz)[\w-]*|ascii"
)
#: What stands beyond ASCII in the languages of Western Europe; where little else does, it is one of those.
_WESTERN = frozenset("àâäáãåæçéèêëíìîïñóòôöõøœúùûüÿßÀÂÄÁÃÅÆÇÉÈÊËÍÎÏÑÓÔÖÕØŒÚÙÛÜ…‘’‚“”„«»–—•€£§°·¿¡©®™½²³\xa0")
#: Bytes by which a charset is guessed.
_SAMPLE = 64 * 1024


def decoded(data: bytes) -> str:
    """By its mark, as UTF-8, as it says itself, or as it looks; odd bytes are replaced. Raises ``Unparsable`` for what
    is no text at all."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decoded(data, name)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _decoded(data, _guess(data))
    if "\0" in text[:_SAMPLE] and (wide := _wide(data)):
        return _decoded(data, wide)
    return _text(text)


def clean(text: str) -> str:
    """Text that every database takes, its lines ended in one way."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        text = text.encode("utf-8", "replace").decode()
    return text


def _decoded(data: bytes, charset: str) -> str:
    try:
        return _text(data.decode(charset))
    except UnicodeDecodeError:
        return _text(data.decode(charset, "replace"), replaced="\ufffd")


def _text(text: str, replaced: str | None = None) -> str:
    """``replaced`` stands for bytes that are no text. Where there are none, it is a character like others."""
    sample = text[:_SAMPLE]
    odd = sum(not (one.isprintable() or one.isspace()) or one == replaced for one in sample)
    if odd > 0.1 * len(sample):
        raise unsupported("The file is neither text nor a document of a kind that is known here")
    return clean(text)


def _guess(data: bytes) -> str:
    if (declared := _DECLARED.search(data[:4096])) is not None:
        said = next(filter(None, declared.groups())).decode("ascii")
        try:
            name = codecs.lookup(said).name
        except LookupError:
            name = ""
        if _CHARSETS.fullmatch(name) and _reads(data, name):
            return "cp1252" if name in ("ascii", "iso8859-1") else name
    if wide := _wide(data):
        return wide
    if _is_western(data[:_SAMPLE]):
        return "cp1252"
    from charset_normalizer import from_bytes  # only where a file is in none of the usual charsets

    best = from_bytes(data[:_SAMPLE]).best()
    return best.encoding if best is not None and _CHARSETS.fullmatch(codecs.lookup(best.encoding).name) else "cp1252"


def _is_western(sample: bytes) -> bool:
    beyond = [one for one in sample.decode("cp1252", "replace") if one > "\x7f"]
    return len(beyond) * 4 < len(sample) and sum(one in _WESTERN for one in beyond) > 0.95 * len(beyond)


def _reads(data: bytes, name: str) -> bool:
    return "\ufffd" not in data[:_SAMPLE].decode(name, "replace")[:-4]


def _wide(data: bytes) -> str:
    sample = data[:_SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 < len(sample):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"
