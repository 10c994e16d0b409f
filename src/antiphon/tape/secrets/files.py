"""Secrets in files: in one about to be written, and in those that are there.

A recording keeps the deltas of a stream as lists of strings, so a secret may lie across neighbours in a list, or across
one column of a list of lists; both are joined and searched too, and so is what the whole recording stands for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from antiphon.tape import document
from antiphon.tape.model import HttpResponse, Json
from antiphon.tape.secrets.body import Body, perhaps
from antiphon.tape.secrets.finder import Finder
from antiphon.tape.secrets.leaves import Label, gather
from antiphon.tape.secrets.sieve import Sieve

#: Files that git does not see, or that are git's own.
_NOT_OURS = frozenset({".git", ".tape"})


class Finding(msgspec.Struct, frozen=True, order=True):
    """A secret in a file. ``line`` counts from 1; ``shown`` is its first characters and its length, never more.

    ``sure``: beyond doubt by its shape, or the value of a variable of the environment.
    """

    path: str
    line: int
    kind: str
    shown: str
    sure: bool = True

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind} {self.shown}"


def survivors(data: bytes, finder: Finder, sieve: Sieve, path: str = "") -> list[Finding]:
    """Every secret in the bytes of a file, by its place; of a recording, also every one in what it stands for."""
    found = _standing(data, finder, sieve, path)
    told = {(one.kind, one.shown) for one in found}
    for section, text in _meant(data):
        if not perhaps(text, sieve):
            continue
        line = data.count(b"\n", 0, max(data.find(b'"%b":' % section), 0)) + 1
        for _, hit in Body(text.decode("utf-8", "surrogateescape")).found(finder):
            finding = Finding(path, line, hit.kind, masked(hit.value), hit.sure)
            if (finding.kind, finding.shown) not in told:
                told.add((finding.kind, finding.shown))
                found.append(finding)
    return sorted(found, key=lambda one: one.line)


def _standing(data: bytes, finder: Finder, sieve: Sieve, path: str) -> list[Finding]:
    """What shows in the file as it stands."""
    if not sieve.perhaps(data) and not sieve.perhaps(_joined(data)):
        return []
    text = data.decode("utf-8", "surrogateescape")
    seen: dict[int, Finding] = {}
    for label in _LABELS:
        for spans, hit in Body(text, label).found(finder):
            finding = Finding(path, text.count("\n", 0, spans[0][0]) + 1, hit.kind, masked(hit.value), hit.sure)
            seen.setdefault(spans[0][0], finding)
    return [seen[place] for place in sorted(seen)]


def _meant(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The sections of a recording with what they stand for: texts are wrapped in a file, deltas parted by a sign."""
    if not data.startswith(b'{\n "tape":'):
        return
    try:
        yield b"request", msgspec.json.encode(document.head(data).request)
        response = document.load(data, _beside).response
        yield b"response", response.content if isinstance(response, HttpResponse) else msgspec.json.encode(response)
    except (document.Unreadable, UnicodeEncodeError):
        return  # no recording, or one whose body lies in a file of its own: that one is looked at by itself


def _beside(ending: str) -> bytes:
    raise FileNotFoundError(ending)


def scan_files(paths: Sequence[str | Path], finder: Finder, sieve: Sieve) -> Iterator[Finding]:
    """Every secret in the files and in those below the directories, by name."""
    for path in paths:
        for file in _files(Path(path)):
            data = file.read_bytes()
            if b"\0" not in data[:8192]:
                yield from survivors(data, finder, sieve, str(file))


def masked(value: str) -> str:
    """So much of a secret that its owner knows which it is."""
    head = "".join(c if c.isprintable() else " " for c in value[: min(6, len(value) // 4)])
    return f"{head}... ({len(value)} characters)"


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for each in sorted(path.iterdir()):
        if each.is_dir() and not each.is_symlink() and each.name not in _NOT_OURS:
            yield from _files(each)
        elif each.is_file():
            yield each


def _flat(path: str, _place: int, _element: Json, _nested: bool) -> str:
    return f"{path}/*"


def _columns(path: str, place: int, _element: Json, nested: bool) -> str:
    return f"{path}/{place if nested else '*'}"


_LABELS: tuple[Label, ...] = (_columns, _flat)


def _joined(data: bytes) -> bytes:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return b""
    if not isinstance(value, dict | list):
        return b""
    texts: list[str] = []
    for label in _LABELS:
        paths: dict[str, list[str]] = defaultdict(list)
        gather(value, "", label, paths)
        texts += ["".join(each) for path, each in paths.items() if "*" in path]
    return '"'.join(texts).encode("utf-8", "surrogatepass")
