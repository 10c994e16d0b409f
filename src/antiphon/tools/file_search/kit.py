"""File search as a kit: made once, asked for a toolset by each request that names vector stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from antiphon.errors import APIError, InvalidRequest, NotFound, first_of
from antiphon.tools import prompts
from antiphon.tools.base import Around, ItemDict, Tool
from antiphon.tools.file_search.options import Options, read
from antiphon.tools.file_search.searching import Stores
from antiphon.tools.file_search.tool import FileSearch
from antiphon.wire.events import AnyEvent


class FileSearchKit:
    """The stores of this server. It lacks no setting, for what it needs is in every request."""

    types = frozenset({"file_search"})
    missing = ""

    def __init__(self, stores: Stores, style: prompts.Style, *, replays: bool = False) -> None:
        """``replays``: recordings answer, so that the stores may be gone."""
        self._stores = stores
        self._style = style
        self._replays = replays

    def toolset(self, entry: Mapping[str, Any], path: str) -> FileSearchToolset:
        """For one entry. Raises ``InvalidRequest``: what is wrong with it."""
        return FileSearchToolset(self._stores, read(entry, path), self._style, replays=self._replays)

    async def aclose(self) -> None:
        """It holds nothing open."""


class FileSearchToolset:
    """The one function of an entry. There is no item that lists it."""

    def __init__(self, stores: Stores, options: Options, style: prompts.Style, *, replays: bool) -> None:
        self._stores = stores
        self._options = options
        self._replays = replays
        self._tool = FileSearch(stores, options, style)

    async def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        """The function. Raises ``NotFound`` or ``InvalidRequest`` for a store that is not there, or not any more,
        before any model is asked."""
        if not self._replays:
            try:
                async with asyncio.TaskGroup() as group:
                    for store_id in dict.fromkeys(self._options.store_ids):
                        group.create_task(self._check(store_id, around.owner))
            except* APIError as failures:
                raise first_of(failures) from None
        yield self._tool

    async def _check(self, store_id: str, owner: str) -> None:
        place = self._options.place(store_id)
        try:
            store = await self._stores.get(owner, store_id)
        except NotFound as none:
            raise NotFound(f"'{place}': {none.message}", param=place, code=none.code) from none
        if store["status"] == "expired":
            raise InvalidRequest(
                f"'{place}': the vector store '{store_id}' has expired.", param=place, code="vector_store_expired"
            )

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        """Nothing here waits for a yes."""
        return None

    async def aclose(self) -> None:
        """It holds nothing open."""
