"""A whole file: the sections in their order, the small ones and the request before the response."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from antiphon.tape import canon
from antiphon.tape.document import lines, tokens
from antiphon.tape.document.answer import Timing, read_response, response_form
from antiphon.tape.document.form import FileForm, FrontForm, Unreadable, read_form, read_request, request_form
from antiphon.tape.model import FORMAT, NO_SCOPE, Boundary, Exchange, HttpResponse, Json, Request

_FRONT = msgspec.json.Decoder(FrontForm)
_FILE = msgspec.json.Decoder(FileForm)


class Head(msgspec.Struct, frozen=True):
    """What the index needs of a file: all but the response. ``key`` is that of the canonical form ``canon``."""

    scope: str
    boundary: Boundary
    provider: str
    canon: int
    key: str
    variant: int
    request: Request


def dump(exchange: Exchange, *, timing: Timing = "none") -> tuple[bytes, dict[str, bytes]]:
    """The bytes of the file of an exchange, and side files by the ending that takes the place of ``.json``.

    Of the times no more is written than the exchange holds. Usage that the exchange does not name is taken from the
    response.
    """
    response = exchange.response
    usage = exchange.usage
    if usage is None and isinstance(response, HttpResponse):
        usage = tokens.usage(response)
    form: dict[str, Json] = {"tape": FORMAT, "canon": canon.VERSION, "key": canon.key(exchange.request)}
    form["boundary"] = exchange.boundary
    if exchange.provider:
        form["provider"] = exchange.provider
    if exchange.scope != NO_SCOPE:
        form["scope"] = exchange.scope
    if exchange.variant != 1:
        form["variant"] = exchange.variant
    form["request"] = request_form(exchange.request)
    form["response"], side = response_form(response, usage, timing)
    return lines.render(form), side


def load(data: bytes, side: Callable[[str], bytes]) -> Exchange:
    """The exchange in the bytes of a file; ``side`` reads the file beside it that has the given ending.

    Raises Unreadable.
    """
    form = read_form(data, _FILE)
    front = _front(form)
    return Exchange(
        front.request,
        read_response(form.response, side),
        front.boundary,
        front.provider,
        front.scope,
        front.variant,
        form.response.usage,
    )


def head(data: bytes) -> Head:
    """What the index needs; the response is passed over. Raises Unreadable."""
    return _front(read_form(data, _FRONT))


def _front(form: FrontForm) -> Head:
    if form.tape != FORMAT:
        raise Unreadable(f"It is of form {form.tape}, and this version reads form {FORMAT} - at `$.tape`.")
    request = read_request(form.request)
    return Head(form.scope, form.boundary, form.provider, form.canon, form.key, form.variant, request)
