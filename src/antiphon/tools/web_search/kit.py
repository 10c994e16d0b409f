"""Web search as a kit: made once from the configuration, asked for a toolset by each request that names it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from antiphon.config import ToolsConfig
from antiphon.errors import InvalidRequest
from antiphon.tools.base import Around, ItemDict, Tool
from antiphon.tools.web_search.client import Searcher
from antiphon.tools.web_search.options import TYPES, read
from antiphon.tools.web_search.providers import Unconfigured, choose
from antiphon.tools.web_search.reading import Extractor, Pages
from antiphon.tools.web_search.steps import FindInPage, LlamaStackSearch, OpenPage, Search, Step
from antiphon.tools.web_search.tool import WebTool
from antiphon.upstream.door import Transport
from antiphon.upstream.fetch import Fetcher
from antiphon.wire.events import AnyEvent


class WebSearchKit:
    """All types of web search."""

    types = TYPES

    def __init__(
        self,
        config: ToolsConfig,
        environ: Mapping[str, str],
        door: Transport,
        fetcher: Fetcher,
        *,
        keyless: bool = False,
    ) -> None:
        """The provider is asked through ``door``, pages are got by ``fetcher``. ``keyless``: recordings answer, so that
        a key may be missing.

        ``missing`` says which setting would give it somebody to ask; it is empty where there is somebody.
        """
        self._style = config.prompts
        self._config = config.web_search
        self._fetcher = fetcher
        self._extractor = Extractor()
        self._searcher: Searcher | None = None
        self.missing = ""
        """The setting that it lacks, in words."""
        try:
            self._searcher = Searcher(choose(config.web_search, environ, keyless=keyless), door)
        except Unconfigured as missing:
            self.missing = str(missing)

    def toolset(self, entry: Mapping[str, Any], path: str) -> WebToolset:
        """For one entry. Raises ``InvalidRequest``: what is wrong with the entry, or which setting is missing."""
        options = read(entry, path)
        searcher = self._searcher
        if searcher is None:
            raise InvalidRequest(
                f"The tool '{entry['type']}' is not set up on this server. {self.missing}",
                param=path,
                code="tool_not_configured",
            )
        if self._style != "antiphon":
            return WebToolset([LlamaStackSearch(searcher, self._style)], entry["type"], searcher.name)
        opens = self._config.pages and options.live
        steps: list[Step] = [Search(searcher, options, pages=opens)]
        if opens:
            pages = Pages(self._fetcher, self._extractor, options, self._config.max_page_bytes)
            steps += [OpenPage(pages, options), FindInPage(pages, options)]
        return WebToolset(steps, entry["type"], searcher.name)

    async def aclose(self) -> None:
        """Ends the threads that read pages."""
        await self._extractor.aclose()


class WebToolset:
    """The functions that one entry brings. There is no item that lists them."""

    def __init__(self, steps: Sequence[Step], kind: str, provider: str) -> None:
        self._tools = [WebTool(step, kind, provider) for step in steps]

    async def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        """The tools."""
        for tool in self._tools:
            yield tool

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        """Nothing here waits for a yes."""
        return None

    async def aclose(self) -> None:
        """It holds nothing open."""
