"""When two requests are the same: parsing, the versioned canonical form, and its key.

``parse`` makes of a call the request that is matched; ``key`` is equal for exactly the requests that mean the same,
as far as the tables here go, whatever their spelling. Nothing is matched by likeness.
"""

from __future__ import annotations

from antiphon.tape.canon.forms import VERSIONS, Rewrite, canonical, key
from antiphon.tape.canon.parsing import MATCHED_HEADERS, parse
from antiphon.tape.canon.paths import endpoint
from antiphon.tape.canon.rules import EXACT, RELAXATIONS, VERSION, BadRuleError, Rules

__all__ = [
    "EXACT",
    "MATCHED_HEADERS",
    "RELAXATIONS",
    "VERSION",
    "VERSIONS",
    "BadRuleError",
    "Rewrite",
    "Rules",
    "canonical",
    "endpoint",
    "key",
    "parse",
]
