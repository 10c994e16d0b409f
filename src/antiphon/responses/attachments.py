"""What files hold, put into items where a model will read them: files by their ids, and documents.

The items that are stored keep the ids. So a file is read anew for every request that shows it, and one that has been
deleted is shown no more: in the input that is an error, in what was said before the model is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec

from antiphon.errors import APIError, InvalidRequest, NotFound, first_of
from antiphon.files.showing import Budget, Document, Picture, Piece, Reads, Showing, Text
from antiphon.responses.prompt.files import data_bytes, data_of, is_document, unknown_file
from antiphon.storage.model import Owner

ItemDict = dict[str, Any]

#: Files of one request that are read at the same time.
_AT_ONCE = 4

_PICTURES = ("input_image", "computer_screenshot")  # no set: what is asked of it may be anything


class _Place(msgspec.Struct, frozen=True):
    """Where a file stands: its part, and the JSON path of that."""

    part: ItemDict
    path: str


class Attachments:
    """Puts files into items."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing

    async def shown(
        self, owner: Owner, before: list[ItemDict], items: list[ItemDict], model_reads: Reads
    ) -> tuple[list[ItemDict], list[ItemDict]]:
        """What was said ``before``, and the input ``items``, as the model reads them. Raises a 400 with the path."""
        old = list(_places(before, "history"))
        new = list(_places(items, "input"))
        if not old and not new:
            return before, items
        budget, room = self._showing.budget(), asyncio.Semaphore(_AT_ONCE)
        found: dict[int, list[ItemDict]] = {}

        async def one(place: _Place, tolerant: bool) -> None:
            async with room:
                found[id(place.part)] = await self._parts(owner, place, model_reads, budget, tolerant=tolerant)

        try:
            async with asyncio.TaskGroup() as group:
                for places, tolerant in ((new, False), (old, True)):
                    for place in places:
                        group.create_task(one(place, tolerant))
        except* APIError as failures:
            raise first_of(failures) from None
        return [_with(item, found) for item in before], [_with(item, found) for item in items]

    async def _parts(
        self, owner: Owner, place: _Place, model_reads: Reads, budget: Budget, *, tolerant: bool
    ) -> list[ItemDict]:
        """The parts that take the place of this one."""
        part = place.part
        if _kind(part) == "input_file" and (data := data_of(part)) is not None:
            where = f"{place.path}.{'file_data' if part.get('file_data') else 'file_url'}"
            content = data_bytes(data, where)
            name = part.get("filename") or "file"
            pieces = await _at(where, lambda: self._showing.document(owner, content, name, data, model_reads, budget))
            return [_part(piece, part) for piece in pieces]
        file_id, where = part["file_id"], f"{place.path}.file_id"
        try:
            if _kind(part) in _PICTURES:
                picture = await _at(where, lambda: self._showing.picture(owner, file_id, budget))
                return [{**part, "image_url": picture.url}]
            pieces = await _at(where, lambda: self._showing.file(owner, file_id, model_reads, budget))
        except NotFound:
            if tolerant:
                return [{"type": "input_text", "text": f"[The file {file_id} is not available any more.]"}]
            raise unknown_file(file_id, where) from None
        return [_part(piece, part) for piece in pieces]


async def _at(path: str, showing: Callable[[], Awaitable[Any]]) -> Any:
    """What ``showing`` gives; its 400 names the part that asked for it."""
    try:
        return await showing()
    except InvalidRequest as failure:
        raise InvalidRequest(failure.message, param=path, code=failure.code) from failure


def _places(items: Sequence[ItemDict], where: str) -> Iterator[_Place]:
    """Every part that needs its file to be read."""
    for n, item in enumerate(items):
        output = item.get("output")
        key = "content" if output is None else "output"
        parts = item.get("content") if output is None else output
        if isinstance(parts, list):
            for k, part in enumerate(parts):
                if isinstance(part, dict) and _needs(part):
                    yield _Place(part, f"{where}[{n}].{key}[{k}]")
        elif isinstance(parts, dict) and _needs(parts):
            yield _Place(parts, f"{where}[{n}].{key}")


def _needs(part: ItemDict) -> bool:
    kind = _kind(part)
    if kind == "input_file":
        if part.get("file_data") or part.get("file_url"):
            return is_document(part)
        return isinstance(part.get("file_id"), str)
    return kind in _PICTURES and not part.get("image_url") and isinstance(part.get("file_id"), str)


def _kind(part: ItemDict) -> Any:
    """Its type, which the output of a computer may leave out."""
    return part.get("type") or "computer_screenshot"


def _with(item: ItemDict, found: dict[int, list[ItemDict]]) -> ItemDict:
    """The item with every part that was found in its place."""
    for key in ("output", "content"):
        parts = item.get(key)
        if isinstance(parts, dict) and id(parts) in found:
            return {**item, key: found[id(parts)][0]}
        if isinstance(parts, list) and any(id(part) in found for part in parts):
            return {**item, key: [new for part in parts for new in found.get(id(part), [part])]}
    return item


def _part(piece: Piece, part: ItemDict) -> ItemDict:
    match piece:
        case Text():
            return {"type": "input_text", "text": piece.text}
        case Picture():
            return {"type": "input_image", "image_url": piece.url, "detail": "auto"}
        case Document():
            return {"type": "input_file", "filename": piece.filename, "file_data": piece.url}
