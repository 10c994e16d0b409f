"""The three things that a model does on the web, each as data in and data out: the action of its item, the call that
goes out, and what the model reads of it.

What a step brings back from outside is JSON: what it found, or ``{"error": why}``. That is what a recording keeps, so
everything that the item and the model are told is in it, and nothing that differs from day to day.
"""

from __future__ import annotations

from typing import Any, Protocol

from antiphon.tools import prompts
from antiphon.tools.base import Json, Outcome
from antiphon.tools.web_search.client import Searcher, SearchFailed
from antiphon.tools.web_search.options import Options
from antiphon.tools.web_search.passages import beginning, find, fitting
from antiphon.tools.web_search.reading import CannotRead, Pages

#: Bytes of what is told around the text of a page.
_FRAME = 1_500


class Step(Protocol):
    """One of them. ``given`` are the arguments of the model's call; all are there, and text."""

    @property
    def name(self) -> str:
        """What it is called outside: ``search``, ``open_page``, ``find_in_page``."""

    @property
    def definition(self) -> dict[str, Any]:
        """The model's function."""

    def action(self, given: dict[str, str]) -> dict[str, Any]:
        """The item's ``action``."""

    def arguments(self, given: dict[str, str]) -> Json:
        """All that decides what comes back."""

    async def perform(self, given: dict[str, str], seconds: float) -> Json:
        """Goes out. Raises nothing but for our own faults."""

    def sources(self, answer: Json) -> list[str]:
        """The URLs that it found."""

    def outcome(self, given: dict[str, str], answer: Json, max_bytes: int) -> Outcome:
        """What the model reads of an answer without an error."""

    def failure(self, reason: str) -> str:
        """What it reads of an error."""


class Search:
    """A search."""

    name = "search"

    def __init__(self, searcher: Searcher, options: Options, *, pages: bool) -> None:
        self._searcher = searcher
        self._options = options
        self._pages = pages
        self.definition = prompts.web_search("antiphon", domains=options.domains, place=_place(options))

    def action(self, given: dict[str, str]) -> dict[str, Any]:
        """The query, in the old form and the new."""
        return _search(given)

    def arguments(self, given: dict[str, str]) -> Json:
        """The query, and what of the options the provider is told."""
        options = self._options
        asked: dict[str, Any] = {
            "query": given["query"],
            "results": options.size.results,
            "characters": options.size.snippet,
        }
        if options.domains:
            asked["domains"] = list(options.domains)
        if (where := options.location) is not None:
            parts = ("city", "region", "country", "timezone")
            asked["location"] = {part: value for part in parts if (value := getattr(where, part))}
        return asked

    async def perform(self, given: dict[str, str], seconds: float) -> Json:
        """``{"results": [{url, title, text, date}]}``."""
        try:
            return {"results": await self._searcher.results(given["query"], self._options, seconds)}
        except SearchFailed as failure:
            return {"error": str(failure)}

    def sources(self, answer: Json) -> list[str]:
        """The pages."""
        return [result["url"] for result in answer.get("results", ())]

    def outcome(self, given: dict[str, str], answer: Json, max_bytes: int) -> Outcome:
        """As many results as there is room for."""
        results = list(answer["results"])
        while True:
            text, sources = prompts.found_pages(given["query"], results, pages=self._pages)
            if len(text.encode("utf-8", "surrogatepass")) <= max_bytes or len(results) <= 1:
                return Outcome(text, sources=sources)
            results.pop()

    def failure(self, reason: str) -> str:
        """With what to do about it."""
        return f"The web search failed: {reason}. Say so if it matters to the answer."


class LlamaStackSearch:
    """A search, in Llama Stack's words. It knows no options and no citations."""

    name = "search"

    def __init__(self, searcher: Searcher, style: prompts.Style) -> None:
        self._searcher = searcher
        self.definition = prompts.web_search(style)

    def action(self, given: dict[str, str]) -> dict[str, Any]:
        """The query."""
        return _search(given)

    def arguments(self, given: dict[str, str]) -> Json:
        """The query."""
        return {"query": given["query"]}

    async def perform(self, given: dict[str, str], seconds: float) -> Json:
        """``{"content": ...}``, which holds the provider's rows as JSON text."""
        try:
            return {"content": await self._searcher.as_llama_stack(given["query"], seconds)}
        except SearchFailed as failure:
            return {"error": str(failure)}

    def sources(self, answer: Json) -> list[str]:
        """The pages among the rows."""
        return prompts.llama_stack_urls(answer.get("content") or "")

    def outcome(self, given: dict[str, str], answer: Json, max_bytes: int) -> Outcome:
        """The text as it is."""
        return Outcome(answer["content"])

    def failure(self, reason: str) -> str:
        """The bare words."""
        return reason


