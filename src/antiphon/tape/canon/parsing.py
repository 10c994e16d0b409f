"""A call that is about to leave, as the request that is matched.

Parsing decides what a body is by looking at it, and never fails: what is not JSON, a form or text is known by its
hash. Nothing is judged here but shape; which requests mean the same is for the canonical form.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec

from antiphon.tape.canon import multipart
from antiphon.tape.canon.paths import split
from antiphon.tape.model import (
    BinaryBody,
    Body,
    BodyFile,
    Call,
    FormBody,
    HttpRequest,
    Json,
    JsonBody,
    Part,
    Request,
    TextBody,
    ToolCall,
    ToolRequest,
)

#: The request headers that can change an answer. No other header is matched.
MATCHED_HEADERS = frozenset({"anthropic-beta", "anthropic-version", "openai-beta"})
#: JSON that nests deeper is taken as text, so that code that walks it stays far from the stack's end.
DEPTH = 128
#: A compressed body is opened up to so many bytes.
OPEN_LIMIT = 64 * 1024 * 1024
_BLOCK = 256 * 1024


def parse(call: Call) -> Request:
    """The request of a call. A spooled body is read once where it is a multipart form, and not at all otherwise.

    Raises ``TypeError`` for tool arguments that JSON cannot hold, ``OSError`` for a spooled form that cannot be read.
    """
    if isinstance(call, ToolCall):
        return ToolRequest(call.provider, call.tool, _plain(call.arguments))
    path, query = split(call.url)
    headers = [(name.lower(), value) for name, value in call.headers]
    kept = tuple([each for each in headers if each[0] in MATCHED_HEADERS])
    return HttpRequest(call.method.upper(), path, query, kept, _body(call.body, dict(reversed(headers))))


def _plain(arguments: Json) -> Json:
    """The arguments as they come back from a file: tuples are lists there, and all keys are strings."""
    try:
        return msgspec.json.decode(msgspec.json.encode(arguments))
    except UnicodeEncodeError:
        # Half a character: the standard library can write it.
        return json.loads(json.dumps(arguments))


def _body(body: bytes | BodyFile, headers: dict[str, str]) -> Body | None:
    declared = headers.get("content-type", "")
    media = declared.partition(";")[0].strip().lower()
    boundary = multipart.boundary(declared)
    if isinstance(body, BodyFile):
        form = multipart.form(_blocks(body.path), boundary) if boundary else None
        return form or BinaryBody(body.sha256, body.size, media)
    if not body:
        return None
    plain = _opened(body, headers.get("content-encoding", "").strip().lower())
    if plain is None:
        return _binary(body, media)
    if boundary and (form := multipart.form((plain,), boundary)):
        return form
    return _json(plain, media) or _text(plain, media)


def _blocks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _opened(body: bytes, encoding: str) -> bytes | None:
    """The body without its compression; None where that cannot be taken off."""
    if encoding in ("", "identity"):
        return body
    if encoding in ("gzip", "x-gzip"):
        return _inflated(body, zlib.MAX_WBITS | 16)
    if encoding == "deflate":
        # By the standard it has zlib's frame, by custom it often has none.
        opened = _inflated(body, zlib.MAX_WBITS)
        return _inflated(body, -zlib.MAX_WBITS) if opened is None else opened
    return None


def _inflated(body: bytes, wbits: int) -> bytes | None:
    opened = b""
    while body:
        stream = zlib.decompressobj(wbits)
        try:
            opened += stream.decompress(body, OPEN_LIMIT + 1 - len(opened))
        except zlib.error:
            return None
        if not stream.eof or len(opened) > OPEN_LIMIT:
            return None
        body = stream.unused_data
    return opened


def _json(body: bytes, media: str) -> JsonBody | None:
    # Some clients call every body a urlencoded form, so a body that opens like JSON is tried whatever it is called.
    if body.lstrip(b" \t\r\n")[:1] not in (b"{", b"[") and "json" not in media:
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # Few brackets cannot nest deep, and counting them is quick.
    if body.count(b"[") + body.count(b"{") > DEPTH and _depth(value) > DEPTH:
        return None
    return JsonBody(value)


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _text(body: bytes, media: str) -> Body:
    text = multipart.as_text(body)
    if text is None:
        return _binary(body, media)
    if media == "application/x-www-form-urlencoded":
        return FormBody(tuple(Part(name, TextBody(value)) for name, value in parse_qsl(text, keep_blank_values=True)))
    return TextBody(text, media)


def _binary(body: bytes, media: str) -> BinaryBody:
    return BinaryBody(hashlib.sha256(body).hexdigest(), len(body), media)
