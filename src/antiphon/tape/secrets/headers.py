"""The headers a recording keeps: of requests those that can change an answer, of responses those a client acts on.

Both are lists of what may stay. Whatever is not on them is never written: no authorization, no cookie, no account name.
"""

from __future__ import annotations

from antiphon.tape.model import Headers
from antiphon.tape.secrets.hits import words

_REQUEST = words("anthropic-version anthropic-beta openai-beta prefer")
_RESPONSE = words("content-type location openai-version retry-after retry-after-ms www-authenticate x-should-retry")
_FAMILIES = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit-")
#: A client sends its session back, so there must be one; which one differs from run to run, and it opens doors.
_SESSION = "mcp-session-id"
SESSION = "recorded"


def request_headers(headers: Headers) -> Headers:
    """Those that can change an answer, lowercase, in their order."""
    return tuple((name.lower(), value) for name, value in headers if name.lower() in _REQUEST)


def response_headers(headers: Headers) -> Headers:
    """Those a client acts on, as they came, in their order. A session's id becomes the same word in every recording."""
    kept = [(name, SESSION if name.lower() == _SESSION else value) for name, value in headers if _kept(name.lower())]
    return tuple(kept)


def _kept(name: str) -> bool:
    return name in _RESPONSE or name == _SESSION or name == "ratelimit" or name.startswith(_FAMILIES)
