"""Vector stores, their files and batches as clients see them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.storage.vectors.model import BatchRow, Counts, FileRow, VectorStoreRow
from antiphon.wire.vector_store_requests import AUTO, AutoChunking, ChunkingStrategy, StaticChunking

Json = dict[str, Any]

_decode = msgspec.json.Decoder(Json).decode
_decode_chunking = msgspec.json.Decoder(StaticChunking).decode
_encode = msgspec.json.Encoder().encode


def text_of(value: Any) -> str:
    """JSON as rows hold it; keys in order, so that equal values are equal texts."""
    return msgspec.json.encode(value, order="sorted").decode()


def attributes_of(row: FileRow) -> Json:
    """A file's attributes."""
    return _decode(row.attributes)


def chunking_text(strategy: ChunkingStrategy | None) -> str:
    """A strategy as a row holds it: always in numbers."""
    return _encode(AUTO if strategy is None or isinstance(strategy, AutoChunking) else strategy).decode()


def chunking_of(row: FileRow) -> StaticChunking:
    """How a file is cut."""
    return _decode_chunking(row.chunking)


def store_shape(row: VectorStoreRow, counts: Counts, *, expired: bool) -> Json:
    """A vector store."""
    status = "expired" if expired else "in_progress" if counts.in_progress else "completed"
    days = row.expires_days
    return {
        "id": row.id,
        "object": "vector_store",
        "created_at": row.created_at,
        "name": row.name,
        "description": row.description,
        "usage_bytes": counts.usage_bytes,
        "file_counts": counts_shape(counts),
        "status": status,
        "expires_after": None if days is None else {"anchor": "last_active_at", "days": days},
        "expires_at": row.expires_at,
        "last_active_at": row.last_active_at,
        "metadata": msgspec.Raw(row.metadata.encode()),
        "embedding_model": row.embedding_model,
        "embedding_dimensions": row.dimensions,
    }


def file_shape(row: FileRow) -> Json:
    """A file of a store."""
    error = None
    if row.error_code is not None:
        error = {"code": row.error_code, "message": row.error_message or ""}
    return {
        "id": row.file_id,
        "object": "vector_store.file",
        "created_at": row.created_at,
        "usage_bytes": row.usage_bytes,
        "vector_store_id": row.store_id,
        "status": row.status,
        "last_error": error,
        "chunking_strategy": msgspec.Raw(row.chunking.encode()),
        "attributes": msgspec.Raw(row.attributes.encode()),
    }


def batch_shape(row: BatchRow, counts: Counts) -> Json:
    """A batch. It has failed when each of its files has."""
    status = "completed"
    if row.cancelled:
        status = "cancelled"
    elif counts.in_progress:
        status = "in_progress"
    elif counts.failed and counts.failed == counts.total:
        status = "failed"
    return {
        "id": row.id,
        "object": "vector_store.files_batch",
        "created_at": row.created_at,
        "vector_store_id": row.store_id,
        "status": status,
        "file_counts": counts_shape(counts),
    }


def counts_shape(counts: Counts) -> Json:
    """Files by status."""
    return {
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "total": counts.total,
    }


def list_shape(shown: Sequence[Json], *, more: bool) -> Json:
    """One page of a list."""
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": more,
    }
