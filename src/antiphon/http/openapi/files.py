"""The operations of ``/v1/files`` and ``/v1/uploads``."""

from __future__ import annotations

from typing import Any

from antiphon.http.openapi.operations import body, operation, parameter
from antiphon.wire.file_requests import LEAST_SECONDS, MOST_SECONDS, PURPOSES

Json = dict[str, Any]

_FILES, _UPLOADS = "Files", "Uploads"
_FILE = parameter("file_id", "path", "Id of a file.", {"type": "string"}, required=True)
_UPLOAD = parameter("upload_id", "path", "Id of an upload.", {"type": "string"}, required=True)
_BINARY: Json = {"type": "string", "format": "binary"}
_SECONDS: Json = {"type": "integer", "minimum": LEAST_SECONDS, "maximum": MOST_SECONDS}


def file_paths() -> Json:
    """All of them, by path."""
    return {
        "/v1/files": {"post": _create(), "get": _list()},
        "/v1/files/{file_id}": {
            "parameters": [_FILE],
            "get": operation("getFile", _FILES, "Get what is known of a file", "File", 404),
            "delete": operation("deleteFile", _FILES, "Delete a file", "DeletedFile", 404),
        },
        "/v1/files/{file_id}/content": {"parameters": [_FILE], "get": _content()},
        "/v1/uploads": {"post": _begin()},
        "/v1/uploads/{upload_id}/parts": {"parameters": [_UPLOAD], "post": _add_part()},
        "/v1/uploads/{upload_id}/complete": {"parameters": [_UPLOAD], "post": _complete()},
        "/v1/uploads/{upload_id}/cancel": {
            "parameters": [_UPLOAD],
            "post": operation("cancelUpload", _UPLOADS, "Cancel an upload", "Upload", 400, 404),
        },
    }


def _create() -> Json:
    made = operation("createFile", _FILES, "Upload a file", "File", 400, 413, 415)
    made["description"] = (
        "Of a file's name the last piece is kept, without control characters. Files of the purpose `batch` live for 30 "
        "days unless they say otherwise, others for ever."
    )
    made["requestBody"] = _form(
        {
            "purpose": {"enum": list(PURPOSES), "description": "What it is for."},
            "expires_after[anchor]": {"const": "created_at", "description": "From when it counts."},
            "expires_after[seconds]": {**_SECONDS, "description": "How long it lives."},
            "file": {**_BINARY, "description": "The file."},
        },
        "purpose",
        "file",
    )
    schema = made["requestBody"]["content"]["multipart/form-data"]["schema"]
    anchor, seconds = "expires_after[anchor]", "expires_after[seconds]"
    schema["dependentRequired"] = {anchor: [seconds], seconds: [anchor]}
    return made


def _list() -> Json:
    made = operation("listFiles", _FILES, "List files", "FileList", 400)
    limit = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10_000}
    made["parameters"] = [
        parameter("after", "query", "Id of the file before the first one wanted.", {"type": "string"}),
        parameter("limit", "query", "At most so many.", limit),
        parameter("order", "query", "By age.", {"enum": ["asc", "desc"], "default": "desc"}),
        parameter("purpose", "query", "Only files of this purpose.", {"type": "string"}),
    ]
    return made


def _content() -> Json:
    made = operation("getFileContent", _FILES, "Download a file", "Error", 404, 416)
    content = {"application/octet-stream": {"schema": _BINARY}}
    made["parameters"] = [
        parameter("Range", "header", "One range of bytes; several are ignored.", {"type": "string"}),
        parameter("If-Range", "header", "The range only of the content of this ETag.", {"type": "string"}),
        parameter("If-None-Match", "header", "ETag of what the client has.", {"type": "string"}),
    ]
    replies = made["responses"]
    headers = replies["200"]["headers"]
    replies["200"]["content"] = content
    replies["206"] = {"description": "The range that was asked for.", "headers": headers, "content": content}
    replies["304"] = {"description": "The client has this content.", "headers": headers}
    return made


def _begin() -> Json:
    made = operation("createUpload", _UPLOADS, "Begin an upload in parts", "Upload", 400, 413, 415)
    made["description"] = "It takes parts for an hour."
    made["requestBody"] = body("CreateUpload")
    return made


def _add_part() -> Json:
    made = operation("addUploadPart", _UPLOADS, "Add a part", "UploadPart", 400, 404, 413, 415)
    made["description"] = "Of up to 64 MiB, in any order. All parts together may be twice as long as the upload."
    made["requestBody"] = _form({"data": {**_BINARY, "description": "The part."}}, "data")
    return made


def _complete() -> Json:
    made = operation("completeUpload", _UPLOADS, "Make a file of the parts", "Upload", 400, 404, 413, 415)
    made["requestBody"] = body("CompleteUpload")
    return made


def _form(properties: Json, *required: str) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
