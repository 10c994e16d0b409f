"""The form of a file: its sections in their order, and the requests in it.

The structs here are what a file may hold; msgspec names the place where one does not fit.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from antiphon.tape.codec.pieces import Text, join, wrap
from antiphon.tape.codec.runs import Runs
from antiphon.tape.document.lines import sort
from antiphon.tape.document.written import Written
from antiphon.tape.model import (
    NO_SCOPE,
    BinaryBody,
    Body,
    Boundary,
    End,
    FormBody,
    Headers,
    HttpRequest,
    Json,
    JsonBody,
    Part,
    Request,
    TextBody,
    ToolFailure,
    ToolRequest,
    Usage,
)


class Unreadable(Exception):
    """A file that is no exchange of ours, or no longer. The message is a sentence that names the place."""


#: Headers as an object, or as pairs where a name comes twice.
Pairs = dict[str, str] | list[tuple[str, str]]


class HashForm(msgspec.Struct, forbid_unknown_fields=True):
    """A binary body known by its hash."""

    sha256: str
    size: int


class PartForm(msgspec.Struct, forbid_unknown_fields=True):
    """One part of a multipart form."""

    name: str
    filename: str | None = None
    type: str = ""
    text: Text | UnsetType = UNSET
    binary: HashForm | UnsetType = UNSET


class RequestForm(msgspec.Struct, forbid_unknown_fields=True):
    """Either kind of request. A tool's has ``tool``."""

    method: str = ""
    path: str = ""
    query: Pairs = {}
    headers: Pairs = {}
    type: str = ""
    json: Any = UNSET
    text: Text | UnsetType = UNSET
    form: list[PartForm] | UnsetType = UNSET
    binary: HashForm | UnsetType = UNSET
    provider: str = ""
    tool: str | UnsetType = UNSET
    arguments: Any = None


class BinaryForm(msgspec.Struct, forbid_unknown_fields=True):
    """A binary response: in the file, or beside it under the same name with the ending ``file``."""

    base64: Text = ""
    file: str = ""
    sha256: str = ""


class TimingForm(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Milliseconds: before each read, or (first, median of the others, whole)."""

    gaps: tuple[int, ...] | None = None
    summary: tuple[int, int, int] | None = None


class ResponseForm(msgspec.Struct, forbid_unknown_fields=True):
    """Either kind of response. A tool's has ``result`` or ``failure``."""

    status: int = 0
    headers: Pairs = {}
    end: End = "complete"
    error: str = ""
    timing: TimingForm | None = None
    usage: Usage | None = None
    say: Text | None = None
    json: Any = UNSET
    written: Written | None = None
    text: Text | UnsetType = UNSET
    stream: Any = UNSET
    binary: BinaryForm | UnsetType = UNSET
    cuts: Runs | None = None
    result: Any = UNSET
    failure: ToolFailure | None = None


class FrontForm(msgspec.Struct):
    """A file without its response."""

    tape: int
    canon: int
    key: str
    request: RequestForm
    boundary: Boundary = "inference"
    provider: str = ""
    scope: str = NO_SCOPE
    variant: int = 1


class FileForm(FrontForm, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    response: ResponseForm


_Form = TypeVar("_Form")


def read_form(data: bytes, decoder: msgspec.json.Decoder[_Form]) -> _Form:
    """The form in the bytes of a file. Raises Unreadable."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _read_slowly(data, decoder.type, error)


def _read_slowly(data: bytes, kind: type[_Form], first: Exception) -> _Form:
    """The same by the parser that names lines, and that knows half pairs and numbers beyond a double."""
    try:
        return msgspec.convert(json.loads(data), kind)
    except json.JSONDecodeError as error:
        raise Unreadable(f"It is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except msgspec.ValidationError as error:
        raise Unreadable(f"{error}.") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"It is not UTF-8: byte {error.start}.") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"It cannot be read: {first}.") from error


def misplaced(place: str, why: object) -> NoReturn:
    """Refuse a file for what stands at ``place``."""
    raise Unreadable(f"{why} - at `{place}`.")


def pairs_form(pairs: Headers) -> Pairs:
    """Pairs as an object, while no name comes twice."""
    unique = dict(pairs)
    return unique if len(unique) == len(pairs) else [(name, value) for name, value in pairs]


def read_pairs(form: Pairs) -> Headers:
    """The pairs again."""
    return tuple(form.items()) if isinstance(form, dict) else tuple(form)


def request_form(request: Request) -> dict[str, Json]:
    """The section of a request."""
    if isinstance(request, ToolRequest):
        return {"provider": request.provider, "tool": request.tool, "arguments": sort(request.arguments)}
    form: dict[str, Json] = {"method": request.method, "path": request.path}
    if request.query:
        form["query"] = pairs_form(request.query)
    if request.headers:
        form["headers"] = pairs_form(request.headers)
    return form if request.body is None else form | _body_form(request.body)


def _body_form(body: Body) -> dict[str, Json]:
    match body:
        case JsonBody(value):
            return {"json": sort(value)}
        case FormBody(parts):
            return {"form": [_part_form(part) for part in parts]}
        case TextBody(text, kind):
            form: dict[str, Json] = {"text": wrap(text)}
        case BinaryBody(sha256, size, kind):
            form = {"binary": {"sha256": sha256, "size": size}}
    return {"type": kind} | form if kind else form


def _part_form(part: Part) -> dict[str, Json]:
    named: dict[str, Json] = {"name": part.name}
    if part.filename is not None:
        named["filename"] = part.filename
    return named | _body_form(part.body)


def read_request(form: RequestForm) -> Request:
    """The request of its section. Raises Unreadable."""
    if form.tool is not UNSET:
        return ToolRequest(form.provider, form.tool, form.arguments)
    if not form.method:
        misplaced("$.request", "There is neither a method nor a tool")
    return HttpRequest(form.method, form.path, read_pairs(form.query), read_pairs(form.headers), _read_body(form))


def _read_body(form: RequestForm) -> Body | None:
    if form.json is not UNSET:
        return JsonBody(form.json)
    if isinstance(form.form, list):
        return FormBody(tuple(_read_part(part, f"$.request.form[{at}]") for at, part in enumerate(form.form)))
    return _read_plain(form.text, form.binary, form.type)


def _read_part(form: PartForm, place: str) -> Part:
    body = _read_plain(form.text, form.binary, form.type)
    if body is None:
        misplaced(place, "The part has neither text nor binary")
    return Part(form.name, body, form.filename)


def _read_plain(text: Text | UnsetType, binary: HashForm | UnsetType, kind: str) -> TextBody | BinaryBody | None:
    if text is not UNSET:
        return TextBody(join(text), kind)
    return None if binary is UNSET else BinaryBody(binary.sha256, binary.size, kind)
