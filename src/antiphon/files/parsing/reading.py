"""One file as text, or its pages as pictures: what the child of a worker does. Slow, and done behind limits."""

from __future__ import annotations

import html
import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from antiphon.files.parsing import kinds, packed
from antiphon.files.parsing.charset import clean, decoded
from antiphon.files.parsing.model import Drawn, Job, Read, Unparsable

if TYPE_CHECKING:
    import kreuzberg

#: What the library calls the kinds that it reads for us.
_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "epub": "application/epub+zip",
    "rtf": "application/rtf",
    "html": "text/html",
}
#: Stands before each slide; no text has this character, which is nobody's.
_SLIDE = "\ue07a"
#: What a page says of itself beside its text; and pictures that are written out in it.
_HEAD = re.compile(r"<head\b.*?</head\s*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title\b[^>]{0,500}>(.{0,1000}?)</title", re.IGNORECASE | re.DOTALL)
_INLINE_IMAGE = re.compile(r"!\[([^\]]{0,300})\]\(data:[^)]*\)")
#: A word of the container in which Office keeps documents with a password.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_PASSWORD = re.compile(r"password|encrypt", re.IGNORECASE)
#: What is left of an error of the library: it may quote the file.
_MAX_REASON = 200


def prepare(filename: str) -> None:
    """Loads, in the worker itself, what its children will need for a file of this name."""
    if kinds.suffix_of(filename) not in kinds.TEXT_SUFFIXES:
        import kreuzberg  # noqa: F401


def read(job: Job, descriptor: int) -> Read:
    """The text of an open file. Raises ``Unparsable``."""
    with os.fdopen(descriptor, "rb") as file:
        kind = _kind(job, file)
        file.seek(0)
        if kind == "text":
            parts, paged = [decoded(_content(file, job))], False
        else:
            parts, paged = _by_library(kind, file, job)
    size = sum(len(part.encode()) for part in parts)
    if size > job.limits.max_text_bytes:
        raise _too_much(size, job)
    return Read(parts, paged)


def drawn(job: Job, descriptor: int) -> Drawn:
    """The first pages of a PDF as PNG. Raises ``Unparsable``."""
    with os.fdopen(descriptor, "rb") as file:
        if _kind(job, file) != "pdf":
            raise Unparsable("unsupported_file", "Only the pages of a PDF can be drawn.")
        from kreuzberg import PdfPageIterator

        images: list[bytes] = []
        size = 0
        try:
            with PdfPageIterator(_path(file), job.dpi) as pages:
                while len(images) < job.pages and (page := next(pages, None)) is not None:
                    images.append(page[1])
                    size += len(page[1])
                    if size > job.limits.max_text_bytes:
                        raise _too_much(size, job)
        except (RuntimeError, ValueError, OSError) as failure:
            raise _reason(failure) from failure
    return Drawn(images)


def _kind(job: Job, file: BinaryIO) -> str:
    kind = kinds.kind_of(file.read(kinds.HEAD), job.filename, job.media_type)
    if kind == "zip":
        return packed.office(file, job.limits)
    if kind == "ole":
        file.seek(0)
        if _ENCRYPTED in file.read(4 * 1024 * 1024):
            raise packed.locked()
        raise kinds.unsupported("The file is of an old Office format (doc, ppt, xls); save it as docx, pptx or xlsx")
    return kind


def _content(file: BinaryIO, job: Job) -> bytes:
    """All of it. In the tightest charset a character of text takes half of what it does in ours."""
    size = os.fstat(file.fileno()).st_size
    if size > 2 * job.limits.max_text_bytes:
        raise _too_much(size, job)
    return file.read()


def _by_library(kind: str, file: BinaryIO, job: Job) -> tuple[list[str], bool]:
    """Its parts, and whether those are pages."""
    import kreuzberg

    config = _config(kind, kreuzberg)
    try:
        if kind == "html":
            return [_html(decoded(_content(file, job)), config)], False
        found = kreuzberg.extract_file_sync(_path(file), _MEDIA_TYPES[kind], config)
    except (kreuzberg.KreuzbergError, RuntimeError, ValueError, OSError) as failure:
        raise _reason(failure) from failure
    if kind == "pdf" and found.pages:
        return [clean(page["content"]) for page in found.pages], True
    if kind == "pptx":
        slides = clean(found.content).split(_SLIDE)
        return [slide.strip() for slide in slides[1:] or slides], True
    return [clean(found.content)], False


def _config(kind: str, library: Any) -> kreuzberg.ExtractionConfig:
    """All that is in the text, headers and repeated lines too; of a page of the web, not its menus.

    Slides are plain text, for their notes are left out of any other.
    """
    pages: dict[str, dict[str, Any]] = {
        "pdf": {"extract_pages": True},
        "pptx": {"insert_page_markers": True, "marker_format": _SLIDE},
    }
    config: kreuzberg.ExtractionConfig = library.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        output_format="plain" if kind == "pptx" else "markdown",
        pages=library.PageConfig(**pages[kind]) if kind in pages else None,
        html_options={"preprocessing": {"enabled": True, "preset": "standard", "remove_forms": False}},
        content_filter=library.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False, include_watermarks=True
        ),
        postprocessor=library.PostProcessorConfig(enabled=False),
        concurrency=library.ConcurrencyConfig(max_threads=1),
    )
    return config


def _html(source: str, config: kreuzberg.ExtractionConfig) -> str:
    """A page of the web as Markdown, its title first."""
    import kreuzberg

    head = _HEAD.search(source)
    title = _TITLE.search(head[0] if head else source[:100_000])
    body = source[: head.start()] + source[head.end() :] if head else source
    found = kreuzberg.extract_bytes_sync(body.encode(), _MEDIA_TYPES["html"], config).content
    shown = " ".join(html.unescape(title[1]).split()) if title else ""
    return clean(_INLINE_IMAGE.sub(r"\1", f"{shown}\n\n{found}").strip())


def _path(file: BinaryIO) -> str:
    return f"/dev/fd/{file.fileno()}"


def _reason(failure: Exception) -> Unparsable:
    words = " ".join(str(failure).split())
    if _PASSWORD.search(words):
        return packed.locked()
    if isinstance(failure, OSError) and not words:
        words = type(failure).__name__
    words = re.sub(r"/dev/fd/\d+", "the file", words)
    return Unparsable("invalid_file", f"The file cannot be read: {words[:_MAX_REASON]}.")


def _too_much(size: int, job: Job) -> Unparsable:
    limit = job.limits.max_text_bytes
    return Unparsable(
        "invalid_file", f"It has {size} bytes of text; at most {limit} are read (files.parsing.max_text_bytes)."
    )
