"""Files in the input: plain text is shown as text, images as images, the rest goes on as a chat ``file`` part.

Nothing is fetched here: a ``file_url`` must have been replaced by its content (``history.inline_files``) before.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.wire.parts import InputFile

#: Media types that are text although they do not say so.
_TEXT_TYPES = frozenset(
    f"application/{kind}"
    for kind in (
        *("json", "jsonl", "x-ndjson", "ld+json", "xml", "yaml", "x-yaml", "toml", "sql", "graphql", "csv"),
        *("javascript", "x-javascript", "typescript", "ecmascript", "x-sh", "x-shellscript", "x-python", "x-httpd-php"),
    )
)
_TEXT_SUFFIXES = frozenset(
    (
        *("txt", "text", "md", "markdown", "rst", "csv", "tsv", "json", "jsonl", "ndjson", "xml", "html", "htm", "svg"),
        *(
            "yaml",
            "yml",
            "toml",
            "ini",
            "cfg",
            "conf",
            "env",
            "log",
            "tex",
            "srt",
            "vtt",
            "diff",
            "patch",
            "css",
            "scss",
        ),
        *(
            "py",
            "pyi",
            "js",
            "mjs",
            "cjs",
            "ts",
            "tsx",
            "jsx",
            "java",
            "kt",
            "scala",
            "c",
            "h",
            "cc",
            "cpp",
            "hpp",
            "cs",
        ),
        *(
            "go",
            "rs",
            "rb",
            "php",
            "pl",
            "lua",
            "r",
            "jl",
            "swift",
            "m",
            "sh",
            "bash",
            "zsh",
            "ps1",
            "bat",
            "sql",
            "graphql",
        ),
        *("proto", "tf", "gradle", "cmake", "dockerfile", "makefile", "vue", "svelte", "ipynb", "eml"),
    )
)
_IMAGE_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_TYPES = {**_IMAGE_TYPES, "pdf": "application/pdf"}
#: Marks of UTF-16 text; UTF-8's own is taken off by its codec.
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def file_part(file: InputFile, path: str) -> dict[str, Any]:
    """The chat content part for a file; ``path`` is its JSON path. Raises InvalidRequest naming the field at fault."""
    if file.file_data:
        return _data_part(file.file_data, file.filename, f"{path}.file_data")
    if file.file_url:
        return _url_part(file.file_url, f"{path}.file_url")
    if file.file_id:
        raise no_files(f"{path}.file_id")
    raise InvalidRequest(
        f"'{path}' must have one of 'file_data', 'file_url' or 'file_id'.",
        param=path,
        code="missing_required_parameter",
    )


def no_files(param: str) -> UnsupportedParameter:
    """The error for a ``file_id``: this server keeps no files."""
    return UnsupportedParameter(
        f"Unsupported parameter: '{param}': uploaded files are not available; send the data or a URL.", param=param
    )


def is_image_url(url: str) -> bool:
    """The URL's path ends like a picture's, so that a back end may be given it as one."""
    try:
        return _suffix(urlsplit(url).path) in _IMAGE_TYPES
    except ValueError:  # not a URL at all: no picture's either
        return False


def _url_part(url: str, param: str) -> dict[str, Any]:
    if url.startswith("data:"):
        return _data_part(url, None, param)
    if is_image_url(url):
        return {"type": "image_url", "image_url": {"url": url}}
    raise InvalidRequest(
        f"Invalid value for '{param}': the file could not be fetched; send its content as 'file_data'.",
        param=param,
        code="invalid_value",
    )


def _data_part(data: str, filename: str | None, param: str) -> dict[str, Any]:
    media_type, content = _media_type(data), data
    if media_type is None:
        media_type = _TYPES.get(_suffix(filename or ""))
        content = f"data:{media_type};base64,{data}" if media_type else data
    if _is_text(media_type, filename):
        text = _text(_bytes(data, param), param)
        return {"type": "text", "text": f"File: {filename}\n\n{text}" if filename else text}
    if media_type is not None and media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": content}}
    _bytes(data, param)
    return {"type": "file", "file": {"filename": filename or "file", "file_data": content}}


def _media_type(data: str) -> str | None:
    """The media type a ``data:`` URL names; None for bare base64 and where it says nothing."""
    if not data.startswith("data:"):
        return None
    return data[5:].partition(",")[0].partition(";")[0].strip().lower() or "text/plain"


def _suffix(filename: str) -> str:
    name = filename.rpartition("/")[2].lower()
    return name.rpartition(".")[2]


def _is_text(media_type: str | None, filename: str | None) -> bool:
    if media_type in (None, "application/octet-stream"):
        return bool(filename) and _suffix(filename or "") in _TEXT_SUFFIXES
    assert media_type is not None
    return (
        media_type.startswith("text/") or media_type in _TEXT_TYPES or media_type.endswith(("+json", "+xml", "+yaml"))
    )


def _bytes(data: str, param: str) -> bytes:
    head, comma, body = data.partition(",") if data.startswith("data:") else ("data:;base64", ",", data)
    if comma and not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        body = "".join(body.split())
        return base64.b64decode(
            body + "=" * (-len(body) % 4), altchars=b"-_" if _is_urlsafe(body) else None, validate=True
        )
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(
            f"Invalid value for '{param}': it is not valid base64 data.", param=param, code="invalid_value"
        ) from error


def _is_urlsafe(body: str) -> bool:
    return "-" in body or "_" in body


def _text(content: bytes, param: str) -> str:
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"Invalid value for '{param}': the text is not valid UTF-8.", param=param, code="invalid_value"
        ) from error
