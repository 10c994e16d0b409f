"""The way to a search provider: a question goes out through the door, and results come back as JSON, or a reason."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from antiphon.tools import prompts
from antiphon.tools.web_search.options import Options
from antiphon.tools.web_search.passages import beginning
from antiphon.tools.web_search.providers import Chosen, Query, Result, Unreadable
from antiphon.upstream.door import ExchangeFailed, Request, Transport, read_all

_log = logging.getLogger(__name__)

_MAX_REPLY = 8 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_AT_ONCE = 16
#: How many results are asked for where some may be left out here.
_MORE = 20

_REFUSALS = {
    400: "it did not accept the search",
    401: "it did not accept this server's key",
    402: "its account has no credits left",
    403: "it did not accept this server's key",
    404: "it is not at the address that this server has",
    429: "it allows no more searches for now",
}


class SearchFailed(Exception):
    """Why there are no results, in words that may be shown to anybody."""


class Searcher:
    """Asks one provider."""

    def __init__(self, chosen: Chosen, door: Transport) -> None:
        self._chosen = chosen
        self._door = door

    @property
    def name(self) -> str:
        """Of the provider."""
        return self._chosen.provider.name

    @property
    def keyless(self) -> bool:
        """Whether it lacks the key that it needs."""
        return bool(self._chosen.provider.keys) and not self._chosen.key

    async def results(self, text: str, options: Options, seconds: float) -> list[dict[str, str]]:
        """Results as ``{url, title, text, date}``, those that are allowed, each page once. Raises ``SearchFailed``."""
        count = _MORE if options.domains else options.size.results
        query = Query(text, count, options.size.snippet, options.domains, options.location, thorough=options.thorough)
        rows = await self._rows(query, seconds)
        read = [self._chosen.provider.result(row) for row in rows]
        return _chosen_results(read, options)

    async def as_llama_stack(self, text: str, seconds: float) -> str:
        """Llama Stack's text of the results. Raises ``SearchFailed``."""
        if self.keyless:
            raise SearchFailed(prompts.llama_stack_without_key(self.name))
        rows = await self._rows(Query(text, 5, 1_000), seconds)
        if self.name != "tavily":
            read = [self._chosen.provider.result(row) for row in rows[:5]]
            rows = [{"url": one.url, "title": one.title, "content": one.text} for one in read]
        return prompts.llama_stack_results(text, rows)

    async def _rows(self, query: Query, seconds: float) -> list[dict[str, Any]]:
        provider = self._chosen.provider
        if self.keyless:
            raise SearchFailed(f"this server has no key of {provider.title}")
        request = provider.request(query, self._chosen.base, self._chosen.key)
        try:
            async with asyncio.timeout(seconds):
                status, body = await self._exchange(request, seconds)
        except TimeoutError:
            raise self._failure(f"it took longer than {seconds:g} s") from None
        except ExchangeFailed as failure:
            raise self._failure(failure.message.rstrip(".")) from failure
        if status != 200:
            known = {**_REFUSALS, **provider.refusals}
            raise self._failure(known.get(status) or f"it answered {status}")
        try:
            return provider.rows(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unreadable):
            raise self._failure("its answer cannot be read") from None

    async def _exchange(self, request: Request, seconds: float) -> tuple[int, bytes]:
        request = msgspec.structs.replace(
            request,
            headers=(*request.headers, ("User-Agent", "antiphon")),
            connect_seconds=min(_CONNECT_SECONDS, seconds),
            read_seconds=seconds,
            max_connections=_AT_ONCE,
        )
        reply = await self._door.send(request)
        return reply.status, await read_all(reply, _MAX_REPLY)

    def _failure(self, reason: str) -> SearchFailed:
        """Told to the log too: who runs the server can do something about it."""
        title = self._chosen.provider.title
        _log.warning("%s could not be searched: %s.", title, reason)
        return SearchFailed(f"{title} could not be searched: {reason}")


def _chosen_results(read: list[Result], options: Options) -> list[dict[str, str]]:
    kept: dict[str, dict[str, str]] = {}
    for one in read:
        if options.allows_url(one.url) and one.url.isprintable() and not set(one.url) & {" ", "<", ">", "|"}:
            text = beginning(one.text, options.size.snippet)
            row = {"url": one.url, "title": one.title, "text": text, **({"date": one.date} if one.date else {})}
            kept.setdefault(one.url, row)
    return list(kept.values())[: options.size.results]
