"""Files named by their ids in the messages of a chat request: what the model can take of them stands in their place.

A content part ``{"type": "file", "file": {"file_id": ...}}`` becomes a text, a picture, or the file itself. Ids that
are not of our form are the back end's own, and go on to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.errors import InvalidRequest, NotFound
from antiphon.files.service import ID
from antiphon.files.showing import Budget, Picture, Piece, Reads, Showing, Text
from antiphon.storage.model import Owner
from antiphon.wire.reading import decode_object

Json = dict[str, Any]


def may_hold_files(body: bytes) -> bool:
    """False for almost every body, and at the cost of a search."""
    return b'"file_id"' in body


async def with_files(messages: bytes, owner: Owner, showing: Showing, reads: Reads) -> bytes | None:
    """The same ``messages`` (JSON) with their files; None where they name none. Raises a 400 with the path."""
    tree = decode_object(b'{"messages":%b}' % messages)["messages"]
    budget = showing.budget()
    changed = False
    for n, message in enumerate(tree if isinstance(tree, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            continue
        parts: list[Any] = []
        for k, part in enumerate(content):
            file_id = _file_id(part)
            if file_id is None:
                parts.append(part)
                continue
            path = f"messages[{n}].content[{k}].file.file_id"
            parts += [_part(piece) for piece in await _shown(showing, owner, file_id, reads, budget, path)]
            changed = True
        message["content"] = parts
    return msgspec.json.encode(tree) if changed else None


def _file_id(part: Any) -> str | None:
    file = part.get("file") if isinstance(part, dict) and part.get("type") == "file" else None
    file_id = file.get("file_id") if isinstance(file, dict) and not file.get("file_data") else None
    return file_id if isinstance(file_id, str) and ID.fullmatch(file_id) else None


async def _shown(
    showing: Showing, owner: Owner, file_id: str, reads: Reads, budget: Budget, path: str
) -> Sequence[Piece]:
    try:
        return await showing.file(owner, file_id, reads, budget)
    except NotFound:
        raise InvalidRequest(
            f"Invalid value for '{path}': there is no file '{file_id}'.", param=path, code="not_found"
        ) from None
    except InvalidRequest as failure:
        raise InvalidRequest(failure.message, param=path, code=failure.code) from failure


def _part(piece: Piece) -> Json:
    match piece:
        case Text():
            return {"type": "text", "text": piece.text}
        case Picture():
            return {"type": "image_url", "image_url": {"url": piece.url}}
        case _:
            return {"type": "file", "file": {"filename": piece.filename, "file_data": piece.url}}
