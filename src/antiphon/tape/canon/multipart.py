"""Multipart forms without their boundary, which clients draw at random for every request.

The body is taken in blocks and never held: a spooled upload of any length is read once. The parts of one upload are
the same whether it was spooled or not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from antiphon.tape.model import BinaryBody, FormBody, Part, TextBody

#: Parts up to so many bytes are kept as text where they are text; of all others the hash is.
TEXT_LIMIT = 16 * 1024
#: The head of a part may not be longer: whatever has a longer one is not a form.
_HEAD_LIMIT = 16 * 1024
_PARAMETER = re.compile(r';\s*([A-Za-z*]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)


class _NotAFormError(ValueError):
    """The bytes do not follow the grammar."""


def boundary(content_type: str) -> bytes | None:
    """The boundary that a content type of ``multipart/...`` names."""
    if not content_type.lower().lstrip().startswith("multipart/"):
        return None
    found = _BOUNDARY.search(content_type)
    return (found[1] or found[2]).encode("utf-8", "replace") if found else None


def form(blocks: Iterable[bytes], boundary: bytes) -> FormBody | None:
    """The parts of a body, or None where it is not what its content type says."""
    try:
        return FormBody(tuple(_parts(_Scanner(blocks), b"\r\n--" + boundary)))
    except _NotAFormError:
        return None


class _Scanner:
    """A cursor in bytes that come in blocks, keeping no more of them than a mark may be cut by."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        # The first delimiter has no line before it.
        self._held = b"\r\n"

    def until(self, mark: bytes) -> Iterator[bytes]:
        """What stands before the next mark, in pieces; the cursor is behind the mark then."""
        while (at := self._held.find(mark)) < 0:
            safe = max(0, len(self._held) - len(mark) + 1)
            if safe:
                yield self._held[:safe]
            self._held = self._held[safe:] + self._more()
        yield self._held[:at]
        self._held = self._held[at + len(mark) :]

    def take(self, count: int) -> bytes:
        """The next bytes."""
        while len(self._held) < count:
            self._held += self._more()
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def give_back(self, data: bytes) -> None:
        """Bytes that were taken too soon."""
        self._held = data + self._held

    def _more(self) -> bytes:
        block = next(self._blocks, None)
        if block is None:
            raise _NotAFormError("the last delimiter is missing")
        return block


def _parts(scanner: _Scanner, delimiter: bytes) -> Iterator[Part]:
    for _ in scanner.until(delimiter):
        pass
    while (after := scanner.take(2)) != b"--":
        scanner.give_back(after)
        if _short(scanner, b"\r\n").strip(b" \t"):
            raise _NotAFormError("something follows a delimiter")
        head = _head(scanner)
        yield _part(head, scanner.until(delimiter))


def _head(scanner: _Scanner) -> bytes:
    first = scanner.take(2)
    if first == b"\r\n":
        return b""
    scanner.give_back(first)
    return _short(scanner, b"\r\n\r\n")


def _short(scanner: _Scanner, mark: bytes) -> bytes:
    found = b""
    for piece in scanner.until(mark):
        found += piece
        if len(found) > _HEAD_LIMIT:
            raise _NotAFormError("the head of a part is too long")
    return found


def _part(head: bytes, pieces: Iterator[bytes]) -> Part:
    fields = dict(_fields(head.decode("utf-8", "replace")))
    given = {
        name.lower(): _unquoted(value) for name, value in _PARAMETER.findall(fields.get("content-disposition", ""))
    }
    filename = given.get("filename")
    if "filename*" in given:
        filename = unquote(given["filename*"].rpartition("'")[2])
    media = fields.get("content-type", "").partition(";")[0].strip().lower()
    return Part(given.get("name", ""), _body(pieces, media), filename)


def _fields(head: str) -> Iterator[tuple[str, str]]:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        yield name.strip().lower(), value.strip()


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    return re.sub(r"\\(.)", r"\1", value[1:-1])


def _body(pieces: Iterator[bytes], media: str) -> TextBody | BinaryBody:
    digest, size, begin = hashlib.sha256(), 0, b""
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if len(begin) <= TEXT_LIMIT:
            begin += piece[: TEXT_LIMIT + 1 - len(begin)]
    text = as_text(begin) if size <= TEXT_LIMIT else None
    return BinaryBody(digest.hexdigest(), size, media) if text is None else TextBody(text, media)


def as_text(data: bytes) -> str | None:
    """The text that the bytes are, if they are: UTF-8 without NUL."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
