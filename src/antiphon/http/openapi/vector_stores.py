"""The operations of ``/v1/vector_stores``, and the shapes of what they answer."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from antiphon.http.openapi.operations import PAGE, body, operation, parameter
from antiphon.wire import vector_store_requests as requests

Json = dict[str, Any]

_TAG = "Vector stores"
_STORE = parameter("vector_store_id", "path", "Id of a vector store.", {"type": "string"}, required=True)
_FILE = parameter("file_id", "path", "Id of a file in it.", {"type": "string"}, required=True)
_BATCH = parameter("batch_id", "path", "Id of a batch of its files.", {"type": "string"}, required=True)
_BEFORE = parameter("before", "query", "Id of the one after the last one wanted.", {"type": "string"})
_STATUS = parameter(
    "filter", "query", "Only files of this status.", {"enum": ["in_progress", "completed", "failed", "cancelled"]}
)


class FileCounts(msgspec.Struct):
    """Files by status."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class VectorStore(msgspec.Struct, tag_field="object", tag="vector_store"):
    """Files that are searched together. The model and the dimensions of its vectors are fixed for its life."""

    id: str
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"]
    expires_after: requests.ExpiresAfter | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]
    embedding_model: str
    embedding_dimensions: int | None


class VectorStoreList(msgspec.Struct, tag_field="object", tag="list"):
    """One page of vector stores."""

    data: list[VectorStore]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVectorStore(msgspec.Struct, tag_field="object", tag="vector_store.deleted"):
    """The store is gone, with all that it held; the files are not."""

    id: str
    deleted: bool


class LastError(msgspec.Struct):
    """Why a file is not in the store."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class VectorStoreFile(msgspec.Struct, tag_field="object", tag="vector_store.file"):
    """A file of a store."""

    id: str
    created_at: int
    usage_bytes: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    last_error: LastError | None
    chunking_strategy: requests.StaticChunking
    attributes: dict[str, str | bool | float]


class VectorStoreFileList(msgspec.Struct, tag_field="object", tag="list"):
    """One page of files of a store."""

    data: list[VectorStoreFile]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVectorStoreFile(msgspec.Struct, tag_field="object", tag="vector_store.file.deleted"):
    """The file is not in the store any more."""

    id: str
    deleted: bool


class FileBatch(msgspec.Struct, tag_field="object", tag="vector_store.files_batch"):
    """Files that were put into a store together."""

    id: str
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: FileCounts


class TextContent(msgspec.Struct, tag_field="type", tag="text"):
    """A passage."""

    text: str


class FileContentPage(msgspec.Struct, tag_field="object", tag="vector_store.file_content.page"):
    """A file as it was read, chunk by chunk."""

    data: list[TextContent]
    has_more: bool
    next_page: str | None


class SearchResult(msgspec.Struct):
    """A passage, the file that it is of, and how well it answers: 0 to 1."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | bool | float]
    content: list[TextContent]


class SearchResultsPage(msgspec.Struct, tag_field="object", tag="vector_store.search_results.page"):
    """The best passages, best first."""

    search_query: list[str]
    data: list[SearchResult]
    has_more: bool
    next_page: str | None


#: What is read, and what is written.
VECTOR_STORE_BODIES = (
    requests.CreateVectorStore,
    requests.UpdateVectorStore,
    requests.CreateVectorStoreFile,
    requests.UpdateVectorStoreFile,
    requests.CreateFileBatch,
    requests.SearchVectorStore,
)
VECTOR_STORE_REPLIES = (
    VectorStore,
    VectorStoreList,
    DeletedVectorStore,
    VectorStoreFile,
    VectorStoreFileList,
    DeletedVectorStoreFile,
    FileBatch,
    FileContentPage,
    SearchResultsPage,
)


