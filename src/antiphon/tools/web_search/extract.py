"""A page's bytes as text. Pure, slow for large pages, and safe with hostile ones.

The main text of HTML is found by trafilatura where it is installed and finds any, and the page is not too large for it;
else everything that a reader would see is taken, in order (``visible``).
"""

from __future__ import annotations

import codecs
import html
import logging
import re

import msgspec

from antiphon.tools.web_search.visible import visible_text, without_raw

#: Characters of HTML of which any text is taken; what follows is left.
MAX_HTML = 3_000_000
#: Characters of HTML in which the main text is looked for: that takes seconds for a million. Of more all text is taken.
_MAX_MAIN = 400_000
#: A title that is not among the first so many is none.
_MAX_HEAD = 100_000
#: Main text shorter than this is compared with all text of the page.
_SHORT = 300

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(r"text/.+|application/(.+\+)?(json|xml|yaml|toml|javascript|ndjson|x-ndjson)")
_UNSTATED = frozenset({"application/octet-stream", "binary/octet-stream"})
_LOOKS_HTML = re.compile(rb"<(!doctype\s{1,9}html|html|head|body|p)\b", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_.:-]{1,40})", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]{0,500}>(.{0,1000}?)</title", re.IGNORECASE | re.DOTALL)
_PLAIN_TITLE = re.compile(r"\s*#\s+(\S.{0,300})")

#: Encodings that browsers know; others of Python's are no text, or take quadratic time.
_NAMES = (
    "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be cp866 koi8-r koi8-u mac-roman gb2312 gbk gb18030 big5 big5hkscs euc_jp "
    "iso2022_jp shift_jis cp932 euc_kr cp949 tis-620 cp874 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 "
    "cp1258 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13 iso8859-14 "
    "iso8859-15 iso8859-16"
)
_CHARSETS = frozenset(_NAMES.split())
#: Labels that browsers read as Windows' Latin letters.
_LATIN = frozenset({"ascii", "iso8859-1"})


class NotText(Exception):
    """The page is something else; the text says what: ``a PDF file``."""


class Page(msgspec.Struct, frozen=True):
    """A page as it is read. ``title`` may be empty. ``whole``: nothing of it was left out for its size."""

    title: str
    text: str
    whole: bool = True


def page(content: bytes, media_type: str, charset: str | None) -> Page:
    """The text of a page. Raises ``NotText``."""
    if content.startswith(b"%PDF-") or media_type == "application/pdf":
        raise NotText("a PDF file")
    if media_type in _UNSTATED and b"\0" not in content[:4096]:
        media_type = "text/html" if _LOOKS_HTML.search(content[:4096]) else "text/plain"
    if media_type in _HTML:
        return _of_html(decoded(content, charset))
    if _TEXT.fullmatch(media_type):
        text = decoded(content, charset)
        title = _PLAIN_TITLE.match(text)
        return Page(title[1].strip() if title else "", text.strip())
    raise NotText(f"of the type {media_type}")


def decoded(content: bytes, charset: str | None) -> str:
    """Text in the charset that the server says, else the page itself, else UTF-8. Odd bytes are replaced."""
    if charset is None and (said := _META_CHARSET.search(content[:4096])) is not None:
        charset = said[1].decode("ascii")
    for bom, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if content.startswith(bom):
            charset = name
    if charset is None:
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("cp1252", "replace")
    return content.decode(_codec(charset), "replace")


def _codec(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        return "utf-8"
    return "cp1252" if name in _LATIN else name if name in _CHARSETS else "utf-8"


def _of_html(source: str) -> Page:
    whole = len(source) <= MAX_HTML
    source = source[:MAX_HTML]
    found = _TITLE.search(source[:_MAX_HEAD])
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    if len(source) > _MAX_MAIN:
        source = without_raw(source)
    text = _main_text(source) if len(source) <= _MAX_MAIN else ""
    if len(text) < _SHORT:
        text = max(text, visible_text(source), key=len)
    return Page(title, text, whole)


def _main_text(source: str) -> str:
    """The main text, with headings, lists and tables in Markdown; empty where none is found."""
    try:
        import trafilatura
    except ImportError:
        return ""
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # each odd page would be an error of ours
    try:
        found = trafilatura.extract(source, output_format="markdown", include_comments=False, include_tables=True)
    except Exception:  # noqa: BLE001 - a hostile page may break it anywhere, and the plain reading is left
        return ""
    return str(found or "").strip()
