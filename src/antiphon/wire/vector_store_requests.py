"""The bodies of ``/v1/vector_stores``: stores, their files, batches of files, and searches.

Null means absent, but where it takes something away (``expires_after`` of an update). Unknown fields are accepted.
Filters are read by those who know what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.wire.reading import convert, decode_object, missing_parameter
from antiphon.wire.requests import Metadata

#: Files that one request may name.
MAX_FILES = 2000
#: Queries of one search, and characters of each.
MAX_QUERIES = 16
MAX_QUERY = 4096

Name = Annotated[str, Meta(max_length=1024)]
FileId = Annotated[str, Meta(min_length=1, max_length=256)]
Query = Annotated[str, Meta(min_length=1, max_length=MAX_QUERY)]
Attributes = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)] | bool | int | float],
    Meta(max_length=16),
]
Unit = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=1000)]


class StaticSizes(msgspec.Struct, frozen=True):
    """Sizes of chunks in tokens; the overlap is at most half of a chunk."""

    max_chunk_size_tokens: Annotated[int, Meta(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Meta(ge=0, le=2048)]


class AutoChunking(msgspec.Struct, frozen=True, tag_field="type", tag="auto"):
    """800 tokens, of which 400 overlap."""


class StaticChunking(msgspec.Struct, frozen=True, tag_field="type", tag="static"):
    """Sizes of one's own."""

    static: StaticSizes


ChunkingStrategy = AutoChunking | StaticChunking

#: What ``auto`` stands for.
AUTO = StaticChunking(StaticSizes(max_chunk_size_tokens=800, chunk_overlap_tokens=400))


class ExpiresAfter(msgspec.Struct, frozen=True):
    """So many days after it was last used."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, Meta(ge=1, le=365)]


class CreateVectorStore(msgspec.Struct):
    """A vector store to be made. The last two are of this server: the model is fixed for the store's life."""

    name: Name | None = None
    description: Name | None = None
    file_ids: Annotated[list[FileId], Meta(max_length=MAX_FILES)] | None = None
    chunking_strategy: ChunkingStrategy | None = None
    expires_after: ExpiresAfter | None = None
    metadata: Metadata | None = None
    embedding_model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    embedding_dimensions: Annotated[int, Meta(ge=1, le=16384)] | None = None


class UpdateVectorStore(msgspec.Struct):
    """What is to change; what is absent stays."""

    name: Name | UnsetType | None = UNSET
    expires_after: ExpiresAfter | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET


class CreateVectorStoreFile(msgspec.Struct):
    """A file to be put into a store."""

    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class UpdateVectorStoreFile(msgspec.Struct):
    """New attributes, in place of all that were there."""

    attributes: Attributes | None


