"""What a file is, as far as it can be told without reading it as a document: text, a picture, or else. Pure."""

from __future__ import annotations

import re

from antiphon.files.parsing.kinds import TEXT_SUFFIXES

#: Media types that are text although they do not say so.
_TEXT_TYPES = frozenset(
    f"application/{kind}"
    for kind in (
        *("json", "jsonl", "x-ndjson", "ld+json", "xml", "yaml", "x-yaml", "toml", "sql", "graphql", "csv"),
        *("javascript", "x-javascript", "typescript", "ecmascript", "x-sh", "x-shellscript", "x-python", "x-httpd-php"),
    )
)
_SUFFIXES = TEXT_SUFFIXES | {"html", "htm", "eml"}
IMAGE_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
TYPES = {**IMAGE_TYPES, "pdf": "application/pdf"}
_PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
#: Marks of UTF-16 text; UTF-8's own is taken off by its codec.
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def suffix_of(filename: str) -> str:
    """``pdf`` of ``A.PDF``; a name without a dot is its own suffix (``Makefile``)."""
    return filename.rpartition("/")[2].lower().rpartition(".")[2]


def is_text(media_type: str | None, filename: str | None) -> bool:
    """Whether it is of a plain format, by its media type, or by its name where that says nothing."""
    if media_type in (None, "application/octet-stream"):
        return bool(filename) and suffix_of(filename or "") in _SUFFIXES
    assert media_type is not None
    return (
        media_type.startswith("text/") or media_type in _TEXT_TYPES or media_type.endswith(("+json", "+xml", "+yaml"))
    )


def picture_type(head: bytes) -> str | None:
    """The media type of a picture that models read, by how its content begins; None for all else."""
    return next((kind for mark, kind in _PICTURES if mark.match(head)), None)


def decoded(content: bytes) -> str:
    """The text of a plain file. Raises ``UnicodeDecodeError`` where it is neither UTF-8 nor marked UTF-16."""
    return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")


def titled(filename: str | None, text: str) -> str:
    """A file's text as a model reads it."""
    return f"File: {filename}\n\n{text}" if filename else text
