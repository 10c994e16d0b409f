"""The section of a response: its body in the most readable form that gives back every byte and every read.

A JSON body is a value, a stream is coded (``codec``), other text is text, and what is not UTF-8 is base64 in the file
while it is small and a file beside it when it is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from statistics import median
from typing import Literal

import msgspec
from msgspec import UNSET

from antiphon.tape import codec
from antiphon.tape.codec import runs
from antiphon.tape.codec.decoding import cut
from antiphon.tape.codec.pieces import join, wrap
from antiphon.tape.document import written
from antiphon.tape.document.form import BinaryForm, ResponseForm, misplaced, pairs_form, read_pairs
from antiphon.tape.document.say import say
from antiphon.tape.model import HttpResponse, Json, Response, ToolResponse, Usage

#: How much of the times a file keeps.
Timing = Literal["exact", "summary", "none"]

#: The ending of the file beside the document.
SIDE = ".bin"
#: A longer binary body goes beside the file. Bytes.
SIDE_ABOVE = 4096
_STREAM_TYPES = ("event-stream", "ndjson", "jsonl", "json-seq", "jsonlines")


def response_form(response: Response, usage: Usage | None, timing: Timing) -> tuple[dict[str, Json], dict[str, bytes]]:
    """The section of a response, and the side files by their ending."""
    counted: dict[str, Json] = {} if usage is None else {"usage": msgspec.to_builtins(usage)}
    if isinstance(response, ToolResponse):
        if response.error is not None:
            return counted | {"failure": msgspec.to_builtins(response.error)}, {}
        return counted | {"result": response.result}, {}
    form: dict[str, Json] = {"status": response.status}
    if response.headers:
        form["headers"] = pairs_form(response.headers)
    form["end"] = response.end
    if response.error:
        form["error"] = response.error
    form |= _timing_form(response, timing) | counted
    body, side = _body_form(response)
    if "stream" in body and (said := say(response)):
        form["say"] = wrap(said)
    return form | body, side


def _timing_form(response: HttpResponse, timing: Timing) -> dict[str, Json]:
    if timing == "none" or (response.gaps is None and response.summary is None):
        return {}
    if timing == "exact" and response.gaps is not None:
        return {"timing": {"gaps": list(response.gaps)}}
    summary = response.summary if response.gaps is None else _summary(response.gaps)
    return {} if summary is None else {"timing": {"summary": list(summary)}}


def _summary(gaps: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(to the first read, median of the others, whole) in milliseconds; None without any read."""
    return (gaps[0], round(median(gaps[1:] or (0,))), sum(gaps)) if gaps else None


def _body_form(response: HttpResponse) -> tuple[dict[str, Json], dict[str, bytes]]:
    if not response.reads:
        return {}, {}
    content = response.content
    side: dict[str, bytes] = {}
    try:
        form = _text_form(content.decode(), response)
    except UnicodeDecodeError:
        form, side = _binary_form(content)
    if "stream" not in form and len(response.reads) != 1:
        form["cuts"] = runs.pack(map(len, response.reads))
    return form, side


def _text_form(text: str, response: HttpResponse) -> dict[str, Json]:
    kind = next((value.lower() for name, value in response.headers if name.lower() == "content-type"), "")
    is_stream = any(stream in kind for stream in _STREAM_TYPES) or text.startswith(("data:", "event:", ": "))
    if not is_stream and (found := written.read(text)) is not None:
        value, how = found
        form = {"json": value}
        return form if how == written.Written() else form | {"written": msgspec.to_builtins(how)}
    if is_stream or len(response.reads) > 1:
        return {"stream": codec.encode(response.reads)}
    return {"text": wrap(text)}


def _binary_form(content: bytes) -> tuple[dict[str, Json], dict[str, bytes]]:
    if len(content) <= SIDE_ABOVE:
        return {"binary": {"base64": wrap(base64.b64encode(content).decode(), "")}}, {}
    return {"binary": {"file": SIDE, "sha256": hashlib.sha256(content).hexdigest()}}, {SIDE: content}


def read_response(form: ResponseForm, side: Callable[[str], bytes]) -> Response:
    """The response of its section. Raises Unreadable."""
    if form.failure is not None:
        return ToolResponse(error=form.failure)
    if form.result is not UNSET:
        return ToolResponse(form.result)
    if not form.status:
        misplaced("$.response", "There is neither a status nor a result")
    timing = form.timing
    return HttpResponse(
        form.status,
        read_pairs(form.headers),
        _read_reads(form, side),
        form.end,
        form.error,
        timing.gaps if timing else None,
        timing.summary if timing else None,
    )


def _read_reads(form: ResponseForm, side: Callable[[str], bytes]) -> tuple[bytes, ...]:
    if form.stream is not UNSET:
        try:
            return codec.decode(form.stream)
        except codec.Malformed as error:
            misplaced("$.response.stream", error)
    content = _read_content(form, side)
    if content is None:
        return ()
    if form.cuts is None:
        return (content,)
    try:
        return cut(content, runs.unpack(form.cuts))
    except ValueError as error:
        misplaced("$.response.cuts", error)


def _read_content(form: ResponseForm, side: Callable[[str], bytes]) -> bytes | None:
    if form.text is not UNSET:
        return join(form.text).encode()
    if form.binary is not UNSET:
        return _read_binary(form.binary, side)
    if form.json is UNSET:
        return None
    try:
        return written.write(form.json, form.written or written.Written()).encode()
    except ValueError as error:
        misplaced("$.response.written", error)


def _read_binary(form: BinaryForm, side: Callable[[str], bytes]) -> bytes:
    if not form.file:
        try:
            return base64.b64decode(join(form.base64), validate=True)
        except binascii.Error as error:
            misplaced("$.response.binary.base64", error)
    try:
        content = side(form.file)
    except OSError as error:
        misplaced("$.response.binary.file", f"The file beside this one cannot be read: {error.strerror}")
    if hashlib.sha256(content).hexdigest() != form.sha256:
        misplaced("$.response.binary.sha256", "The file beside this one holds something else")
    return content
