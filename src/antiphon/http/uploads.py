"""The routes of ``/v1/uploads``."""

from __future__ import annotations

from typing import Any

from antiphon.files.contents import too_large
from antiphon.files.uploads import MAX_PART_BYTES, PART_LIMIT
from antiphon.files.uploads import Uploads as Service
from antiphon.http.exchange import Exchange
from antiphon.http.files import file_json
from antiphon.http.multipart import check_length, read_form
from antiphon.storage.files.model import StoredFile, StoredUpload
from antiphon.wire.file_requests import parse_complete, parse_upload


class Uploads:
    """Handlers over the uploads' own service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, exchange: Exchange) -> None:
        """``POST /v1/uploads``."""
        asked = parse_upload(await exchange.body())
        await exchange.json(_shown(await self._service.create(exchange.owner, asked)))

    async def add_part(self, exchange: Exchange) -> None:
        """``POST /v1/uploads/{id}/parts``: a form, its part read as it comes."""
        check_length(exchange, too_large(MAX_PART_BYTES, PART_LIMIT), MAX_PART_BYTES)
        await self._service.get(exchange.owner, _id(exchange))
        async with self._service.incoming() as incoming:
            await read_form(exchange, "data", incoming)
            part = await self._service.add_part(exchange.owner, _id(exchange), incoming)
        shown = {"id": part.id, "object": "upload.part", "created_at": part.created_at, "upload_id": part.upload_id}
        await exchange.json(shown)

    async def complete(self, exchange: Exchange) -> None:
        """``POST /v1/uploads/{id}/complete``: the upload with its file."""
        asked = parse_complete(await exchange.body())
        upload, file = await self._service.complete(exchange.owner, _id(exchange), asked)
        await exchange.json(_shown(upload, file))

    async def cancel(self, exchange: Exchange) -> None:
        """``POST /v1/uploads/{id}/cancel``."""
        await exchange.json(_shown(await self._service.cancel(exchange.owner, _id(exchange))))


def _shown(upload: StoredUpload, file: StoredFile | None = None) -> dict[str, Any]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": file_json(file) if file is not None else None,
    }


def _id(exchange: Exchange) -> str:
    return exchange.path("upload_id")
