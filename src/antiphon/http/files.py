"""The routes of ``/v1/files``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

from antiphon.errors import InvalidRequest
from antiphon.files.blobs import in_thread
from antiphon.files.contents import too_large
from antiphon.files.names import disposition
from antiphon.files.service import FILE_LIMIT
from antiphon.files.service import Files as Service
from antiphon.http.exchange import Exchange
from antiphon.http.multipart import check_length, read_form
from antiphon.storage.files.model import StoredFile
from antiphon.wire.file_requests import check_purpose, file_form

_ORDERS = {"asc": "asc", "desc": "desc"}
_MAX_PAGE = 10_000
#: Bytes of a file that are in memory at once while it is sent.
_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Files:
    """Handlers over the files' own service."""

    def __init__(self, service: Service, *, max_bytes: int, stall_seconds: float) -> None:
        """A client that takes nothing of a download for ``stall_seconds`` is let go."""
        self._service = service
        self._max_bytes = max_bytes
        self._stall_seconds = stall_seconds

    async def create(self, exchange: Exchange) -> None:
        """``POST /v1/files``: a form, its file read as it comes."""
        check_length(exchange, too_large(self._max_bytes, FILE_LIMIT), self._max_bytes)
        async with self._service.incoming() as incoming:
            form = await read_form(exchange, "file", incoming, _check_early)
            asked = file_form(form.fields)
            file = await self._service.keep(
                exchange.owner,
                incoming,
                filename=form.filename,
                purpose=asked.purpose,
                media_type=form.media_type,
                expires_after=asked.expires_after,
            )
        await exchange.json(file_json(file))

    async def list(self, exchange: Exchange) -> None:
        """``GET /v1/files``: a page, newest first unless asked otherwise."""
        purpose = exchange.query("purpose")
        page = await self._service.page(
            exchange.owner,
            after=exchange.query("after") or None,
            limit=exchange.query_int("limit", _MAX_PAGE, low=1, high=_MAX_PAGE),
            order=exchange.query_choice("order", _ORDERS, default="desc"),
            purpose=purpose or None,
        )
        files = [file_json(file) for file in page.files]
        ends = {"first_id": files[0]["id"] if files else None, "last_id": files[-1]["id"] if files else None}
        await exchange.json({"object": "list", "data": files, **ends, "has_more": page.has_more})

    async def retrieve(self, exchange: Exchange) -> None:
        """``GET /v1/files/{id}``."""
        await exchange.json(file_json(await self._service.get(exchange.owner, _id(exchange))))

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /v1/files/{id}``."""
        await self._service.delete(exchange.owner, _id(exchange))
        await exchange.json({"id": _id(exchange), "object": "file", "deleted": True})

    async def content(self, exchange: Exchange) -> None:
        """``GET /v1/files/{id}/content``: its bytes, or a range of them, no faster than the client takes them.

        They are never of a type that a browser would show or run.
        """
        file = await self._service.get(exchange.owner, _id(exchange))
        tag = f'"{file.sha256.hex()}"'
        headers = [
            (b"etag", tag.encode()),
            (b"accept-ranges", b"bytes"),
            (b"content-type", b"application/octet-stream"),
            (b"content-disposition", disposition(file.filename).encode("latin-1")),
            (b"x-content-type-options", b"nosniff"),
        ]
        if tag in (exchange.header(b"if-none-match") or ""):
            await exchange.send({"type": "http.response.start", "status": 304, "headers": headers})
            await exchange.send({"type": "http.response.body"})
            return
        status, start, length = _asked_range(exchange, file.bytes, tag)
        if status == 206:
            headers.append((b"content-range", f"bytes {start}-{start + length - 1}/{file.bytes}".encode()))
        headers.append((b"content-length", str(length).encode()))
        try:
            source = self._service.path(file).open("rb")
        except FileNotFoundError:
            await self._service.get(exchange.owner, file.id)  # it was deleted meanwhile, else it is our fault
            raise
        with source:
            await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send(exchange, source, start, length)

    async def _send(self, exchange: Exchange, source: BinaryIO, start: int, length: int) -> None:
        source.seek(start)
        with exchange as peer:
            while True:
                piece = await in_thread(source.read, min(_PIECE, length))
                length -= len(piece)
                try:
                    async with asyncio.timeout(self._stall_seconds):
                        await exchange.send({"type": "http.response.body", "body": piece, "more_body": length > 0})
                except TimeoutError:
                    peer.drop()
                if not length or peer.gone:
                    return
                if not piece:
                    raise OSError("a content is shorter than its row says")


def file_json(file: StoredFile) -> dict[str, Any]:
    """A file as clients see it. It can be used at once, so its status is always ``processed``."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _check_early(fields: Mapping[str, str]) -> None:
    if fields.get("purpose"):
        check_purpose(fields["purpose"])


def _asked_range(exchange: Exchange, size: int, tag: str) -> tuple[int, int, int]:
    """Status, first byte and length of the reply. One range is honoured; several, and what is no range, are ignored."""
    found = _RANGE.fullmatch(exchange.header(b"range") or "")
    if found is None or found[0] == "bytes=-" or (exchange.header(b"if-range") or tag) != tag:
        return 200, 0, size
    if not found[1]:
        length = min(int(found[2]), size)
        start = size - length
    else:
        start = int(found[1])
        length = min(int(found[2]) if found[2] else size, size - 1) - start + 1
        if found[2] and int(found[2]) < start:
            return 200, 0, size
    if start >= size or not length:
        raise _RangeError(size)
    return 206, start, length


class _RangeError(InvalidRequest):
    """The file does not have the bytes that were asked for."""

    status = 416
    code = "invalid_range"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The file has {size} bytes; the range asks for others.",
            param="range",
            headers={"content-range": f"bytes */{size}"},
        )


def _id(exchange: Exchange) -> str:
    return exchange.path("file_id")
