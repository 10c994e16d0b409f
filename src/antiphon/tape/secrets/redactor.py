"""The secrets of requests and responses, replaced before anything is matched, written or shown.

The promise: what the environment or a shape or a name gives away as a secret is in no key, no file and no report, and a
call without secrets is not touched. The live request goes the same way as the recorded one did, so a key that was
changed in between makes no difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from antiphon.tape.model import (
    Body,
    FormBody,
    Headers,
    HttpRequest,
    Json,
    JsonBody,
    Part,
    Request,
    Response,
    TextBody,
    ToolRequest,
    ToolResponse,
)
from antiphon.tape.secrets import body as bodies
from antiphon.tape.secrets.environment import Environment, Literals
from antiphon.tape.secrets.files import Finding, survivors
from antiphon.tape.secrets.finder import QUERY, Finder, values
from antiphon.tape.secrets.headers import request_headers, response_headers
from antiphon.tape.secrets.hits import STANDING, Hit
from antiphon.tape.secrets.ledger import Ledger
from antiphon.tape.secrets.names import Strength, strength
from antiphon.tape.secrets.sieve import Sieve

#: Changes one string, which stands under a name: ``_Change(name, string)``. A parameter's name begins with ``?``.
_Change = Callable[[str, str], str]
#: The parts of a request that grow from turn to turn. They are numbered last, so that the numbers before stay.
_GROWING = frozenset({"messages", "input", "contents"})


class Redactor:
    """Replaces secrets. ``environ``: its variables named like keys (``OPENAI_API_KEY``) become ``{{env:NAME}}``.

    ``allow``: values that are never secrets, exact, or ``re:`` and a pattern that the whole value must match.
    """

    def __init__(self, environ: Mapping[str, str], *, allow: Sequence[str] = ()) -> None:
        environment = Environment(environ)
        #: Stands for all that decides what is replaced: a key made under another one may be another. No secret can be
        #: read from it.
        self.signature = _signature(environment, allow)
        self._finder = Finder(environment, allow)
        self._sieve = Sieve(environment)

    def call(self, request: Request) -> Request:
        """The request without secrets, and with only those headers that matter; the same object where it had none."""
        if isinstance(request, HttpRequest):
            headers = request_headers(request.headers)
            if headers != request.headers:
                request = msgspec.structs.replace(request, headers=headers)
        return self._call(request)[0]

    def response(self, response: Response, request: Request | None = None) -> Response:
        """The response without secrets, in as many reads as it had.

        ``request``: what it answers, before it was redacted. Its secrets keep their numbers, and are looked for in the
        response even where nothing but the request gives them away.
        """
        _, ledger, known = self._call(request) if request is not None else (None, Ledger(), None)
        if isinstance(response, ToolResponse):
            return self._tool_response(response, ledger, known)
        headers = response_headers(response.headers)
        kept = tuple((name, self._replaced(value, ledger, known)) for name, value in headers)
        reads = bodies.redacted(response.reads, self._finder, self._sieve, ledger, known)
        error = self._replaced(response.error, ledger, known)
        if kept == response.headers and reads is response.reads and error == response.error:
            return response
        return msgspec.structs.replace(response, headers=kept, reads=reads, error=error)

    def text(self, text: str) -> str:
        """The text as it may be logged or reported."""
        if not self._sieve.perhaps(text.encode("utf-8", "surrogatepass")):
            return text
        ledger = Ledger()
        return ledger.replaced(text, [h for h in self._finder.hits(text) if h.kind != STANDING])

    def surviving(self, data: bytes) -> list[Finding]:
        """Secrets beyond doubt in the bytes of a file about to be written; their paths are empty."""
        return [f for f in survivors(data, self._finder, self._sieve) if f.sure]

    def suspects(self, data: bytes) -> list[Finding]:
        """Everything in a file that redaction would replace."""
        return survivors(data, self._finder, self._sieve)

    def _call(self, request: Request) -> tuple[Request, Ledger, Literals | None]:
        ledger = Ledger()
        if not self._sieve.perhaps(_looked_at(request)):
            return request, ledger, None
        found: list[Hit] = []

        def collect(name: str, text: str) -> str:
            found.extend(h for h in self._finder.hits(text, name) if h.kind != STANDING)
            return text

        _changed(request, collect)
        known = Literals((value, "") for value in dict.fromkeys(values(found)))

        def replace(name: str, text: str) -> str:
            return ledger.replaced(text, self._finder.hits(text, name, known))

        changed = _changed(request, replace)
        return (request if changed == request else changed), ledger, known or None

    def _replaced(self, text: str, ledger: Ledger, known: Literals | None, name: str = "") -> str:
        if not text:
            return text
        hits = self._finder.hits(text, name, known)
        return ledger.replaced(text, [h for h in hits if h.kind != STANDING])

    def _tool_response(self, response: ToolResponse, ledger: Ledger, known: Literals | None) -> ToolResponse:
        result, error = response.result, response.error
        if known or self._sieve.perhaps(_encoded([result, error])):
            result = _tree(result, "", lambda name, text: self._replaced(text, ledger, known, name))
            if error is not None:
                error = msgspec.structs.replace(error, message=self._replaced(error.message, ledger, known))
        changed = ToolResponse(result, error)
        return response if changed == response else changed


def _signature(environment: Environment, allow: Sequence[str]) -> str:
    known = repr((sorted(environment.exact.items()), sorted(allow)))
    return hashlib.blake2b(known.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def _looked_at(request: Request) -> bytes:
    """Everything of a request in which a secret could stand."""
    names: list[str] = []
    if isinstance(request, HttpRequest):
        names = [name for name, _ in request.query]
        if isinstance(request.body, FormBody):
            names += [part.name for part in request.body.parts]
    return b"".join([_encoded(request), *(f"&{name}=".encode("utf-8", "surrogatepass") for name in names)])


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair in a string
        return repr(value).encode("utf-8", "backslashreplace") + b"\\u0020"  # which says: look closely


def _changed(request: Request, change: _Change) -> Request:
    """The request with every string of it changed, in an order that follows from its content alone."""
    if isinstance(request, ToolRequest):
        return msgspec.structs.replace(request, arguments=_tree(request.arguments, "", change))
    path = change("", request.path)
    query = _pairs(request.query, change, QUERY)
    headers = _pairs(request.headers, change, "")
    return msgspec.structs.replace(request, path=path, query=query, headers=headers, body=_body(request.body, change))


def _pairs(pairs: Headers, change: _Change, mark: str) -> Headers:
    """The pairs changed, in their order, but by the order of their names: that of a query means nothing."""
    changed = {n: change(mark + pairs[n][0], pairs[n][1]) for n in sorted(range(len(pairs)), key=lambda n: pairs[n][0])}
    return tuple((pair[0], changed[n]) for n, pair in enumerate(pairs))


def _body(body: Body | None, change: _Change) -> Body | None:
    if isinstance(body, JsonBody):
        return JsonBody(_tree(body.value, "", change))
    if isinstance(body, TextBody):
        return msgspec.structs.replace(body, text=change("", body.text))
    if isinstance(body, FormBody):
        return FormBody(tuple(_part(part, change) for part in body.parts))
    return body


def _part(part: Part, change: _Change) -> Part:
    if not isinstance(part.body, TextBody):
        return part
    return msgspec.structs.replace(
        part, body=msgspec.structs.replace(part.body, text=change(part.name, part.body.text))
    )


def _tree(value: Json, name: str, change: _Change) -> Json:
    if isinstance(value, str):
        return change(name if name and strength(name) is not Strength.NONE else "", value)
    if isinstance(value, list):
        return [_tree(each, name, change) for each in value]
    if isinstance(value, dict):
        scored = "logprob" in value  # its "token" is one of the model's
        order = sorted(value, key=lambda key: (key in _GROWING, key))
        changed = {key: (change("", key), _tree(value[key], "" if scored else key, change)) for key in order}
        return {changed[key][0]: changed[key][1] for key in value}
    return value
