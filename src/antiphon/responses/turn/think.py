"""Reasoning that a model writes into its answer, between ``<think>`` and ``</think>``.

Only at the start of the answer: further on, the tag is text like any other. The tags may be cut anywhere by the stream;
what could still become a tag is held back, and nothing else is. White space before ``<think>``, right after it, and
right after ``</think>`` belongs to the tags and is dropped.
"""

from __future__ import annotations

from typing import Literal

_OPEN = "<think>"
_CLOSE = "</think>"
#: A model that goes on with nothing but white space is not kept waiting for a tag.
_MAX_SPACE = 256

Voice = Literal["text", "reasoning"]


class ThinkTags:
    """Splits an answer into reasoning and text: ``feed`` it in pieces, get ``(voice, text)`` pairs; then ``flush``."""

    __slots__ = ("_held", "_skip_space", "_voice", "settled")

    def __init__(self, enabled: bool = True) -> None:
        self.settled = not enabled
        """From here on everything is text: ``feed`` need not be asked any more."""
        self._voice: Voice | None = None
        self._held = ""
        self._skip_space = False

    @property
    def tagged(self) -> bool:
        """Whether the answer began with reasoning."""
        return self._voice == "reasoning" or self._skip_space

    def feed(self, piece: str) -> list[tuple[Voice, str]]:
        """What is certain after this piece."""
        if self.settled:
            return [("text", piece)]
        if not piece:
            return []
        if self._voice is None and not self._held and (start := piece.lstrip()) and start[0] != "<":
            self._voice, self.settled = "text", True  # as nearly all answers begin
            return [("text", piece)]
        self._held += piece
        if self._voice is None and not self._begin():
            return []
        out: list[tuple[Voice, str]] = []
        if self._voice == "reasoning":
            self._reason(out)
        if self._voice == "text":
            self._speak(out)
        return out

    def flush(self) -> list[tuple[Voice, str]]:
        """What was held back, now that something else than this answer's text comes, or nothing at all.

        Reasoning whose end has not come yet goes on afterwards; everything else is settled as text.
        """
        held, self._held = self._held, ""
        if self._voice == "reasoning":
            return [("reasoning", held)] if held else []
        self.settled = True
        return [("text", held)] if held else []

    def _begin(self) -> bool:
        """Reads the beginning of the answer; false while it may still become the tag."""
        start = self._held.lstrip()
        if len(self._held) - len(start) > _MAX_SPACE:
            self._voice = "text"
        elif start.startswith(_OPEN):
            self._voice, self._held, self._skip_space = "reasoning", start[len(_OPEN) :], True
        elif _OPEN.startswith(start):
            return False
        else:
            self._voice = "text"
        return True

    def _reason(self, out: list[tuple[Voice, str]]) -> None:
        held = self._held.lstrip() if self._skip_space else self._held
        end = held.find(_CLOSE)
        ready = end if end >= 0 else len(held) - _tag_beginning(held)
        if ready:
            out.append(("reasoning", held[:ready]))
            self._skip_space = False
        if end >= 0:
            self._voice, self._held, self._skip_space = "text", held[end + len(_CLOSE) :], True
        else:
            self._held = held[ready:]

    def _speak(self, out: list[tuple[Voice, str]]) -> None:
        held = self._held.lstrip() if self._skip_space else self._held
        self._held = ""
        if held:
            out.append(("text", held))
            self.settled = True


def _tag_beginning(text: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of the closing tag."""
    for size in range(min(len(_CLOSE) - 1, len(text)), 0, -1):
        if _CLOSE.startswith(text[-size:]):
            return size
    return 0
