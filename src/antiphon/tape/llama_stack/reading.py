"""One of their files as an exchange, in wire form.

Promise: the JSON of every event is the JSON that was recorded, one event a read, in order.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from antiphon.tape.llama_stack import failures, gemini, requests
from antiphon.tape.llama_stack.envelope import Unreadable, parse, parse_request, unwrap
from antiphon.tape.llama_stack.frames import DONE, dumps, joined, ndjson, sse
from antiphon.tape.llama_stack.places import Place, find
from antiphon.tape.model import (
    NO_SCOPE,
    Boundary,
    End,
    Exchange,
    Headers,
    HttpRequest,
    HttpResponse,
    Json,
    Request,
    ToolResponse,
)

_SSE = "text/event-stream"
_NDJSON = "application/x-ndjson"
_JSON = "application/json"


class Head(msgspec.Struct, frozen=True):
    """What an index keeps of a file. ``models``: a list of models, to be merged (``merged``) with the others alike."""

    scope: str
    boundary: Boundary
    provider: str
    request: Request
    models: bool = False


def head(data: bytes) -> Head:
    """The head of a file, without its response. Raises ``Unreadable``."""
    test_id, theirs = parse_request(data)
    asked = requests.read(theirs)
    return Head(test_id or NO_SCOPE, asked.boundary, asked.provider, asked.request, is_model_list(asked.request))


def load(data: bytes) -> list[Exchange]:
    """The exchanges of a file: one, in every kind that is known. Raises ``Unreadable``."""
    envelope = parse(data)
    asked = requests.read(envelope.request)
    try:
        response = _response(envelope.response, asked)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the response of this recording is none that is known: {error!r}") from error
    return [Exchange(asked.request, response, asked.boundary, asked.provider, envelope.test_id or NO_SCOPE)]


def is_model_list(request: Request) -> bool:
    """Whether this asks which models there are: several files may answer it, and the answer is their union."""
    return isinstance(request, HttpRequest) and find(request.method, request.path).endpoint in (
        "/v1/models",
        "/api/tags",
    )


def _response(theirs: dict[str, Any], asked: requests.Asked) -> HttpResponse | ToolResponse:
    body = unwrap(theirs["body"])
    if not isinstance(asked.request, HttpRequest):
        return ToolResponse(body)
    place = requests.place_of(asked.request)
    if theirs.get("is_exception") and not isinstance(theirs["body"], list):
        return _with_headers(failures.as_error(theirs), theirs)
    if not theirs.get("is_streaming"):
        return _with_headers(_whole(place, body, theirs.get("status", 200)), theirs)
    reads, kind = _stream(place, body if isinstance(body, list) else [body])
    end: End = "complete"
    error = ""
    if theirs.get("is_exception"):
        last, end, error = failures.as_end(theirs)
        reads += last
    elif kind == _SSE and place.endpoint in ("/v1/chat/completions", "/v1/completions") and reads[-1:] != (DONE,):
        reads += (DONE,)
    answer = HttpResponse(theirs.get("status", 200), (("content-type", kind),), reads, end, error)
    return _with_headers(answer, theirs)


def _whole(place: Place, body: Json, status: int) -> HttpResponse:
    if isinstance(body, str) and place.family != "http" and not _is_json(body):
        # An object that no rule of theirs could write was written as Python prints it.
        return HttpResponse(status, (("content-type", "text/plain; charset=utf-8"),), (body.encode(),))
    if place.family == "genai":
        body = gemini.to_wire(body)
    elif place.endpoint == "/v1/models" and isinstance(body, list):
        body = {"object": "list", "data": body}
    elif place.endpoint == "/api/tags" and isinstance(body, list):
        body = {"models": body}
    content = body.encode() if isinstance(body, str) and place.family != "http" else dumps(body)
    return HttpResponse(status, (("content-type", _JSON),), (content,))


def _stream(place: Place, chunks: list[Json]) -> tuple[tuple[bytes, ...], str]:
    if chunks and all(isinstance(chunk, str) for chunk in chunks):
        return joined(chunks), _SSE
    if place.family == "ollama":
        return tuple(ndjson(chunk) for chunk in chunks), _NDJSON
    if place.family == "genai":
        return tuple(sse(gemini.to_wire(chunk)) for chunk in chunks), _SSE
    named = place.endpoint == "/v1/responses"
    return tuple(sse(chunk, chunk.get("type", "") if named else "") for chunk in chunks), _SSE


def _with_headers(response: HttpResponse, theirs: dict[str, Any]) -> HttpResponse:
    # Theirs keep no headers; files that we wrote keep those that differ from what the kind of the answer implies.
    headers: Headers = tuple((name, value) for name, value in theirs.get("headers") or ())
    return msgspec.structs.replace(response, headers=headers) if headers else response


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
