"""A request body, read to its end before anything is matched: in memory up to a limit, beyond in a temporary file."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import IO, Any

from antiphon.tape.model import BodyFile

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

#: Longer bodies are spooled. Bytes.
IN_MEMORY = 8 << 20
#: So much is collected for one write to the file.
_WRITE = 1 << 20


class HungUp(Exception):
    """The client went away before its request was whole."""


@contextlib.asynccontextmanager
async def read_body(receive: Receive, *, in_memory: int = IN_MEMORY) -> AsyncIterator[bytes | BodyFile]:
    """The whole body, for as long as the block runs; its file, if it has one, is gone afterwards.

    Raises ``HungUp``.
    """
    source = _parts(receive)
    parts: list[bytes] = []
    size = 0
    async for data in source:
        parts.append(data)
        size += len(data)
        if size > in_memory:
            break
    else:
        yield b"".join(parts)
        return
    with tempfile.NamedTemporaryFile(prefix="antiphon-body-") as file:
        yield await _spool(source, file, parts, size)


async def _spool(source: AsyncIterator[bytes], file: IO[bytes], parts: list[bytes], size: int) -> BodyFile:
    digest = hashlib.sha256()

    def write(data: bytes) -> None:
        digest.update(data)
        file.write(data)

    held = size
    async for data in source:
        parts.append(data)
        size += len(data)
        held += len(data)
        if held >= _WRITE:
            await asyncio.to_thread(write, b"".join(parts))
            parts, held = [], 0
    await asyncio.to_thread(write, b"".join(parts))
    await asyncio.to_thread(file.flush)
    return BodyFile(file.name, size, digest.hexdigest())


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def read_whole(receive: Receive, limit: int) -> bytes | None:
    """A short body; None when it is longer than ``limit`` bytes. Raises ``HungUp``."""
    found = b""
    async for data in _parts(receive):
        found += data
        if len(found) > limit:
            return None
    return found
