"""Version 1 of the canonical form.

Once recordings are made with a version it does not change: another equivalence is another version. The JSON value of a
request says what was asked and of whom, host and credentials left out, with every field that says nothing left out.
"""

from __future__ import annotations

from typing import Any

from antiphon.tape.canon import chat, endpoints, jsonrpc
from antiphon.tape.canon.ids import renamed
from antiphon.tape.canon.parsing import MATCHED_HEADERS
from antiphon.tape.canon.paths import asked, endpoint
from antiphon.tape.canon.rules import Rules
from antiphon.tape.canon.values import numbers
from antiphon.tape.model import (
    BinaryBody,
    Body,
    FormBody,
    Headers,
    HttpRequest,
    Json,
    JsonBody,
    Part,
    Request,
    TextBody,
)


def form(request: Request, rules: Rules) -> Json:
    """``{provider, tool, arguments}`` of a tool; of HTTP ``{method, path, query, headers, body}``, less the empty."""
    if not isinstance(request, HttpRequest):
        # Ids stay: an argument is what is asked for.
        arguments = numbers(rules.value(request.arguments))
        return {"provider": request.provider, "tool": request.tool, "arguments": arguments}
    path = endpoint(request.path)
    fields = {
        "method": request.method.upper(),
        "path": rules.text(path),
        "query": [[name, rules.text(value)] for name, value in asked(request.query)],
        "headers": _headers(request.headers),
        "body": _body(request.body, path, rules),
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _headers(headers: Headers) -> list[list[str]]:
    """Those that matter. Lists of features are sets: their order says nothing."""
    out: dict[str, set[str]] = {}
    for name, value in headers:
        if name.lower() in MATCHED_HEADERS:
            out.setdefault(name.lower(), set()).update(one.strip() for one in value.split(",") if one.strip())
    return [[name, ",".join(sorted(values))] for name, values in sorted(out.items())]


def _body(body: Body | None, path: str, rules: Rules) -> Json:
    match body:
        case None:
            return None
        case JsonBody(value):
            return {"json": _json(rules.value(value), path)}
        case FormBody(parts):
            return {"form": [_part(part, rules) for part in parts]}
        case _:
            return _raw(body, rules)


def _json(value: Any, path: str) -> Json:
    value = numbers(value)
    if jsonrpc.is_rpc(value):
        return jsonrpc.plain(value)
    if endpoints.is_chat(path, value):
        return renamed(*chat.tidy(value))
    value = endpoints.plain(path, value)
    return renamed(value) if endpoints.renames_ids(path) else value


def _part(part: Part, rules: Rules) -> Json:
    fields = {"name": part.name, "filename": part.filename, "type": part.body.type or None, **_raw(part.body, rules)}
    return {name: value for name, value in fields.items() if value is not None}


def _raw(body: TextBody | BinaryBody, rules: Rules) -> dict[str, Any]:
    if isinstance(body, TextBody):
        return {"text": rules.text(body.text)}
    return {"sha256": body.sha256, "size": body.size}
