"""Names of files and directories: for people, safe on every file system, and unique by hash where words are not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from antiphon.tape.model import NO_SCOPE, HttpRequest, JsonBody, Request

#: Holds what git must not see.
PRIVATE = ".tape"
VARIABLES = "variables.json"

_SLUG = 40
_NAME_SLUG = 52
_KEY_SHOWN = 12
_UNSAFE = re.compile(r"[^a-z0-9._-]+")
_WORDS = re.compile(r"[a-z0-9]+")


def scope_directory(scope: str) -> str:
    """The directory of a scope: safe on every file system, and never the same for two scopes."""
    if scope == NO_SCOPE:
        return ""
    slug = _UNSAFE.sub("-", scope.lower()).strip("-.")[:_SLUG].rstrip("-.")
    if slug == scope:
        return slug
    return f"{slug}-{hashlib.sha256(scope.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def file_name(request: Request, key: str) -> str:
    """The name of its file without ending: for people, of what was asked, and unique by the key."""
    words = _WORDS.findall(" ".join(_topic(request))[:200].lower())
    slug = "-".join(words)[:_NAME_SLUG].strip("-") or "call"
    return f"{slug}--{key[:_KEY_SHOWN]}"


def _kind(request: Request) -> str:
    """The model that is asked, else the last part of where the call goes."""
    if not isinstance(request, HttpRequest):
        return f"{request.provider}/{request.tool}"
    body = request.body.value if isinstance(request.body, JsonBody) else None
    model = body.get("model") if isinstance(body, dict) else None
    named = model.rpartition("/")[2] if isinstance(model, str) else ""
    return named or request.path.rstrip("/").rpartition("/")[2]


def _topic(request: Request) -> Iterator[str]:
    yield _kind(request)
    if not isinstance(request, HttpRequest):
        if isinstance(request.arguments, dict):
            yield from (value for value in request.arguments.values() if isinstance(value, str))
        return
    if not isinstance(request.body, JsonBody) or not isinstance(request.body.value, dict):
        return
    value = request.body.value
    said = value.get("messages") or value.get("input") or value.get("prompt")
    for message in reversed(said) if isinstance(said, list) else (said,):
        text = message.get("content") if isinstance(message, dict) else message
        if isinstance(message, dict) and message.get("role") not in ("user", None):
            continue
        if isinstance(text, list):
            text = " ".join(
                part["text"] for part in text if isinstance(part, dict) and isinstance(part.get("text"), str)
            )
        if isinstance(text, str):
            yield text
            return
