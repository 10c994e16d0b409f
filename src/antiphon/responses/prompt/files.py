"""Files in the input: plain text is shown as text, images as images, the rest goes on as a chat ``file`` part.

Nothing is fetched or read as a document here: a ``file_url`` must have been replaced by its content
(``history.inline_files``) before, and so must what only an id or a parser can tell (``responses/attachments``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from antiphon.errors import InvalidRequest
from antiphon.files.kinds import IMAGE_TYPES, TYPES, decoded, is_text, suffix_of, titled
from antiphon.wire.parts import InputFile


def file_part(file: InputFile, path: str) -> dict[str, Any]:
    """The chat content part for a file; ``path`` is its JSON path. Raises InvalidRequest naming the field at fault."""
    if file.file_data:
        return _data_part(file.file_data, file.filename, f"{path}.file_data")
    if file.file_url:
        return _url_part(file.file_url, f"{path}.file_url")
    if file.file_id:
        raise unknown_file(file.file_id, f"{path}.file_id")
    raise InvalidRequest(
        f"'{path}' must have one of 'file_data', 'file_url' or 'file_id'.",
        param=path,
        code="missing_required_parameter",
    )


def unknown_file(file_id: str, param: str) -> InvalidRequest:
    """The 400 for a ``file_id`` that names nothing."""
    return InvalidRequest(f"Invalid value for '{param}': there is no file '{file_id}'.", param=param, code="not_found")


def data_of(file: Mapping[str, Any]) -> str | None:
    """The data that came with this part, if any: base64, bare or in a ``data:`` URL."""
    data = file.get("file_data")
    if not data and str(file.get("file_url") or "").startswith("data:"):
        data = file["file_url"]
    return data if isinstance(data, str) and data else None


def is_document(file: Mapping[str, Any]) -> bool:
    """Whether this part holds data that is neither text nor a picture, so that it must be read as a document."""
    data, name = data_of(file), file.get("filename")
    if data is None:
        return False
    media_type = media_type_of(data) or TYPES.get(suffix_of(name or ""))
    return not is_text(media_type, name) and not (media_type or "").startswith("image/")


def is_image_url(url: str) -> bool:
    """The URL's path ends like a picture's, so that a back end may be given it as one."""
    try:
        return suffix_of(urlsplit(url).path) in IMAGE_TYPES
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
    media_type, content = media_type_of(data), data
    if media_type is None:
        media_type = TYPES.get(suffix_of(filename or ""))
        content = f"data:{media_type};base64,{data}" if media_type else data
    if is_text(media_type, filename):
        text = _text(data_bytes(data, param), param)
        return {"type": "text", "text": titled(filename, text)}
    if media_type is not None and media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": content}}
    data_bytes(data, param)
    return {"type": "file", "file": {"filename": filename or "file", "file_data": content}}


def media_type_of(data: str) -> str | None:
    """The media type a ``data:`` URL names; None for bare base64 and where it says nothing."""
    if not data.startswith("data:"):
        return None
    return data[5:].partition(",")[0].partition(";")[0].strip().lower() or "text/plain"


def data_bytes(data: str, param: str) -> bytes:
    """What base64, bare or in a ``data:`` URL, holds. Raises InvalidRequest."""
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
        return decoded(content)
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"Invalid value for '{param}': the text is not valid UTF-8.", param=param, code="invalid_value"
        ) from error
