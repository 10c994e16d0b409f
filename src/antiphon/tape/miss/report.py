"""A miss in words: at most 30 lines of at most 110 columns of plain text, whatever the requests hold."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from antiphon.tape.miss.differ import Difference
from antiphon.tape.miss.words import WordChange

LINES = 30
COLUMNS = 110

#: Lines for the differences, and places shown of one string.
_DIFFERENCES = 15
_PLACES = 4
_PIECE = 36


def plain(text: str) -> str:
    """Without line breaks, without escape sequences, without anything that moves a cursor."""
    if text.isprintable():
        return text
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(one if one.isprintable() else named.get(one, f"\\u{ord(one):04x}") for one in text)


def report(
    opening: str,
    place: Sequence[str] = (),
    found: Sequence[Difference] = (),
    closing: Sequence[str] = (),
    command: str = "",
) -> str:
    """The parts of a report, each wrapped and held to its share of the lines."""
    lines = _wrap(opening, most=4)
    for sentence in place:
        lines += _wrap(sentence, most=3)
    lines += _differences(found)
    for sentence in closing:
        lines += _wrap(sentence, most=2)
    if command:
        lines += ["To record just this:", *_command(command)]
    assert len(lines) <= LINES
    return "\n".join(lines)


def clip(text: str, width: int) -> str:
    """The text, its middle left out where it is too long."""
    if len(text) <= width:
        return text
    tail = (width - 3) // 2
    return f"{text[: width - 3 - tail]} … {text[len(text) - tail :]}"


def _wrap(text: str, *, most: int, indent: str = "") -> list[str]:
    lines = textwrap.wrap(
        plain(text), COLUMNS, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
    if len(lines) > most:
        lines = [*lines[: most - 1], clip(lines[most - 1] + " …", COLUMNS)]
    return lines


def _differences(found: Sequence[Difference]) -> list[str]:
    lines: list[str] = []
    shown = 0
    for one in found:
        block = list(_difference(one))
        if lines and len(lines) + len(block) > _DIFFERENCES - 1:
            break
        lines += block
        shown += 1
    if shown < len(found):
        lines.append(f"  ... and {len(found) - shown} more differences.")
    return lines


def _difference(one: Difference) -> Iterable[str]:
    name = clip(plain(one.pointer), COLUMNS - 40)
    if one.words:
        count = f"{one.places} places differ" if one.places > 1 else "1 place differs"
        yield f"  {name}: {count}"
        for change in one.words[:_PLACES]:
            yield f"    {_words(change, COLUMNS - 4)}"
        if one.places > _PLACES:
            yield f"    ... and {one.places - _PLACES} more places."
    elif one.kind == "added":
        yield _line(f"  {name}: was not recorded: ", one.asked)
    elif one.kind == "removed":
        yield _line(f"  {name}: was recorded and is missing: ", one.recorded)
    elif one.kind == "moved":
        yield f"  {name}: the same entries in another order, from here on"
        yield _line("    recorded: ", one.recorded)
        yield _line("    asked:    ", one.asked)
    else:
        yield _line(f"  {name}: recorded: ", clip(plain(one.recorded), _PIECE - 10) + ", asked: " + one.asked)


def _line(start: str, text: str) -> str:
    return start + clip(plain(text), COLUMNS - len(start))


def _words(change: WordChange, width: int) -> str:
    """``…the quick [-brown-]{+red+} fox…``: what was recorded, what was asked, and what stands around them."""
    old = f"[-{clip(plain(change.recorded), _PIECE)}-]" if change.recorded else ""
    new = f"{{+{clip(plain(change.asked), _PIECE)}+}}" if change.asked else ""
    before, after = plain(change.before), plain(change.after)
    room = (width - len(old) - len(new)) // 2
    if len(before) > room:
        before = "…" + before[len(before) - room + 1 :]
    if len(after) > room:
        after = after[: room - 1] + "…"
    return f"{before}{old}{new}{after}"


def _command(command: str) -> list[str]:
    """On its own lines, to be copied: continued with a backslash where it is too long."""
    lines = textwrap.wrap(
        plain(command), COLUMNS - 6, break_on_hyphens=False, break_long_words=True, drop_whitespace=True
    )
    if len(lines) > 4:
        lines = [*lines[:3], "…"]
    return [f"  {line}" + (" \\" if n < len(lines) else "") for n, line in enumerate(lines, 1)]
