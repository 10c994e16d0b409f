"""Numbers for the secrets of one exchange: the same secret, the same number.

Numbers are given by first appearance in a fixed order, so that they follow from the request alone. In a replayed run
a request holds the placeholders of earlier answers where the recorded one held secrets: a placeholder takes part as the
secret that has its number, so that both requests come out equal.
"""

from __future__ import annotations

from antiphon.tape.marks import PLACEHOLDER
from antiphon.tape.secrets.hits import STANDING, Hit


class Ledger:
    """What each secret of one exchange is shown as."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._standing: dict[int, int] = {}
        self._secret: set[int] = set()

    def place(self, hit: Hit) -> str:
        """The placeholder for a hit."""
        if hit.env:
            return f"{{{{env:{hit.env}}}}}"
        if hit.kind == STANDING:
            return f"<secret:{self._stood(hit)}>"
        if hit.value not in self._numbers:
            self._numbers[hit.value] = self._next()
            self._secret.add(self._numbers[hit.value])
        return f"<secret:{self._numbers[hit.value]}>"

    def replaced(self, text: str, hits: list[Hit]) -> str:
        """The text with every hit replaced."""
        out: list[str] = []
        at = 0
        for hit in hits:
            out += text[at : hit.start], self.place(hit)
            at = hit.end
        return "".join([*out, text[at:]])

    def _stood(self, hit: Hit) -> int:
        placeholder = PLACEHOLDER.fullmatch(hit.value)
        number = int(placeholder[1]) if placeholder else 0
        if number not in self._standing:
            self._standing[number] = number if number in self._secret else self._next()
        return self._standing[number]

    def _next(self) -> int:
        return max([*self._numbers.values(), *self._standing.values()], default=0) + 1
