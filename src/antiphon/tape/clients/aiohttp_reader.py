"""A body reader of aiohttp's own kind that pulls: it fetches from its source where aiohttp's waits for the connection.

Imported only where aiohttp is in use.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp.helpers import DEFAULT_CHUNK_SIZE
from aiohttp.streams import StreamReader

from antiphon.tape.clients.source import AsyncBody


class _NoConnection:
    """What a reader may say to its connection, where there is none."""

    connected = True

    def pause_reading(self, *_: Any, **__: Any) -> None:
        """The source is pulled from; it does not push."""

    def resume_reading(self, *_: Any, **__: Any) -> None:
        """The same."""


class Reader(StreamReader):
    """Each read of the source is a chunk; how the user reads does not change them."""

    __slots__ = ("_source",)

    def __init__(self, source: AsyncBody, timer: Any) -> None:
        super().__init__(_no_connection(), DEFAULT_CHUNK_SIZE, timer=timer, loop=asyncio.get_running_loop())
        self._source = source

    async def _wait(self, func_name: str) -> None:
        if self._eof:
            return
        with self._timer:
            try:
                data = await anext(self._source)
            except StopAsyncIteration:
                self.feed_eof()
                return
            except Exception as failure:
                StreamReader.set_exception(self, failure)
                raise
        self.begin_http_chunk_receiving()
        self.feed_data(data)
        self.end_http_chunk_receiving()

    def set_exception(self, exc: Any, *cause: Any) -> None:
        """In this way a response tells its body that it was closed: the reader is gone."""
        super().set_exception(exc, *cause)
        self._source.closed()


def whole(data: bytes, timer: Any) -> StreamReader:
    """A reader that has it all."""
    reader = StreamReader(_no_connection(), DEFAULT_CHUNK_SIZE, timer=timer, loop=asyncio.get_running_loop())
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def _no_connection() -> Any:
    return _NoConnection()
