"""A file as a model can take it: text as text, a picture as a picture, and of a document its text.

A document without text (a scan) is shown by pictures of its pages, to models that read those; else it goes on as it is,
and the back end may make of it what it can. So does what is of no kind that is read here, and every document, where the
model reads documents itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from antiphon.config import FilesConfig, UpstreamConfig
from antiphon.errors import APIError, InvalidRequest, Unavailable
from antiphon.files.blobs import in_thread
from antiphon.files.kinds import TYPES, decoded, is_text, picture_type, suffix_of, titled
from antiphon.files.parsing import Parsers, Unparsable
from antiphon.files.service import Files
from antiphon.storage.files.model import StoredFile
from antiphon.storage.model import Owner

_HEAD = 16
#: Pages of a document that are shown as pictures.
_MAX_PAGES = 20
#: Characters of texts of documents that are remembered: a chain brings its documents with each of its turns.
_REMEMBERED = 16 * 1024 * 1024


class Text(msgspec.Struct, frozen=True):
    """What is to be read."""

    text: str


class Picture(msgspec.Struct, frozen=True):
    """What is to be looked at, as a ``data:`` URL."""

    url: str


class Document(msgspec.Struct, frozen=True):
    """What a model may be able to read itself: the content, as a ``data:`` URL."""

    filename: str
    url: str


Piece = Text | Picture | Document


class Reads(msgspec.Struct, frozen=True):
    """What the model reads beside text: ``pages`` as pictures, ``documents`` as they are."""

    pages: bool = False
    documents: bool = False


def reads(config: UpstreamConfig, model: str) -> Reads:
    """What this model reads, by the settings of its upstream."""
    return Reads(pages=_named(config.image_models, model), documents=_named(config.document_models, model))


def _named(models: Sequence[str], model: str) -> bool:
    return "*" in models or model in models


class Budget:
    """How many bytes the files of one request may still bring."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def take(self, size: int) -> None:
        """Raises a 400 when it is more than what is left."""
        self._left -= size
        if self._left < 0:
            raise InvalidRequest(
                f"The files of this request are over the limit of {self._limit} bytes (files.max_input_bytes). Send "
                "less of them, or put them into a vector store and search there.",
                code="files_too_large",
            )


class Showing:
    """Shows files. ``parsers`` are its caller's, to be closed by it."""

    def __init__(self, files: Files, parsers: Parsers, config: FilesConfig) -> None:
        self._files = files
        self._parsers = parsers
        self._limit = config.max_input_bytes
        self._texts: OrderedDict[tuple[Owner, str], str] = OrderedDict()
        self._characters = 0
        files.on_delete.append(self._forget)

    def budget(self) -> Budget:
        """For the files of one request."""
        return Budget(self._limit)

    async def file(self, owner: Owner, file_id: str, reads: Reads, budget: Budget) -> Sequence[Piece]:
        """A file of this owner. Raises ``NotFound``, or a 400 or 503 for one that cannot be shown."""
        file = await self._files.get(owner, file_id)
        path = self._files.path(file)
        try:
            return await self._shown(file, path, reads, budget)
        except FileNotFoundError:
            await self._files.get(owner, file_id)  # it was deleted meanwhile, else it is our fault
            raise

    async def picture(self, owner: Owner, file_id: str, budget: Budget) -> Picture:
        """The same of a file that must be a picture. Raises a 400 where it is not."""
        file = await self._files.get(owner, file_id)
        path = self._files.path(file)
        kind = picture_type(await in_thread(_head, path))
        if kind is None:
            raise InvalidRequest(
                f"File '{file_id}' is not a picture of a kind that models read (PNG, JPEG, GIF, WebP).",
                code="invalid_image",
            )
        return Picture(await self._data_url(file, path, kind, budget))

    async def document(
        self, owner: Owner, content: bytes, filename: str, url: str, reads: Reads, budget: Budget
    ) -> Sequence[Piece]:
        """A document that came with the request: its content, and the same as a ``data:`` URL. Raises a 400 or 503."""
        budget.take(len(content))
        known = hashlib.sha256(content).hexdigest()
        with _temporary(content) as path:
            return await self._read(owner, known, path, filename, None, reads) or [Document(filename, url)]

    async def _shown(self, file: StoredFile, path: Path, reads: Reads, budget: Budget) -> Sequence[Piece]:
        kind = picture_type(await in_thread(_head, path))
        if kind is not None:
            return [Picture(await self._data_url(file, path, kind, budget))]
        if is_text(file.media_type, file.filename):
            budget.take(file.bytes)
            content = await in_thread(path.read_bytes)
            with contextlib.suppress(UnicodeDecodeError):  # in another encoding, which the parser finds
                return [Text(titled(file.filename, decoded(content)))]
            budget.take(-file.bytes)
        pieces = await self._read(file.owner, file.id, path, file.filename, file.media_type, reads)
        if pieces is None and is_text(file.media_type, file.filename):
            raise InvalidRequest(f"The file '{file.filename}' should be text, and is not.", code="invalid_file")
        if pieces is None:
            kind = file.media_type or TYPES.get(suffix_of(file.filename)) or "application/octet-stream"
            return [Document(file.filename, await self._data_url(file, path, kind, budget))]
        budget.take(sum(len(piece.text if isinstance(piece, Text) else piece.url) for piece in pieces))
        return pieces

    async def _read(
        self, owner: Owner, known: str, path: Path, filename: str, media_type: str | None, reads: Reads
    ) -> Sequence[Text | Picture] | None:
        """What the parser makes of it; None where it had best go on as it is."""
        if reads.documents:
            return None
        try:
            text = (await self._text(owner, known, path, filename, media_type)).strip()
            if text:
                return [Text(titled(filename, text))]
            if not reads.pages:
                return None
            images = await self._parsers.images(path, filename, pages=_MAX_PAGES)
        except Unparsable as why:
            if why.code == "unsupported_file":
                return None
            raise _refusal(filename, why) from why
        return [Picture(f"data:image/png;base64,{base64.b64encode(image).decode()}") for image in images]

    async def _text(self, owner: Owner, known: str, path: Path, filename: str, media_type: str | None) -> str:
        """The text of a document, which ``known`` is the name of for this owner."""
        key = (owner, known)
        if key in self._texts:
            self._texts.move_to_end(key)
            return self._texts[key]
        parsed = await self._parsers.text(path, filename, media_type)
        if len(parsed.text) <= _REMEMBERED and key not in self._texts:
            self._texts[key] = parsed.text
            self._characters += len(parsed.text)
            while self._characters > _REMEMBERED:
                self._characters -= len(self._texts.popitem(last=False)[1])
        return parsed.text

    async def _forget(self, owner: Owner, file_id: str) -> None:
        self._characters -= len(self._texts.pop((owner, file_id), ""))

    async def _data_url(self, file: StoredFile, path: Path, kind: str, budget: Budget) -> str:
        budget.take(file.bytes)
        return await in_thread(_encoded, path, kind)


def _refusal(filename: str, why: Unparsable) -> APIError:
    sentence = f"The file '{filename}' cannot be read: {why.message}"
    if why.code == "server_error":
        return Unavailable(sentence)
    return InvalidRequest(sentence, code=why.code)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _encoded(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


@contextlib.contextmanager
def _temporary(content: bytes) -> Iterator[Path]:
    """The content as a file that nobody else reads, for as long as this lasts."""
    file, name = tempfile.mkstemp(prefix="antiphon-")
    try:
        with os.fdopen(file, "wb") as target:
            target.write(content)
        yield Path(name)
    finally:
        Path(name).unlink()
