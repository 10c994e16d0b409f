"""A configuration that may be shown: every key, and every password inside a URL, replaced by stars."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from antiphon.config import Config, tree

STARS = "********"

_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&#]*(?:key|token|secret|passw|pwd|sig)[^=&#]*=)[^&#]*")


def masked(config: Config) -> dict[str, Any]:
    """The tree as plain values, secrets masked."""
    return _masked(config)


def masked_url(url: str, *, hide_user: bool = True) -> str:
    """The URL without its password, its user (if asked) and the secrets among its parameters.

    What stands before the last ``@`` counts as user and password: a password that was pasted in without escaping its
    ``/`` or ``?`` must not show, even where that hides more than it had to.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return STARS if "@" in url else url
    front, at, host = rest.rpartition("@")
    if at:
        user, colon, _ = front.partition(":")
        front = STARS if hide_user else user + (f":{STARS}" if colon else "")
    return f"{scheme}://{front}{at}" + _SECRET_PARAMETER.sub(lambda found: found[1] + STARS, host)


def _masked(struct: msgspec.Struct) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, key in tree.keys(type(struct)).items():
        value = getattr(struct, name)
        if isinstance(value, msgspec.Struct):
            out[name] = _masked(value)
        elif tree.named(key) is not None:
            out[name] = {each: _masked(inner) for each, inner in value.items()}
        elif value is None or not key.hide:
            out[name] = value
        elif isinstance(value, dict):
            out[name] = dict.fromkeys(value, STARS)
        else:
            out[name] = STARS if key.hide == "all" else masked_url(value, hide_user=key.hide == "user")
    return out
