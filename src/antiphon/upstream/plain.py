"""Answers of a back end that need no parser: a head that came before, and a body of whole chunks, plainly written.

Two heads of one back end hardly differ, so the bytes of one that was parsed stand for what the parser made of them.
Whatever is not as plain as this - another head, half a chunk, extensions, trailers - is left to the parser, which
stands after a head as it does between any two chunks.
"""

from __future__ import annotations

from aiohttp import HttpVersion11
from aiohttp.http import RawResponseMessage

#: The sizes of chunks as models send them, as they are written.
_SIZE = {line: size for size in range(1, 2048) for line in (b"%x" % size, b"%X" % size)}

#: How a chunked body ends that has no trailers.
LAST_CHUNK = b"0\r\n\r\n"
_LAST_LINES = LAST_CHUNK.split(b"\r\n")

_HEAD_END = b"\r\n\r\n"


class Heads:
    """Of the heads that the answers of one place began with, the one that came twice in a row.

    ``message`` is what the parser made of it; None until there is one.
    """

    __slots__ = ("_seen", "head", "message")

    def __init__(self) -> None:
        self._seen = b""
        self.head = b""
        self.message: RawResponseMessage | None = None

    def body(self, data: bytes) -> tuple[bytes, bool] | None:
        """What ``whole_chunks`` tells of a first read that begins with the known head; None for any other."""
        if self.message is None or not data.startswith(self.head):
            return None
        return whole_chunks(data, len(self.head))

    def parsed(self, data: bytes, message: RawResponseMessage) -> None:
        """The parser found one message in this first read."""
        head = data[: data.find(_HEAD_END) + len(_HEAD_END)]
        if head != self._seen:  # most of them never come again, where they tell the time
            self._seen = head
        elif head != self.head and _is_plain(message) and _written(message) == head:
            self.head, self.message = head, message


def _is_plain(message: RawResponseMessage) -> bool:
    """Whether all that follows is a body of chunks, as it is, and then the next answer."""
    return bool(
        message.code == 200
        and message.chunked
        and message.version == HttpVersion11
        and not (message.compression or message.should_close or message.upgrade)
    )


def _written(message: RawResponseMessage) -> bytes:
    """The head of a message in its plainest form: equal to what came, nothing of it was read in an uncommon way."""
    lines = b"".join([b"%b: %b\r\n" % header for header in message.raw_headers])
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (message.code, message.reason.encode(errors="surrogateescape"), lines)


def whole_chunks(data: bytes, at: int = 0) -> tuple[bytes, bool] | None:
    """What is in the chunks that these bytes are from ``at`` on, and whether the body ends with them; None where they
    are anything else, or one is uncommonly written or holds such a line end as is around it."""
    lines = data[at:].split(b"\r\n")  # a size, what has this size, and so on; nothing is behind the last
    over = lines[-3:] == _LAST_LINES
    if over:
        del lines[-3:-1]
    pieces = lines[1::2]
    if lines[-1] or list(map(_SIZE.get, lines[:-1:2])) != list(map(len, pieces)):
        return None
    return b"".join(pieces), over
