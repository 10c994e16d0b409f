"""Forms with a file (``multipart/form-data``), read as they come: the file goes on in pieces, the fields are kept.

What is wrong is a 400 or a 413 as soon as it is seen: a length that is declared over the limit before anything is read,
one that is not declared when the limit is reached. A client that hangs up is ``ClientGone``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

from antiphon.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from antiphon.files.contents import Incoming
from antiphon.http.exchange import ClientGone, Exchange
from antiphon.wire.reading import missing_parameter

#: What a form may have beside its file. Bytes.
ROOM = 64 * 1024
_MAX_FIELDS = 100
#: How browsers and HTTP clients write what a quoted name cannot hold.
_ESCAPED = re.compile(r"%(22|[01][0-9A-Fa-f])")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)


class Form(NamedTuple):
    """The fields, and what was said of the file."""

    fields: Mapping[str, str]
    filename: str
    media_type: str | None


def check_length(exchange: Exchange, too_large: PayloadTooLarge, limit: int) -> None:
    """Before anything is read: raises ``too_large`` for a declared length of more than a file of ``limit`` bytes."""
    declared = exchange.header(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit + ROOM:
        raise too_large


async def read_form(
    exchange: Exchange, field: str, incoming: Incoming, check: Callable[[Mapping[str, str]], None] | None = None
) -> Form:
    """The form, its file (the part named ``field``) written to ``incoming``. Raises a 400, 413 or 415.

    ``check`` sees the fields that stand before the file, and may refuse it before it is read.
    """
    reader = _Reader(_boundary(exchange))
    fields: dict[str, bytes] = {}
    found: _Part | None = None
    beside = 0
    async for data in _body(exchange):
        for part, piece in reader.feed(data):
            if part.name == field:
                if found is None:
                    found = part
                    if check is not None:
                        check(_decoded(fields))
                if part is not found:
                    raise _malformed(f"it has more than one part named '{field}'")
                await incoming.write(bytes(piece))
                continue
            beside += len(piece)
            if beside > ROOM or len(fields) >= _MAX_FIELDS:
                raise _malformed(f"what stands beside its file is longer than {ROOM} bytes")
            if not part.is_file:
                fields[part.name] = fields.get(part.name, b"") + piece
    if not reader.ended:
        raise _malformed("it ends before its last boundary")
    if found is None:
        raise missing_parameter(field)
    return Form(_decoded(fields), found.filename, found.media_type)


def _decoded(fields: Mapping[str, bytes]) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in fields.items()}


async def _body(exchange: Exchange) -> AsyncIterator[bytes]:
    while True:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if data := message.get("body", b""):
            yield data
        if not message.get("more_body", False):
            return


def _boundary(exchange: Exchange) -> bytes:
    from python_multipart.multipart import parse_options_header  # nobody who sends no file needs it

    encoding = exchange.header(b"content-encoding")
    if encoding not in (None, "", "identity"):
        raise UnsupportedMediaType(f"Bodies in the encoding {encoding!r} are not read; send it plain.")
    media = exchange.header(b"content-type") or ""
    kind, options = parse_options_header(media)
    if kind != b"multipart/form-data":
        raise UnsupportedMediaType(f"The body must be multipart/form-data, not {media[:100]!r}.")
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise _malformed("its content-type names no boundary")
    return boundary


class _Part:
    """One part by its headers."""

    __slots__ = ("filename", "is_file", "media_type", "name")

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(headers.get(b"content-disposition", b"").decode("latin-1"))
        self.name = _text(options.get(b"name", b""))
        self.is_file = b"filename" in options
        self.filename = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), _text(options.get(b"filename", b"")))
        media = _text(headers.get(b"content-type", b"")).partition(";")[0].strip().lower()
        self.media_type = media if _MEDIA_TYPE.fullmatch(media) else None


class _Reader:
    """The parser, whose callbacks are turned into what ``feed`` gives: parts and pieces of them."""

    def __init__(self, boundary: bytes) -> None:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser

        self.ended = False
        self._broken = FormParserError
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._part: _Part | None = None
        self._found: list[tuple[_Part, bytearray]] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_end": self._end,
            },
            max_header_size=ROOM,
        )

    def feed(self, data: bytes) -> list[tuple[_Part, bytearray]]:
        """Each part that was begun or gone on with, and its next bytes, perhaps none. Raises a 400."""
        self._found = []
        try:
            self._parser.write(data)
        except self._broken as error:
            raise _malformed(str(error).rstrip(".")) from error
        return self._found

    def _begin(self) -> None:
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.strip().lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        self._part = _Part(self._headers)
        self._found.append((self._part, bytearray()))

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        if not self._found:
            self._found.append((self._part, bytearray()))
        self._found[-1][1].extend(memoryview(data)[start:end])

    def _end(self) -> None:
        self.ended = True


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _malformed(why: str) -> InvalidRequest:
    return InvalidRequest(f"We could not read the form of your request: {why}.", code="invalid_multipart")
