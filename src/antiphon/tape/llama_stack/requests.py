"""Their request, ours: what was asked for, without the SDK in between.

Promise: ``read(write(request)) == request`` for every request that ``write`` takes.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from antiphon.tape.llama_stack.envelope import Unreadable
from antiphon.tape.llama_stack.places import (
    PARAMETERS,
    Place,
    base_of,
    boundary_of,
    find,
    on_the_wire,
    origin_of,
    provider_of,
)
from antiphon.tape.model import Boundary, Headers, HttpRequest, Json, JsonBody, Request, ToolRequest

#: Arguments of an SDK's method that are not part of the body.
_BESIDE_THE_BODY = frozenset({"extra_body", "extra_query", "extra_headers", "timeout"})
#: What turns files into text was recorded as a call to this.
FILES_API = "file_processors"


class Unexportable(ValueError):
    """Their form has no place for this exchange; the message says for what of it."""


class Asked(msgspec.Struct, frozen=True):
    """A request with what the Tape keeps beside it."""

    request: Request
    boundary: Boundary
    provider: str


def read(theirs: dict[str, Any]) -> Asked:
    """The request of one of their files. Raises ``Unreadable``."""
    try:
        if "payload" in theirs:
            return _http(theirs)
        if "tool_name" in theirs:
            request = ToolRequest(theirs["provider"], theirs["tool_name"], theirs.get("kwargs"))
            return Asked(request, "tools", theirs["provider"])
        if "file_id" in theirs:
            request = ToolRequest(theirs["provider"], theirs.get("api", FILES_API), {"file_id": theirs["file_id"]})
            return Asked(request, "tools", theirs["provider"])
        return _inference(theirs)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the request of this recording is none that is known: {error!r}") from error


def write(request: Request, *, provider: str = "", url: str = "") -> dict[str, Any]:
    """Their form of ``request``. ``url``: of the live call, for its host, which a request does not hold.

    Raises ``Unexportable`` for a body that is not JSON.
    """
    if isinstance(request, ToolRequest):
        return _write_tool(request)
    body = _json_body(request)
    place = place_of(request)
    if place.family == "http":
        return _write_http(request, body, provider, url)
    arguments = _arguments(place, {} if body is None else body, request.query)
    address = _origin(provider, url) + place.their_path
    return {
        "method": "POST",
        "url": address,
        "headers": dict(request.headers),
        "body": arguments,
        "endpoint": place.endpoint,
        "model": arguments.get("model", ""),
        **_named(provider, address),
    }


def place_of(request: HttpRequest) -> Place:
    """The place of ``request`` among their doors.

    Their SDKs take keyword arguments. What cannot have come from any (a body that is a list, a query that says
    something twice) was caught at an HTTP client.
    """
    place = find(request.method, request.path)
    body = request.body.value if isinstance(request.body, JsonBody) else request.body
    fits = body is None if place.method == "GET" else isinstance(body, dict)
    if fits and len(dict(request.query)) == len(request.query):
        return place
    return Place("http", request.method, request.path, request.path, request.path)


def _http(theirs: dict[str, Any]) -> Asked:
    parts = urlsplit(theirs["url"])
    payload = theirs["payload"]
    request = HttpRequest(
        theirs["method"].upper(),
        parts.path,
        tuple(parse_qsl(parts.query, keep_blank_values=True)),
        _headers(theirs),
        None if payload is None else JsonBody(payload),
    )
    return Asked(request, boundary_of(parts.path), _provider(theirs))


def _inference(theirs: dict[str, Any]) -> Asked:
    body = theirs["body"]
    parts = urlsplit(theirs["url"])
    place = on_the_wire(theirs["url"], theirs.get("endpoint") or "", chat="messages" in body)
    wire = {name: value for name, value in body.items() if name not in _BESIDE_THE_BODY}
    wire.update(body.get("extra_body") or {})
    extra = body.get("extra_query") or {}
    query = (*parse_qsl(parts.query, keep_blank_values=True), *((name, str(value)) for name, value in extra.items()))
    sent = None if place.method == "GET" else JsonBody(wire)
    return Asked(
        HttpRequest(place.method, place.path, query, _headers(theirs), sent), boundary_of(place.path), _provider(theirs)
    )


def _headers(theirs: dict[str, Any]) -> Headers:
    return tuple((name.lower(), str(value)) for name, value in (theirs.get("headers") or {}).items())


def _provider(theirs: dict[str, Any]) -> str:
    named: str | None = (theirs.get("provider_metadata") or {}).get("provider")
    return provider_of(theirs["url"]) if named is None else named


def _named(provider: str, address: str) -> dict[str, Any]:
    return {} if provider == provider_of(address) else {"provider_metadata": {"provider": provider}}


def _json_body(request: HttpRequest) -> Json:
    if request.body is None:
        return None
    if not isinstance(request.body, JsonBody):
        raise Unexportable("the recordings of Llama Stack hold JSON requests only")
    return request.body.value


def _arguments(place: Place, body: dict[str, Any], query: Headers) -> dict[str, Any]:
    """``body`` as the keyword arguments of the SDK's method."""
    known = PARAMETERS.get(place.endpoint)
    arguments = {name: value for name, value in body.items() if known is None or name in known}
    extra = {name: value for name, value in body.items() if name not in arguments}
    # Llama Stack passes extra_body to completions even when there is nothing in it, and the hash counts that.
    if extra or place.endpoint == "/v1/completions":
        arguments["extra_body"] = extra
    if query:
        arguments["extra_query"] = dict(query)
    return arguments


def _write_http(request: HttpRequest, body: Json, provider: str, url: str) -> dict[str, Any]:
    query = "?" + urlencode(request.query) if request.query else ""
    address = _origin(provider, url) + request.path + query
    theirs = {"url": address, "method": request.method, "payload": body, **_named(provider, address)}
    return {**theirs, "headers": dict(request.headers)} if request.headers else theirs


def _write_tool(request: ToolRequest) -> dict[str, Any]:
    arguments = request.arguments
    if request.tool == FILES_API and isinstance(arguments, dict) and arguments.keys() == {"file_id"}:
        return {"provider": request.provider, "api": request.tool, "file_id": arguments["file_id"]}
    return {"provider": request.provider, "tool_name": request.tool, "kwargs": arguments}


def _origin(provider: str, url: str) -> str:
    return (origin_of(url) if url else "") or base_of(provider)
