"""What a back end's refusal means, told from its words: vendor facts as tables.

The client sees the back end's own status, code, type, param and message; our key never stands in it. A refusal for
length is recognised whatever its wording, because ``truncation: auto`` and the learned context window depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from antiphon.errors import UpstreamError
from antiphon.upstream.door import ExchangeFailed, Headers

#: Reply headers of a refusal that help a client to wait rightly.
RETRY_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")

#: Wordings of "the prompt is too long". A group named ``limit`` is the model's context window in tokens.
TOO_LONG = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"maximum context length (?:is|of) (?P<limit>\d+)",  # OpenAI, vLLM, SGLang, OpenRouter
        r"maximum model length of (?P<limit>\d+)",  # vLLM
        r"max_model_len[^\d]{0,12}(?P<limit>\d+)",  # vLLM
        r"exceeds? the available context size[^\d]{0,8}(?P<limit>\d+)?",  # llama.cpp
        r"n_ctx[^\d]{0,6}(?P<limit>\d+)",  # llama.cpp, LM Studio
        r"context (?:length|window|size)(?: limit)? (?:of|is|:) (?P<limit>\d+)",  # Ollama, LM Studio, Together
        r"model'?s context (?:length|window|limit)[^\d]{0,40}(?P<limit>\d+)?",  # SGLang, Mistral
        r"input (?:is|length)[^.]{0,60}(?:too long|exceeds|longer than)[^\d]{0,60}(?P<limit>\d+)?",  # Ollama, TGI
        r"`?inputs`? tokens \+ `?max_new_tokens`? must be <= (?P<limit>\d+)",  # TGI
        r"prompt is too long[^>]*(?:> ?(?P<limit>\d+))?",  # Anthropic
        r"too many tokens[^\d]{0,60}",  # Cohere, Ollama
        r"context[_ ](?:length|window)[_ ]exceeded",
        r"reduce the length of the (?:messages|prompt|input)",  # Groq, OpenAI
        r"exceeds? (?:the )?(?:maximum|max)(?:imum)? (?:number of )?(?:input )?tokens?[^\d]{0,40}(?P<limit>\d+)?",
    )
)

#: Codes and types that say the same without words.
TOO_LONG_CODES = frozenset(
    {"context_length_exceeded", "context_window_exceeded", "exceed_context_size_error", "string_above_max_length"}
)

#: Fields of an error object where llama.cpp and others state the window itself.
WINDOW_FIELDS = ("n_ctx", "context_window", "max_context_length", "context_length", "max_model_len")

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}

_SECRETS = re.compile(r"\b(?:sk|pk|rk|hf|gsk|xai|nvapi|AIza)[-_][A-Za-z0-9_\-]{6,}|Bearer\s+[^\s\"',]+", re.IGNORECASE)


class ContextLengthExceeded(UpstreamError):
    """The prompt does not fit. ``context_window`` is the limit in tokens where the refusal told it."""

    def __init__(self, message: str, *, context_window: int | None = None, **rest: Any) -> None:
        super().__init__(message, **{"code": "context_length_exceeded", **rest})
        self.context_window = context_window


#: Longest text of a refusal that is passed on: room for the report of a call that is not on the tape. Characters.
MOST_TEXT = 8192


def scrub(text: str, secrets: Iterable[str] = (), limit: int = MOST_TEXT) -> str:
    """The text without our key and without anything shaped like one, cut to ``limit`` characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _SECRETS.sub("***", text)
    return text if len(text) <= limit else text[:limit] + "..."


def too_long(status: int, code: str | None, message: str, fields: Mapping[str, Any]) -> tuple[bool, int | None]:
    """Whether this refusal is about length, and the limit if it says so."""
    if status not in (400, 413, 422, 500) and status >= 300:
        return False, None
    stated = next((n for n in map(fields.get, WINDOW_FIELDS) if isinstance(n, int) and n > 0), None)
    found = code in TOO_LONG_CODES or fields.get("type") in TOO_LONG_CODES
    for pattern in TOO_LONG:
        match = pattern.search(message)
        if match:
            found = True
            if stated is None and "limit" in pattern.groupindex and match["limit"]:
                stated = int(match["limit"])
    return found, stated if found else None


