"""Secrets stay out of recordings: found by the environment, by shape and by name, replaced before anything is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from antiphon.tape.marks import PLACEHOLDER
from antiphon.tape.secrets.environment import Environment
from antiphon.tape.secrets.files import Finding, scan_files
from antiphon.tape.secrets.finder import Finder
from antiphon.tape.secrets.headers import request_headers, response_headers
from antiphon.tape.secrets.redactor import Redactor
from antiphon.tape.secrets.sieve import Sieve

__all__ = ["PLACEHOLDER", "Finding", "Redactor", "request_headers", "response_headers", "restore", "scan"]


def scan(
    paths: Sequence[str | Path], *, environ: Mapping[str, str] | None = None, allow: Sequence[str] = ()
) -> Iterator[Finding]:
    """Everything in these files, and in those below these directories, that redaction would have replaced.

    Binary files are passed over, and so is what git does not see (``.tape``). Raises OSError for a path that cannot be
    read.
    """
    environment = Environment(environ or {})
    return scan_files(paths, Finder(environment, allow), Sieve(environment))


def restore(data: bytes, environ: Mapping[str, str]) -> bytes:
    """The bytes with ``{{env:NAME}}`` put back where the variable is set and its value can stand in JSON as it is.

    Only for recordings one trusts: whoever writes a recording decides which variable is read.
    """
    if b"{{env:" not in data:
        return data
    text = data.decode("utf-8", "surrogateescape")

    def value(name: str | None, whole: str) -> str:
        found = environ.get(name or "", "").strip()
        plain = found.isprintable() and '"' not in found and "\\" not in found
        return found if name and found and plain else whole

    return PLACEHOLDER.sub(lambda m: value(m[2], m[0]), text).encode("utf-8", "surrogateescape")