def vector_store_paths() -> Json:
    """All of them, by path."""
    one, files, batches = "/v1/vector_stores/{vector_store_id}", "/files/{file_id}", "/file_batches/{batch_id}"
    return {
        "/v1/vector_stores": {
            "get": _list("listVectorStores", "List vector stores", "VectorStoreList", 400),
            "post": _create(),
        },
        one: {
            "parameters": [_STORE],
            "get": operation("getVectorStore", _TAG, "Get a vector store", "VectorStore", 404),
            "post": _with_body("modifyVectorStore", "Change a vector store", "VectorStore", "UpdateVectorStore"),
            "delete": operation("deleteVectorStore", _TAG, "Delete a vector store", "DeletedVectorStore", 404),
        },
        f"{one}/search": {"parameters": [_STORE], "post": _search()},
        f"{one}/files": {
            "parameters": [_STORE],
            "get": _list("listVectorStoreFiles", "List its files", "VectorStoreFileList", 400, 404, of_files=True),
            "post": _with_body(
                "createVectorStoreFile", "Put a file into a vector store", "VectorStoreFile", "CreateVectorStoreFile"
            ),
        },
        one + files: {
            "parameters": [_STORE, _FILE],
            "get": operation("getVectorStoreFile", _TAG, "Get a file of a store", "VectorStoreFile", 404),
            "post": _with_body(
                "updateVectorStoreFileAttributes",
                "Replace a file's attributes",
                "VectorStoreFile",
                "UpdateVectorStoreFile",
            ),
            "delete": operation(
                "deleteVectorStoreFile", _TAG, "Take a file out of a store", "DeletedVectorStoreFile", 404
            ),
        },
        f"{one}{files}/content": {
            "parameters": [_STORE, _FILE],
            "get": operation(
                "retrieveVectorStoreFileContent", _TAG, "Get the text of a file as it was read", "FileContentPage", 404
            ),
        },
        f"{one}/file_batches": {
            "parameters": [_STORE],
            "post": _with_body(
                "createVectorStoreFileBatch", "Put files into a vector store", "FileBatch", "CreateFileBatch"
            ),
        },
        one + batches: {
            "parameters": [_STORE, _BATCH],
            "get": operation("getVectorStoreFileBatch", _TAG, "Get a batch", "FileBatch", 404),
        },
        f"{one}{batches}/cancel": {
            "parameters": [_STORE, _BATCH],
            "post": operation("cancelVectorStoreFileBatch", _TAG, "Read no more of its files", "FileBatch", 404),
        },
        f"{one}{batches}/files": {
            "parameters": [_STORE, _BATCH],
            "get": _list(
                "listFilesInVectorStoreBatch", "List a batch's files", "VectorStoreFileList", 400, 404, of_files=True
            ),
        },
    }


def narrow_vector_stores(read: dict[str, Json]) -> None:
    """What the structs let pass and is refused all the same."""
    refused = {"enum": [False, None], "description": "Queries are not rewritten here."}
    read["SearchVectorStore"]["properties"]["rewrite_query"] = refused


def _create() -> Json:
    made = operation("createVectorStore", _TAG, "Create a vector store", "VectorStore", 400, 404, 413, 415)
    made["requestBody"] = {**body("CreateVectorStore"), "required": False}
    return made


def _search() -> Json:
    made = _with_body("searchVectorStore", "Search a vector store", "SearchResultsPage", "SearchVectorStore")
    made["description"] = "By meaning and by words. Of several queries the best answers count."
    return made


def _with_body(operation_id: str, summary: str, answer: str, schema: str) -> Json:
    made = operation(operation_id, _TAG, summary, answer, 400, 404, 413, 415)
    made["requestBody"] = body(schema)
    return made


def _list(operation_id: str, summary: str, answer: str, *refusals: int, of_files: bool = False) -> Json:
    made = operation(operation_id, _TAG, summary, answer, *refusals)
    made["parameters"] = [*PAGE, _BEFORE, *([_STATUS] if of_files else [])]
    return made
