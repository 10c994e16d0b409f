"""The search itself: every store at once, and one ranking of all that they found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from antiphon.errors import APIError
from antiphon.knowledge.filters import Filter
from antiphon.knowledge.index.base import Ranking
from antiphon.knowledge.search import Found
from antiphon.storage.model import Owner
from antiphon.tools.base import Json
from antiphon.tools.file_search.options import Options

_log = logging.getLogger("antiphon.tools")


class Stores(Protocol):
    """The vector stores of this server (``knowledge.service``)."""

    async def get(self, owner: Owner, store_id: str) -> dict[str, Any]:
        """A store as clients see it. Raises ``NotFound``."""

    async def search(
        self,
        owner: Owner,
        store_id: str,
        queries: Sequence[str],
        *,
        filters: Filter | None,
        limit: int,
        ranking: Ranking,
    ) -> list[Found]:
        """The best passages, best first. Raises an ``APIError``."""


async def search(stores: Stores, owner: Owner, queries: Sequence[str], options: Options, seconds: float) -> Json:
    """``{"results": [{file_id, filename, score, attributes, text}]}``, best first, or ``{"error": why}``: where one
    store fails, what the others found is not all there is, and is not given out for it."""

    async def asked(store_id: str) -> list[Found]:
        return await stores.search(
            owner, store_id, queries, filters=options.filters, limit=options.limit, ranking=options.ranking
        )

    every = dict.fromkeys(options.store_ids)
    try:
        async with asyncio.timeout(seconds):
            answers = await asyncio.gather(*map(asked, every), return_exceptions=True)
    except TimeoutError:
        return {"error": f"it took longer than {seconds:g} s"}
    for store_id, answer in zip(every, answers, strict=True):
        if isinstance(answer, BaseException):
            return {"error": _reason(store_id, answer)}
    return {"results": _ranked([answer for answer in answers if isinstance(answer, list)], options.limit)}


def _reason(store_id: str, failure: BaseException) -> str:
    """In words that may be shown to anybody."""
    if isinstance(failure, APIError):
        return failure.message.rstrip(".")
    if not isinstance(failure, Exception):
        raise failure
    _log.error("the search in %s broke", store_id, exc_info=failure)
    return f"the vector store '{store_id}' broke ({type(failure).__name__})"


def _ranked(found: Sequence[Sequence[Found]], limit: int) -> list[dict[str, Any]]:
    """A passage that is in several stores counts once."""
    every = sorted((one for of_one in found for one in of_one), key=lambda one: -one.score)
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for one in every:
        text = "\n".join(one.texts)
        row = {"file_id": one.file_id, "filename": one.filename, "score": one.score}
        best.setdefault((one.file_id, text), {**row, "attributes": dict(one.attributes), "text": text})
    return list(best.values())[:limit]
