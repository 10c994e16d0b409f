"""Names of files, as clients give them and as they are kept.

A name is for people and for models; no path on this server is made of it. But a client that downloads a file may well
make one. So what is kept is a single name: of a path its last piece, without control characters and without the marks
that turn the direction of writing (with which ``cod.exe`` reads ``exe.doc``), of at most 255 bytes, and never empty.
"""

from __future__ import annotations

import re
from urllib.parse import quote

MAX_BYTES = 255
NAMELESS = "file"

_SEPARATORS = re.compile(r"[/\\]")
#: C0, DEL and C1; line and paragraph separators; marks of direction; halves of characters.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
#: A longer ending is no suffix.
_MAX_SUFFIX = 32


def safe_name(name: str) -> str:
    """The name that is kept for what a client calls ``name``."""
    pieces = [piece for piece in (_tidy(piece) for piece in _SEPARATORS.split(name)) if piece]
    return _short(pieces[-1]) if pieces else NAMELESS


def _tidy(piece: str) -> str:
    piece = _UNSEEN.sub("", piece).strip()
    return "" if set(piece) <= {"."} else piece


def _short(name: str) -> str:
    """Within the limit, its suffix kept."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = (dot + suffix).encode()
    if not stem or len(ending) > _MAX_SUFFIX:
        stem, ending = name, b""
    return stem.encode()[: MAX_BYTES - len(ending)].decode(errors="ignore").rstrip() + ending.decode()


def disposition(name: str) -> str:
    """The header that tells a client to keep a download under this name (RFC 6266), in ASCII."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
