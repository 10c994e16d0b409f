"""Compressed answers made readable before they are recorded. Clients are made to ask for none; some servers insist."""

from __future__ import annotations

import zlib

from antiphon.tape.model import Headers

#: True of the coded body only, or of its way over one connection.
_OF_THE_CODED = ("content-encoding", "content-length", "transfer-encoding")


class Decoder:
    """gzip or deflate, a read at a time."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32) if self._gzip else zlib.decompressobj()
        self._first = True

    def feed(self, data: bytes) -> bytes:
        """What this read adds to the text; it may be nothing. Raises ``ValueError`` on what is not coded so."""
        try:
            text = self._zlib.decompress(data)
        except zlib.error as why:
            if self._gzip or not self._first:
                raise ValueError(f"the answer is not what its content-encoding says: {why}") from why
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)  # "deflate" comes with and without its head
            text = self._zlib.decompress(data)
        self._first = False
        return text

    def flush(self) -> bytes:
        """What is left at the end."""
        return self._zlib.flush()


def decoder(headers: Headers) -> Decoder | None:
    """The decoder for an answer with these headers; None when it is plain, or coded in a way we cannot read."""
    coding = next((value.strip().lower() for name, value in headers if name.lower() == "content-encoding"), "")
    return Decoder(coding) if coding in ("gzip", "x-gzip", "deflate") else None


def plain(headers: Headers) -> Headers:
    """The headers of the same answer when it comes without its coding."""
    return tuple((name, value) for name, value in headers if name.lower() not in _OF_THE_CODED)