def read_error(body: Any) -> dict[str, Any]:
    """The error object of a decoded body, in whichever of the known places it stands: ``{message, type, code, param}``
    and whatever else it held. ``message`` is "" where there is none."""
    found: Any = body
    if isinstance(body, list) and body:  # Gemini's OpenAI door wraps it in a list
        found = body[0]
    if isinstance(found, dict):
        for name in ("error", "detail", "errors"):
            if found.get(name):
                inner = found[name]
                found = inner if isinstance(inner, dict) else {**found, "message": inner}
                break
    if not isinstance(found, dict):
        found = {"message": found}
    message = found.get("message") or found.get("msg") or found.get("detail") or ""
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return {**found, "message": message}


def refusal(name: str, status: int, headers: Headers, body: bytes, secrets: Iterable[str] = ()) -> UpstreamError:
    """The error of a reply that is not 2xx, with the back end's own status and words.

    A redirect is not followed (our key would follow it), so it is a 502 that says where it pointed.
    """
    try:
        decoded: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        decoded = {"message": body.decode("utf-8", "replace").strip()}
    fields = read_error(decoded)
    kept = {k.lower(): v for k, v in headers if k.lower() in RETRY_HEADERS}
    if status < 400:
        place = scrub(next((v for k, v in headers if k.lower() == "location"), "elsewhere"), secrets, 200)
        return UpstreamError(
            f"The upstream '{name}' answered {status} and pointed to {place}; redirects are not followed.",
            code="upstream_redirect",
        )
    return stated(name, status, fields, kept, secrets)


def stated(
    name: str, status: int, fields: Mapping[str, Any], headers: Mapping[str, str], secrets: Iterable[str] = ()
) -> UpstreamError:
    """An error object of the back end as an exception; ``status`` is what the client shall see."""
    message = scrub(str(fields.get("message") or ""), secrets) or f"The upstream '{name}' answered {status}."
    code = fields.get("code")
    code = str(code) if isinstance(code, str) and not code.isdecimal() else None  # a number repeats the status
    kind = fields.get("type")
    kind = kind if isinstance(kind, str) and kind else _TYPES.get(status, "server_error")
    param = fields.get("param")
    param = param if isinstance(param, str) else None
    long, window = too_long(status, code, message, fields)
    if long:
        return ContextLengthExceeded(
            message, context_window=window, status=400, type="invalid_request_error", param=param, headers=headers
        )
    return UpstreamError(message, status=status, type=kind, code=code, param=param, headers=headers)


def unreachable(name: str, place: str, failure: ExchangeFailed) -> UpstreamError:
    """The error of an exchange that never reached a status line. ``place`` is host and port, nothing else."""
    status, code = {
        "connect": (502, "upstream_unreachable"),
        "timeout": (504, "upstream_timeout"),
        "broken": (502, "upstream_disconnected"),
        "refused": (502, "upstream_refused"),
    }[failure.kind]
    return UpstreamError(f"The upstream '{name}' at {place}: {failure.message}", status=status, code=code)


def in_stream(name: str, error: Any, secrets: Iterable[str] = ()) -> UpstreamError:
    """The error of an error object that came inside a stream. Its ``code`` may be a status; else it is a 502."""
    fields = read_error({"error": error})
    number = next((n for n in (fields.get("code"), fields.get("status")) if _is_status(n)), None)
    found = stated(name, int(number) if number is not None else 502, fields, {}, secrets)
    if found.code is None:
        found.code = _CODES.get(found.status, "upstream_error")
    return found


_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: "server_error", 503: "server_error"}


def _is_status(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal() and 400 <= int(value) <= 599 if len(value) == 3 else False
    return isinstance(value, int) and 400 <= value <= 599
