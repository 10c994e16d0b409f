"""Markers in the model's text that stand for sources: taken out as the text comes, told as annotations.

A marker is ``<|key|>``. The one space before it goes with it. A key that is not known, but looks like those that are,
is taken out and not told: the model made it up. Offsets count characters of the text as it is left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

#: An annotation in its place.
Annotation: TypeAlias = dict[str, Any]

#: Longer than any key; what is held back never grows over it.
_LONGEST = 160
_MARKER = re.compile(r" ?<\|([A-Za-z0-9_.:\-]{1,128})\|>")
#: The beginning of what may become a marker, at the end of the text so far.
_BEGUN = re.compile(r" $| ?<(\|([A-Za-z0-9_.:\-]{0,128}\|?)?)?$")
#: After these a new sentence begins.
_STOPS = re.compile(r"[.!?\n]\s+|\n")


class Citations:
    """The markers of one text. ``known``: key to annotation without its place; an empty one only says that there are
    keys of this kind."""

    __slots__ = ("_held", "_kinds", "_known", "_length", "_sentence")

    def __init__(self, known: Mapping[str, Annotation]) -> None:
        self._known = known
        self._kinds = {_kind(key) for key in known}
        self._held = ""
        self._length = 0
        self._sentence = ""  # the text since the last citation or stop, from which on a link is told

    def feed(self, text: str) -> list[str | Annotation]:
        """Text without markers, and annotations after the text that they belong to. Pieces may be held back."""
        text = self._held + text
        self._held = ""
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST))
        if begun is not None:
            text, self._held = text[: begun.start()], text[begun.start() :]
        return self._pieces(text)

    def flush(self) -> list[str | Annotation]:
        """The text is over: what was held back was no marker."""
        text, self._held = self._held, ""
        return self._pieces(text)

    def _pieces(self, text: str) -> list[str | Annotation]:
        out: list[str | Annotation] = []
        at = 0
        for marker in _MARKER.finditer(text):
            key = marker[1]
            annotation = self._known.get(key)
            if annotation is None and _kind(key) not in self._kinds:
                continue  # somebody else's angle brackets
            self._say(text[at : marker.start()], out)
            at = marker.end()
            if annotation:
                out.append(self._placed(annotation))
        self._say(text[at:], out)
        return out

    def _say(self, text: str, out: list[str | Annotation]) -> None:
        if text:
            out.append(text)
            self._length += len(text)
            self._sentence += text

    def _placed(self, annotation: Annotation) -> Annotation:
        if annotation["type"] != "url_citation":
            return {**annotation, "index": self._length}
        said = self._sentence.rstrip()
        stops = [stop.end() for stop in _STOPS.finditer(said)]
        said = said[stops[-1] if stops else 0 :].lstrip()
        self._sentence = self._sentence if not said else ""
        end = self._length
        return {**annotation, "start_index": end - len(said), "end_index": end}


def _kind(key: str) -> str:
    """What keys of one kind have in common: the letters before the first ``-``."""
    return key.partition("-")[0]
