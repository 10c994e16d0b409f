"""How a tape behaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from antiphon.tape.model import Boundary, Mode

#: What a recording keeps of its timing.
Timing = Literal["none", "summary", "exact"]
#: What a repeat gets that was not recorded.
Exhausted = Literal["last", "cycle", "error"]


class Settings(msgspec.Struct, frozen=True):
    """How a tape behaves.

    ``modes`` overrides ``mode`` for a boundary. ``strict``: a repeat that was not recorded is an error, as is a match
    by a relaxed rule. ``exhausted``: what a repeat gets otherwise. ``timing`` is what recordings keep of it; ``speed``
    plays it (1.0 as recorded, 10.0 ten times faster, None at once). ``volatile`` and ``relax`` as in ``canon.Rules``.
    ``budget``: tokens after which nothing more is recorded. ``allow``: what only looks like a secret.
    """

    directory: str
    mode: Mode = "replay"
    modes: Mapping[Boundary, Mode] = {}
    strict: bool = False
    exhausted: Exhausted = "last"
    timing: Timing = "none"
    speed: float | None = None
    volatile: tuple[str, ...] = ()
    relax: tuple[str, ...] = ()
    budget: int | None = None
    allow: tuple[str, ...] = ()
    read_llama_stack: bool = True
