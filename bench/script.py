"""What a benchmark model says: its name holds how many tokens it streams and how fast. Pure, shared by both ends.

``bench-100`` streams 100 tokens at 200 a second, ``bench-100-50`` the same at 50 a second, ``bench-100-200-step``
ticks together with every other stream of that rate, as the streams of one inference engine do. The mock back end
writes what a script says and the load generator checks that exactly this arrived, so a server that drops or repeats a
token is found out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_RATE = 200
_NAME = re.compile(r"bench-([1-9]\d{0,5})(?:-([1-9]\d{0,3}))?(-step)?")


@dataclass(frozen=True, slots=True)
class Script:
    """``tokens`` pieces of text at ``rate`` a second; ``step``: at the same moments as every other such stream."""

    tokens: int
    rate: int = DEFAULT_RATE
    step: bool = False

    @property
    def model(self) -> str:
        """The model name that asks for this script."""
        name = f"bench-{self.tokens}"
        if self.step:
            return f"{name}-{self.rate}-step"
        return name if self.rate == DEFAULT_RATE else f"{name}-{self.rate}"

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(token(k) for k in range(self.tokens))


def parse(model: str) -> Script | None:
    """The script a model name asks for, or None when it is no benchmark model."""
    found = _NAME.fullmatch(model)
    if found is None:
        return None
    tokens, rate, step = found.groups()
    return Script(int(tokens), int(rate) if rate else DEFAULT_RATE, step is not None)


def token(k: int) -> str:
    """The text of token ``k``, about as long as a real one and free of characters that JSON escapes."""
    return f" word{k}"
