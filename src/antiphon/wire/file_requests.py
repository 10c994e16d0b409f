"""What is asked of ``/v1/files`` and ``/v1/uploads``: form fields and bodies, read and checked.

Null means absent; unknown fields are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from antiphon.errors import InvalidRequest
from antiphon.wire.reading import convert, decode_object, missing_parameter, quote

#: What clients may say that a file is for.
Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
PURPOSES: tuple[str, ...] = get_args(Purpose)

LEAST_SECONDS = 3600
MOST_SECONDS = 2_592_000

#: Characters of a name, before it is made safe.
_MAX_NAME = 4096
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"


class ExpiresAfter(msgspec.Struct):
    """How long the file lives."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=LEAST_SECONDS, le=MOST_SECONDS)]


class CreateUpload(msgspec.Struct):
    """A file that will come in parts."""

    bytes: Annotated[int, Meta(ge=0, le=2**62)]
    filename: Annotated[str, Meta(max_length=_MAX_NAME)]
    mime_type: Annotated[str, Meta(max_length=255)]
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class CompleteUpload(msgspec.Struct):
    """All parts are there: their order, and the MD5 of the whole, in hex."""

    part_ids: Annotated[list[str], Meta(min_length=1, max_length=100_000)]
    md5: str | None = None


class FileForm(msgspec.Struct, frozen=True):
    """What a form says of its file. ``expires_after`` in seconds."""

    purpose: str
    expires_after: int | None


def parse_upload(body: bytes) -> CreateUpload:
    """An upload to be begun. Raises InvalidRequest."""
    asked: CreateUpload = convert(decode_object(body), CreateUpload)
    return asked


def parse_complete(body: bytes) -> CompleteUpload:
    """The end of an upload. Raises InvalidRequest."""
    asked: CompleteUpload = convert(decode_object(body), CompleteUpload)
    return asked


def file_form(fields: Mapping[str, str]) -> FileForm:
    """The fields beside the file. Raises InvalidRequest."""
    purpose = fields.get("purpose")
    if not purpose:
        raise missing_parameter("purpose")
    check_purpose(purpose)
    anchor, seconds = fields.get(_ANCHOR), fields.get(_SECONDS)
    if anchor is None and seconds is None:
        return FileForm(purpose, None)
    if anchor is None or seconds is None:
        raise missing_parameter(_ANCHOR if anchor is None else _SECONDS)
    if anchor != "created_at":
        raise _invalid(_ANCHOR, "'created_at'", anchor)
    number = int(seconds) if re.fullmatch(r"\d{1,9}", seconds, re.ASCII) else 0
    if not LEAST_SECONDS <= number <= MOST_SECONDS:
        raise _invalid(_SECONDS, f"a whole number from {LEAST_SECONDS} to {MOST_SECONDS}", seconds)
    return FileForm(purpose, number)


def check_purpose(purpose: str) -> None:
    """Raises InvalidRequest for what no client may say a file is for."""
    if purpose not in PURPOSES:
        raise _invalid("purpose", "one of " + ", ".join(f"'{one}'" for one in PURPOSES), purpose)


def _invalid(param: str, expected: str, sent: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{param}': expected {expected}, got {quote(sent)}.", param=param, code="invalid_value"
    )
