"""An exchange as one of their files, so that their recorder plays it.

Promise: read back, it means the same. What their form cannot hold is either kept in members that their recorder does
not look at (a status, headers, the name of a provider) or refused; read boundaries and timing are lost.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from antiphon.tape.llama_stack import failures, gemini, requests
from antiphon.tape.llama_stack.dumps import labelled, tool_result
from antiphon.tape.llama_stack.frames import events, split_lines
from antiphon.tape.llama_stack.hashing import digest, model_digest
from antiphon.tape.llama_stack.places import Place
from antiphon.tape.llama_stack.requests import Unexportable
from antiphon.tape.model import Exchange, HttpRequest, HttpResponse, Json, ToolResponse

__all__ = ["Unexportable", "export"]

#: Where their recorder looks besides the folder of the test, below the root of a checkout.
_COMMON = "tests/integration/common/recordings"


def export(exchange: Exchange, *, url: str = "") -> tuple[str, bytes]:
    """The file for ``exchange``: its path below the root of their checkout, and its bytes.

    ``url``: of the other side, when the usual host of the provider is not the one. Raises ``Unexportable``.
    """
    theirs = requests.write(exchange.request, provider=exchange.provider, url=url)
    test_id = exchange.scope or None
    key = digest(theirs, test_id)
    response, tail = _response(exchange, key)
    if "body" not in theirs:
        theirs = {"test_id": test_id, **theirs}
    document = {"test_id": test_id, "request": theirs, "response": response, "id_normalization_mapping": {}}
    name = f"models-{key}-{tail}.json" if tail else f"{key}.json"
    return f"{_folder(exchange.scope)}/{name}", json.dumps(document, indent=2).encode() + b"\n"


def _response(exchange: Exchange, key: str) -> tuple[dict[str, Any], str]:
    """Their response, and the digest of the models it lists when it lists models."""
    response, request = exchange.response, exchange.request
    if isinstance(response, ToolResponse) or not isinstance(request, HttpRequest):
        return _tool(exchange), ""
    place = requests.place_of(request)
    text = _text(response)
    if _is_stream(response, text):
        theirs, kind, tail = _stream(place, response, text, key), "", ""
        kind = "application/x-ndjson" if place.family == "ollama" else "text/event-stream"
    elif response.end != "complete":
        raise Unexportable("the body broke off, and their form keeps whole bodies and broken streams only")
    elif response.status >= 400 and place.family != "http":
        theirs, tail = failures.from_error(response.status, text, place.family), ""
        kind = "text/plain; charset=utf-8" if isinstance(theirs["exception_data"]["body"], str) else "application/json"
    else:
        theirs, tail = _whole(place, response, text, key)
        kind = "application/json"
    if response.headers != (("content-type", kind),):
        theirs["headers"] = [list(header) for header in response.headers]
    return theirs, tail


def _tool(exchange: Exchange) -> dict[str, Any]:
    if not isinstance(exchange.response, ToolResponse):
        raise Unexportable("an answer over HTTP to a tool call")
    if exchange.response.error is not None:
        raise Unexportable("their recorder keeps no tool that failed")
    return {"body": tool_result(exchange.response.result), "is_streaming": False}


def _text(response: HttpResponse) -> str:
    try:
        return response.content.decode()
    except UnicodeDecodeError:
        raise Unexportable("the answer is not text") from None


def _is_stream(response: HttpResponse, text: str) -> bool:
    kinds = [value.lower() for name, value in response.headers if name.lower() == "content-type"]
    if any("event-stream" in kind or "ndjson" in kind for kind in kinds):
        return True
    return not kinds and text.startswith(("data:", "event:"))


def _whole(place: Place, response: HttpResponse, text: str, key: str) -> tuple[dict[str, Any], str]:
    body = _json(text)
    status: dict[str, Any] = {"status": response.status} if place.family == "http" or response.status != 200 else {}
    tail = ""
    if place.endpoint == "/v1/models" and place.family == "openai":
        models = body.get("data") if isinstance(body, dict) else None
        tail = _models(models, "id")
        body = [labelled(place, model, chunk=False, key=key) for model in models or ()]
    elif place.endpoint == "/api/tags":
        tail = _models(body.get("models") if isinstance(body, dict) else None, "model")
        body = labelled(place, body, chunk=False, key=key)
    else:
        body = labelled(place, gemini.to_sdk(body) if place.family == "genai" else body, chunk=False, key=key)
    return {**status, "body": body, "is_streaming": False}, tail


def _models(models: Json, name: str) -> str:
    if not isinstance(models, list) or not all(isinstance(model, dict) and name in model for model in models):
        raise Unexportable("the answer is no list of models")
    return model_digest([str(model[name]) for model in models])


def _stream(place: Place, response: HttpResponse, text: str, key: str) -> dict[str, Any]:
    status: dict[str, Any] = {} if response.status == 200 else {"status": response.status}
    whole = response.end == "complete"
    if place.family == "http":
        chunks: list[Json] = split_lines(text)
    else:
        values = _values(place, text, whole=whole)
        broken = next((at for at, value in enumerate(values) if place.family == "openai" and _is_error(value)), None)
        chunks = [labelled(place, value, chunk=True, key=key) for value in values[:broken]]
        if broken is not None:
            return {**status, **failures.from_event(chunks, values[broken]["error"])}
    if not whole:
        return {**status, **failures.from_end(chunks, response.end, response.error)}
    return {**status, "body": chunks, "is_streaming": True}


def _values(place: Place, text: str, *, whole: bool) -> list[Any]:
    if place.family == "ollama":
        lines = text.split("\n")
        return [_json(line) for line in (lines if whole else lines[:-1]) if line.strip()]
    found = [_json(data) for data in events(text, whole=whole) if data.strip() != "[DONE]"]
    return [gemini.to_sdk(value) for value in found] if place.family == "genai" else found


def _is_error(value: Json) -> bool:
    return isinstance(value, dict) and bool(value.get("error")) and "choices" not in value and "type" not in value


def _json(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        raise Unexportable("the answer is not JSON") from None


def _folder(scope: str) -> str:
    """The folder beside the test file that a pytest node id names; a scope may be anything, and never leads outside."""
    if not scope:
        return _COMMON
    parent = PurePosixPath(scope.split("::")[0]).parent
    if parent.is_absolute() or ".." in parent.parts or "\0" in scope:
        return "recordings"
    return str(parent / "recordings")
