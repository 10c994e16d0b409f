"""All text that a reader of an HTML page would see, in order.

Pure, and linear in the size of the page whatever it holds, which the standard library's parser is not.
It is no parser: it goes from tag to tag and keeps no tree.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_TAG_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9-]{0,20})")

#: What stands in these is no markup, and nobody reads it here.
_RAW = frozenset({"script", "style", "noscript", "template", "title", "textarea", "iframe", "svg", "select", "button"})
#: Around a page's text, and the same on all pages of a site.
_AROUND = frozenset({"nav", "header", "footer", "aside"})
_BLOCK_NAMES = (
    "address article blockquote body br dd div dl dt fieldset figcaption figure form h1 h2 h3 h4 h5 h6 hr li main ol p "
    "pre section table tbody td th thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split()) | _AROUND
_MARKS = {"li": "- ", **{f"h{n}": "#" * n + " " for n in range(1, 7)}}


def visible_text(source: str) -> str:
    """One line a block, headings and list items marked as in Markdown; what is around only where there is no more."""
    lines: list[tuple[str, bool]] = []
    pieces: list[str] = []
    mark, around = "", 0

    def end() -> None:
        nonlocal mark
        line = " ".join(html.unescape("".join(pieces)).split())
        pieces.clear()
        if line:
            lines.append((mark + line, around > 0))
            mark = ""

    for name, text in _pieces(source):
        pieces.append(text)
        bare = name.removeprefix("/")
        if bare in _BLOCKS:
            end()
            mark = _MARKS.get(name, "" if bare in _MARKS else mark)
        if bare in _AROUND:
            around = max(0, around + (1 if bare == name else -1))
    end()
    return "\n".join(line for line, outer in lines if not outer) or "\n".join(line for line, _ in lines)


def without_raw(source: str) -> str:
    """The page without comments and what is never read: scripts, styles, drawings."""
    return "".join(f"{text}<{name}>" if name else text for name, text in _pieces(source))


def _pieces(source: str) -> Iterator[tuple[str, str]]:
    """The text before each tag, and its name, ``/`` before it where it ends something; last the text after all."""
    at = 0
    endless: set[str] = set()
    while (start := source.find("<", at)) >= 0:
        text, tag = source[at:start], _TAG_NAME.match(source, start)
        if source.startswith("<!--", start):
            close, width, name = source.find("-->", start + 4), 3, ""
        elif tag is not None or source.startswith(("<!", "<?"), start):
            close, width = source.find(">", start), 1
            name = "" if tag is None else ("/" if source[start + 1] == "/" else "") + tag[1].lower()
        else:
            close, width, name = start, 1, ""
            text += "<"
        if close < 0:  # it never ends: nothing that follows is text
            yield "", text
            return
        at = close + width
        if name in _RAW:
            at = _raw_end(source, name, at, endless)
            name = ""
        yield name, text
    yield "", source[at:]


def _raw_end(source: str, name: str, start: int, endless: set[str]) -> int:
    """Behind the end of raw text; where it has none, behind its beginning. ``endless``: what is known to have none."""
    if name in endless:
        return start
    found = re.compile(rf"</{name}[^>]{{0,100}}>", re.IGNORECASE).search(source, start)
    if found is None:
        endless.add(name)
        return start
    return found.end()