class CreateFileBatch(msgspec.Struct):
    """Files to be put into a store: by their ids with one setting for all, or each with its own."""

    file_ids: Annotated[list[FileId], Meta(min_length=1, max_length=MAX_FILES)] | None = None
    files: Annotated[list[CreateVectorStoreFile], Meta(min_length=1, max_length=MAX_FILES)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class HybridSearch(msgspec.Struct, frozen=True):
    """How much meaning counts beside words; at least one is more than 0."""

    embedding_weight: Weight
    text_weight: Weight


class RankingOptions(msgspec.Struct, frozen=True):
    """How hits are ordered. ``alpha`` (the share of meaning), ``rrf`` and ``hybrid_search`` are of this server here."""

    ranker: Literal["none", "auto", "default-2024-11-15", "rrf"] | None = None
    score_threshold: Unit | None = None
    hybrid_search: HybridSearch | None = None
    alpha: Unit | None = None


class SearchVectorStore(msgspec.Struct):
    """A question to a store, or several of which the best answers count."""

    query: Query | Annotated[list[Query], Meta(min_length=1, max_length=MAX_QUERIES)]
    filters: dict[str, Any] | None = None
    max_num_results: Annotated[int, Meta(ge=1, le=50)] | None = None
    ranking_options: RankingOptions | None = None
    rewrite_query: bool | None = None

    @property
    def queries(self) -> list[str]:
        """One or several."""
        return [self.query] if isinstance(self.query, str) else self.query


def parse_vector_store(body: bytes) -> CreateVectorStore:
    """A store to be made; an empty body is one without anything. Raises InvalidRequest."""
    read: CreateVectorStore = convert(decode_object(body) if body else {}, CreateVectorStore)
    _check_chunking(read.chunking_strategy, "chunking_strategy")
    return read


def parse_store_update(body: bytes) -> UpdateVectorStore:
    """Changes of a store. Raises InvalidRequest."""
    read: UpdateVectorStore = convert(decode_object(body) if body else {}, UpdateVectorStore)
    return read


def parse_store_file(body: bytes) -> CreateVectorStoreFile:
    """A file for a store. Raises InvalidRequest."""
    read: CreateVectorStoreFile = convert(decode_object(body), CreateVectorStoreFile)
    _check_chunking(read.chunking_strategy, "chunking_strategy")
    return read


def parse_attributes(body: bytes) -> Mapping[str, Any]:
    """The new attributes. Raises InvalidRequest."""
    read: UpdateVectorStoreFile = convert(decode_object(body), UpdateVectorStoreFile)
    return read.attributes or {}


def parse_batch(body: bytes) -> tuple[list[CreateVectorStoreFile], list[str]]:
    """The files of a batch, each once, with the settings that are its own or everybody's, and the JSON path at which
    each is named. Raises InvalidRequest."""
    read: CreateFileBatch = convert(decode_object(body), CreateFileBatch)
    if read.file_ids and read.files:
        raise InvalidRequest(
            "Give either 'file_ids' or 'files', not both.", param="files", code="mutually_exclusive_parameters"
        )
    if read.files:
        return read.files, _each(read.files)
    if not read.file_ids:
        raise missing_parameter("file_ids")
    _check_chunking(read.chunking_strategy, "chunking_strategy")
    places: dict[str, str] = {}
    for n, name in enumerate(read.file_ids):
        places.setdefault(name, f"file_ids[{n}]")
    files = [CreateVectorStoreFile(name, read.attributes, read.chunking_strategy) for name in places]
    return files, list(places.values())


def _each(files: list[CreateVectorStoreFile]) -> list[str]:
    """Where each is named; which must be once."""
    seen: set[str] = set()
    for n, file in enumerate(files):
        _check_chunking(file.chunking_strategy, f"files[{n}].chunking_strategy")
        if file.file_id in seen:
            where = f"files[{n}].file_id"
            raise InvalidRequest(f"'{where}' names '{file.file_id}' again.", param=where, code="invalid_value")
        seen.add(file.file_id)
    return [f"files[{n}].file_id" for n in range(len(files))]


def parse_search(body: bytes) -> SearchVectorStore:
    """A search. Raises InvalidRequest, by name for what cannot be done."""
    read: SearchVectorStore = convert(decode_object(body), SearchVectorStore)
    if read.rewrite_query:
        raise UnsupportedParameter(
            "Queries are not rewritten here: leave 'rewrite_query' out, or false.", param="rewrite_query"
        )
    if read.ranking_options is not None:
        check_ranking(read.ranking_options, "ranking_options")
    return read


def check_ranking(options: RankingOptions, where: str) -> None:
    """What types cannot say of it. Raises InvalidRequest; ``where`` is its JSON path."""
    hybrid = options.hybrid_search
    if hybrid is not None and options.alpha is not None:
        raise InvalidRequest(
            "'alpha' and 'hybrid_search' say the same: give one of them.",
            param=f"{where}.alpha",
            code="mutually_exclusive_parameters",
        )
    if hybrid is not None and not hybrid.embedding_weight and not hybrid.text_weight:
        raise InvalidRequest(
            "One of 'embedding_weight' and 'text_weight' must be more than 0.",
            param=f"{where}.hybrid_search",
            code="invalid_value",
        )


def _check_chunking(strategy: ChunkingStrategy | None, where: str) -> None:
    if not isinstance(strategy, StaticChunking):
        return
    size, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    if overlap > size // 2:
        at = f"{where}.static.chunk_overlap_tokens"
        raise InvalidRequest(
            f"Invalid value for '{at}': at most half of max_chunk_size_tokens, {size // 2}, got {overlap}.",
            param=at,
            code="invalid_value",
        )
