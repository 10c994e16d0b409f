"""A response alone as bytes, for who keeps it elsewhere than in a file: its section of one, as compact JSON."""

from __future__ import annotations

import base64

import msgspec

from antiphon.tape.document.answer import read_response, response_form
from antiphon.tape.document.form import ResponseForm, Unreadable
from antiphon.tape.model import HttpResponse

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ResponseForm).decode


def dump_response(response: HttpResponse) -> bytes:
    """All of it but its times. A long binary body, for which a file has a file beside it, is in it too."""
    form, side = response_form(response, None, "none")
    if side:
        (content,) = side.values()
        form["binary"] = {"base64": base64.b64encode(content).decode()}
    return _encode(form)


def load_response(data: bytes) -> HttpResponse:
    """The response again, with every byte and what each read brought. Raises ``Unreadable``."""
    try:
        form = _decode(data)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"{error} - in a response that was kept.") from error
    response = read_response(form, _nothing_beside)
    if not isinstance(response, HttpResponse):
        raise Unreadable("What was kept is the answer of a tool.")
    return response


def _nothing_beside(suffix: str) -> bytes:
    raise FileNotFoundError(2, "there is no file beside it", suffix)
