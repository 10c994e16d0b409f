"""Office documents are zip archives: which of them this is, and whether it may be unpacked at all.

Before anything reads it, everything in it is unpacked once and thrown away, piece by piece: what it says of its sizes
is a stranger's word.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO

from antiphon.config import ParsingConfig
from antiphon.files.parsing.kinds import unsupported
from antiphon.files.parsing.model import Unparsable

#: By a file that only this kind has.
_KINDS = (
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
)
_MIMETYPES = {
    b"application/vnd.oasis.opendocument.text": "odt",
    b"application/vnd.oasis.opendocument.spreadsheet": "ods",
    b"application/epub+zip": "epub",
}
_ENCRYPTED = 0x1
_LOCAL = struct.Struct("<4s5H3I2H")
_PIECE = 64 * 1024


def office(file: BinaryIO, limits: ParsingConfig) -> str:
    """``docx``, ``pptx``, ``xlsx``, ``odt``, ``ods`` or ``epub``. Raises ``Unparsable`` for any other archive, and for
    one that is broken, locked or too large."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check(entries, limits)
            names = {entry.filename for entry in entries}
            kind = next((kind for name, kind in _KINDS if name in names), None) or _by_mimetype(archive, names)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeError, ValueError, struct.error) as broken:
        raise _damaged(broken) from broken
    if kind is None:
        raise unsupported("The file is a zip archive, and none of a document")
    left = limits.max_unpacked_bytes
    for entry in entries:
        left -= _unpacked(file, entry, left, limits)
    return kind


def _check(entries: list[zipfile.ZipInfo], limits: ParsingConfig) -> None:
    """What the archive says of itself."""
    if len(entries) > limits.max_entries:
        raise Unparsable(
            "invalid_file",
            f"{len(entries)} files are packed into it, over {limits.max_entries} (files.parsing.max_entries).",
        )
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise locked()
    if sum(entry.file_size for entry in entries) > limits.max_unpacked_bytes:
        raise _too_large(limits)


def _unpacked(file: BinaryIO, entry: zipfile.ZipInfo, left: int, limits: ParsingConfig) -> int:
    """How much an entry really is, by unpacking it."""
    try:
        file.seek(entry.header_offset)
        header = _LOCAL.unpack(file.read(_LOCAL.size))
    except struct.error as broken:
        raise _damaged(broken) from broken
    file.seek(header[9] + header[10], 1)
    if entry.compress_type == zipfile.ZIP_STORED:
        return entry.compress_size
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise Unparsable("invalid_file", "It is packed in a way that documents are not.")
    unpacker, size, packed = zlib.decompressobj(-zlib.MAX_WBITS), 0, entry.compress_size
    piece = b""
    while not unpacker.eof:
        if not piece:
            piece = file.read(min(_PIECE, packed))
            packed -= len(piece)
            if not piece:
                raise Unparsable("invalid_file", "The file is damaged: a part of it breaks off.")
        try:
            size += len(unpacker.decompress(piece, _PIECE))
        except zlib.error as broken:
            raise _damaged(broken) from broken
        piece = unpacker.unconsumed_tail
        if size > left:
            raise _too_large(limits)
        if size > entry.file_size:
            raise Unparsable("invalid_file", "The file is damaged, or built to do harm: a part is larger than it says.")
    return size


def _by_mimetype(archive: zipfile.ZipFile, names: set[str]) -> str | None:
    if "mimetype" not in names:
        return None
    with archive.open("mimetype") as entry:
        return _MIMETYPES.get(entry.read(100).strip())


def locked() -> Unparsable:
    """For a file with a password."""
    return Unparsable("invalid_file", "The file is protected by a password. Send it without one.")


def _damaged(why: Exception) -> Unparsable:
    return Unparsable("invalid_file", f"The file is damaged ({why or type(why).__name__}).")


def _too_large(limits: ParsingConfig) -> Unparsable:
    return Unparsable(
        "invalid_file",
        f"It unpacks to more than {limits.max_unpacked_bytes} bytes (files.parsing.max_unpacked_bytes).",
    )
