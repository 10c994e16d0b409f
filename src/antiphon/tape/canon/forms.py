"""The versions of the canonical form, and the key of a request: the one place that knows which versions there are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from antiphon.tape.canon import version1
from antiphon.tape.canon.rules import EXACT, BadRuleError, Rules
from antiphon.tape.marks import PLACEHOLDER
from antiphon.tape.model import Json, Request

#: A matcher of one's own: it takes away from a request what shall not matter, before anything else looks at it.
Rewrite: TypeAlias = Callable[[Request], Request]

#: Every version that a recording may have been made with. A new one is one more entry.
VERSIONS: dict[int, Callable[[Request, Rules], Json]] = {1: version1.form}

#: Stands for every secret, and what its marks begin with.
_MARK = "<secret>"
_SIGNS = ("<secret:", "{{env:")

_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical(request: Request, rules: Rules = EXACT, *, rewrite: Rewrite | None = None) -> Json:
    """The one JSON value of all requests that mean the same. Raises ``BadRuleError`` for an unknown version."""
    return marked(_form(request, rules, rewrite))


def key(request: Request, rules: Rules = EXACT, *, rewrite: Rewrite | None = None) -> str:
    """The sha256, in hex, of the canonical form. The version is no part of it: what is the same keeps its key."""
    form = _form(request, rules, rewrite)
    data = _encoded(form)
    if b"{{env:" in data or (b"<" in data and b"<secret:" in data):  # rarely: to walk through each would cost more
        data = _encoded(marked(form))
    return hashlib.sha256(data).hexdigest()


def _form(request: Request, rules: Rules, rewrite: Rewrite | None) -> Json:
    form = VERSIONS.get(rules.version)
    if form is None:
        raise BadRuleError(f"there is no version {rules.version} of the canonical form; there are {sorted(VERSIONS)}")
    return form(request if rewrite is None else rewrite(request), rules)


def marked(value: Json) -> Json:
    """The value with one mark for whatever stands where a secret stood: which it was depends on who replaced it."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(_MARK, value) if any(sign in value for sign in _SIGNS) else value
    if isinstance(value, dict):
        return {marked(name): marked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [marked(inner) for inner in value]
    return value


def _encoded(form: Json) -> bytes:
    try:
        return _ENCODER.encode(form)
    except UnicodeEncodeError:
        # Half a character, in the arguments of a tool that were never JSON text.
        return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
