"""A miss explains itself: why there is no recording of a call, which one is nearest, and what is different in it."""

from __future__ import annotations

from antiphon.tape.miss.differ import Difference
from antiphon.tape.miss.explanation import Miss, Reason, explain
from antiphon.tape.miss.nearest import Candidate
from antiphon.tape.miss.sketch import Sketch, sketch
from antiphon.tape.miss.turns import Asked
from antiphon.tape.miss.words import WordChange

__all__ = ["Asked", "Candidate", "Difference", "Miss", "Reason", "Sketch", "WordChange", "explain", "sketch"]
