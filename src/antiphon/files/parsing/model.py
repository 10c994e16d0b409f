"""What goes to a process that reads files, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from antiphon.config import ParsingConfig

#: As a file of a vector store says it in ``last_error``.
Code = Literal["unsupported_file", "invalid_file", "server_error"]


class Unparsable(Exception):
    """Why a file cannot be read: ``unsupported_file`` is of a kind that we do not read, ``invalid_file`` is broken,
    locked or over a limit, ``server_error`` is our own fault and may pass. ``message`` may be shown to anybody."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


class Parsed(msgspec.Struct, frozen=True):
    """The text of a file, empty where there is none (a scan). ``pages``: the same by page (or slide), where it has
    some."""

    text: str
    pages: tuple[str, ...] | None = None


class Job(msgspec.Struct, frozen=True):
    """One file to be read; it comes open, so that its path is not here. ``pages`` are those to be drawn, from 0, and
    ``dpi`` their resolution; without it, the text is wanted."""

    filename: str
    media_type: str
    limits: ParsingConfig
    dpi: int = 0
    pages: int = 0


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Text, in one part or in pages."""

    parts: list[str]
    paged: bool


class Drawn(msgspec.Struct, frozen=True, tag="drawn"):
    """Pages as PNG."""

    images: list[bytes]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """An ``Unparsable``."""

    code: Code
    message: str


Reply = Read | Drawn | Failed

encode_job = msgspec.msgpack.Encoder().encode
decode_job = msgspec.msgpack.Decoder(Job).decode
encode_reply = msgspec.msgpack.Encoder().encode
decode_reply: Callable[[bytes], Reply] = msgspec.msgpack.Decoder(Reply).decode