class OpenPage:
    """The reading of a page."""

    name = "open_page"
    definition = prompts.open_page()

    def __init__(self, pages: Pages, options: Options) -> None:
        self._pages = pages
        self._options = options

    def action(self, given: dict[str, str]) -> dict[str, Any]:
        """The page."""
        return {"type": "open_page", "url": given.get("url", "")}

    def arguments(self, given: dict[str, str]) -> Json:
        """The page, and how much of it."""
        return {"url": given["url"], "characters": self._options.size.page, **_domains(self._options)}

    async def perform(self, given: dict[str, str], seconds: float) -> Json:
        """``{"title", "text", "length"}``: the beginning of the text, and the length of all of it."""
        try:
            page = await self._pages.read(_address(given), seconds)
        except CannotRead as failure:
            return {"error": str(failure)}
        return {"title": page.title, "text": beginning(page.text, self._options.size.page), "length": len(page.text)}

    def sources(self, answer: Json) -> list[str]:
        """None beside the page itself."""
        return []

    def outcome(self, given: dict[str, str], answer: Json, max_bytes: int) -> Outcome:
        """The text, cut where it would be too long."""
        text = fitting(answer["text"], max_bytes - _FRAME)
        content, sources = prompts.read_page(_address(given), answer["title"], text, length=answer["length"])
        return Outcome(content, sources=sources)

    def failure(self, reason: str) -> str:
        """With what to do about it."""
        return f"The page could not be read: {reason}. Go on without it, or try another."


class FindInPage:
    """The search in a page."""

    name = "find_in_page"
    definition = prompts.find_in_page()

    def __init__(self, pages: Pages, options: Options) -> None:
        self._pages = pages
        self._options = options

    def action(self, given: dict[str, str]) -> dict[str, Any]:
        """The page and the words."""
        return {"type": "find_in_page", "url": given.get("url", ""), "pattern": given.get("pattern", "")}

    def arguments(self, given: dict[str, str]) -> Json:
        """The page and the words, and how many passages."""
        wanted = {"url": given["url"], "pattern": given["pattern"], "passages": self._options.size.passages}
        return {**wanted, **_domains(self._options)}

    async def perform(self, given: dict[str, str], seconds: float) -> Json:
        """``{"title", "count", "passages"}``."""
        try:
            page = await self._pages.read(_address(given), seconds)
        except CannotRead as failure:
            return {"error": str(failure)}
        count, passages = find(page.text, given["pattern"], self._options.size.passages)
        return {"title": page.title, "count": count, "passages": passages}

    def sources(self, answer: Json) -> list[str]:
        """None beside the page itself."""
        return []

    def outcome(self, given: dict[str, str], answer: Json, max_bytes: int) -> Outcome:
        """The passages."""
        content, sources = prompts.found_passages(
            _address(given), answer["title"], given["pattern"], answer["passages"], count=answer["count"]
        )
        return Outcome(content, sources=sources)

    def failure(self, reason: str) -> str:
        """With what to do about it."""
        return f"The page could not be searched: {reason}. Go on without it, or try another."


def _search(given: dict[str, str]) -> dict[str, Any]:
    query = given.get("query", "")
    return {"type": "search", "query": query, "queries": [query] if query else []}


def _address(given: dict[str, str]) -> str:
    """The URL; models leave the scheme out now and then."""
    url = given["url"]
    return url if "://" in url else f"https://{url}"


def _domains(options: Options) -> dict[str, Any]:
    return {"domains": list(options.domains)} if options.domains else {}


def _place(options: Options) -> str:
    where = options.location
    if where is None:
        return ""
    zone = f"time zone {where.timezone}" if where.timezone else ""
    place = where.words()
    return f"{place} ({zone})" if place and zone else place or (f"a place of the {zone}" if zone else "")
