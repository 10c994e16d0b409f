"""Which kind of file it is: by what is in it, and by its name only where that leaves it open. Pure.

A name is what a stranger wrote. It decides between kinds that look alike (text and HTML), never against the content.
"""

from __future__ import annotations

import re

from antiphon.files.parsing.model import Unparsable

#: Bytes from the beginning of a file that ``kind_of`` wants.
HEAD = 4096

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

#: How files begin that hold no text which we could read, and what they are called.
_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb"\x89PNG\r\n\x1a\n", "a PNG image"),
        (rb"\xff\xd8\xff", "a JPEG image"),
        (rb"GIF8[79]a", "a GIF image"),
        (rb"RIFF....WEBP", "a WebP image"),
        (rb"RIFF....(WAVE|AVI )", "sound or video"),
        (rb"(II\*\0|MM\0\*)", "a TIFF image"),
        (rb"BM....\0\0\0\0", "a BMP image"),
        (rb"....ftyp(avif|heic|mif1)", "an image"),
        (rb"....ftyp", "a video"),
        (rb"(ID3|OggS|fLaC|\xff[\xfb\xf3\xf2])", "sound"),
        (rb"\x1aE\xdf\xa3", "a video"),
        (rb"\x1f\x8b", "a gzip archive"),
        (rb"BZh[1-9]1AY", "a bzip2 archive"),
        (rb"\xfd7zXZ\0", "an xz archive"),
        (rb"\x28\xb5\x2f\xfd", "a zstd archive"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (rb"Rar!\x1a\x07", "a RAR archive"),
        (rb".{257}ustar", "a tar archive"),
        (rb"\x7fELF", "a program"),
        (rb"MZ.{58}", "a program"),
        (rb"(\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe)", "a program"),
        (rb"SQLite format 3\0", "a database"),
        (rb"\0asm", "a program"),
    )
)

_TEXT = (
    "txt text md markdown mdx rst adoc org tex csv tsv json jsonl ndjson xml svg yaml yml toml ini cfg conf env "
    "properties log diff patch srt vtt css scss less py pyi js mjs cjs ts tsx jsx java kt kts scala c h cc cpp cxx "
    "hpp cs go rs rb php pl lua r jl swift m mm sh bash zsh fish ps1 bat cmd sql graphql proto tf gradle cmake "
    "dockerfile makefile vue svelte ipynb ex exs erl hs ml clj dart zig nim "
)
#: Suffixes of what is shown as it is written, even where it looks like HTML.
TEXT_SUFFIXES = frozenset(_TEXT.split())
_HTML_SUFFIXES = frozenset({"html", "htm", "xhtml"})
_LOOKS_HTML = re.compile(
    rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html[\s>]|head[\s>]|body[\s>])", re.IGNORECASE | re.DOTALL
)
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


def suffix_of(filename: str) -> str:
    """``pdf`` of ``A.PDF``; a name without a dot is its own suffix (``Makefile``)."""
    name = filename.replace("\\", "/").rpartition("/")[2].lower()
    return name.rpartition(".")[2][:20]


def kind_of(head: bytes, filename: str, media_type: str) -> str:
    """``pdf``, ``zip`` (what is in it tells more), ``ole``, ``rtf``, ``html`` or ``text``. Raises ``Unparsable``."""
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith(_OLE):
        return "ole"
    if head.startswith(b"{\\rtf"):
        return "rtf"
    for pattern, name in _OTHERS:
        if pattern.match(head):
            raise unsupported(f"The file is {name}")
    if b"\0" in head and not head.startswith(_MARKS) and not _is_wide(head):
        raise unsupported("The file is neither text nor a document of a kind that is known here")
    return "html" if _is_html(head, suffix_of(filename), media_type) else "text"


def unsupported(what: str) -> Unparsable:
    """What is read, for who sent something else."""
    return Unparsable(
        "unsupported_file", f"{what}. What can be read: PDF, docx, pptx, xlsx, HTML, and text of any kind."
    )


def _is_html(head: bytes, suffix: str, media_type: str) -> bool:
    if suffix in TEXT_SUFFIXES:
        return False
    if suffix in _HTML_SUFFIXES or media_type.partition(";")[0].strip() in (
        "text/html",
        "application/xhtml+xml",
    ):
        return True
    return _LOOKS_HTML.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def _is_wide(head: bytes) -> bool:
    """UTF-16 without a mark: where text is mostly Latin, every other byte is 0."""
    even, odd = head[0::2], head[1::2]
    return bool(odd) and (_zeros(odd) > 0.6 > 0.1 > _zeros(even) or _zeros(even) > 0.6 > 0.1 > _zeros(odd))


def _zeros(data: bytes) -> float:
    return data.count(0) / len(data)
