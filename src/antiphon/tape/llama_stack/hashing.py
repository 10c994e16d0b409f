"""Their name for a request: the hash that their recorder looks a file up by.

Promise: what their recorder computes today. About one file in seven was named by an older rule and is found by our own
key only.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import msgspec

from antiphon.tape.llama_stack.places import find
from antiphon.tape.llama_stack.requests import Unexportable, write
from antiphon.tape.model import NO_SCOPE, HttpRequest, Json, JsonBody, Request

#: Bodies that hold no arguments.
_NOTHING = (None, JsonBody({}))
#: The paths whose hash leaves out the test. No path they ever ask for is among them but the first.
_SHARED = frozenset({"/api/tags", "/v1/models", "/v1/openai/v1/models"})

_UUID = "[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"
#: What a search over the same files answers differently each time, in the text handed to the model.
_NOISE = (
    (re.compile(r"score:\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"), "score: __NORMALIZED__"),
    (re.compile(r",?\s*attributes:\s*\{[^}]*\}"), ""),
    (re.compile(rf"document_id:\s*{_UUID}"), "document_id: __NORMALIZED__"),
    (re.compile(rf"<\|{_UUID}\|>"), "<|__NORMALIZED__|>"),
)
_LONG_DECIMAL = re.compile(r"-?\d+\.\d{4,}")
#: ``<hash>.json`` and ``models-<hash>-<digest>.json``; the oldest names are the first twelve digits.
_NAME = re.compile(r"(?:models-([0-9a-f]{64})-[0-9a-f]{8}|([0-9a-f]{64}|[0-9a-f]{12}))")


def their_key(request: Request, test_id: str, *, provider: str = "", url: str = "") -> str:
    """Their hash (64 hex digits) of ``request`` asked by the test ``test_id``, which may be ``NO_SCOPE``.

    ``url`` is that of the live call: the hosts of ``/v1/messages``, ``/interactions`` and reranking count. Without it
    the usual host of ``provider`` stands in. What their files call a POST of nothing is a GET, and is found in either
    way. Empty for a request that they could not have recorded.
    """
    if isinstance(request, HttpRequest) and request.method == "POST" and request.body in _NOTHING:
        get = msgspec.structs.replace(request, method="GET", body=None)
        request = get if find("GET", get.path).family != "http" else request
    try:
        theirs = write(request, provider=provider, url=url)
    except Unexportable:
        return ""
    return digest(theirs, test_id)


def digest(theirs: dict[str, Any], test_id: str | None) -> str:
    """Their hash of a request in their own form."""
    test = None if test_id == NO_SCOPE else test_id
    if "payload" in theirs:
        payload = normalised(theirs["payload"])
        return _sha256({"test_id": test, "url": theirs["url"], "method": theirs["method"].upper(), "payload": payload})
    if "tool_name" in theirs:
        return _sha256({name: theirs[name] for name in ("provider", "tool_name", "kwargs")})
    if "file_id" in theirs:
        # Nothing looks these up any more, and the rule that named the last of them is lost.
        return _sha256({name: theirs[name] for name in ("provider", "api", "file_id")})
    parts = urlsplit(theirs["url"])
    body = normalised(theirs["body"])
    if "bedrock" in parts.netloc:
        body.pop("stream_options", None)
    material = {"method": theirs["method"].upper(), "endpoint": parts.path, "body": body}
    return _sha256(material if parts.path in _SHARED else {**material, "test_id": test})


def normalised(value: Json, *, root: bool = True) -> Json:
    """``value`` as it is hashed. Every element of a list counts as a root, as it does there."""
    if isinstance(value, dict):
        result = {name: normalised(item, root=False) for name, item in value.items()}
        for extra in (result.get("extra_body"), result.get("extra_query")) if root else ():
            if isinstance(extra, dict):
                extra.pop("project_id", None)
        return result
    if isinstance(value, list):
        return [normalised(item) for item in value]
    if isinstance(value, float):
        return round(value, 5)
    return _text(value) if isinstance(value, str) else value


def file_key(path: str | PurePath) -> str:
    """The hash in a file's name (64 digits, or the first 12 in the oldest), or empty when the name holds none."""
    found = _NAME.fullmatch(PurePath(path).name.removesuffix(".json"))
    return "" if found is None else found[1] or found[2]


def model_digest(names: list[str]) -> str:
    """The tail of the name of a list of models, which tells one set of models from another."""
    return hashlib.sha256("|".join(sorted(set(names))).encode()).hexdigest()[:8]


def _text(value: str) -> str:
    for noise, instead in _NOISE:
        value = noise.sub(instead, value)
    return _LONG_DECIMAL.sub(lambda number: f"{float(number[0]):.5f}", value)


def _sha256(material: Json) -> str:
    return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()
