"""Pages of the web: fetched past all guards of ``upstream/fetch``, reduced to text, and kept for a moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from antiphon.tools.web_search.extract import NotText, Page, page
from antiphon.tools.web_search.options import Options
from antiphon.upstream.fetch import Fetched, Fetcher, NotFetched

_ACCEPT = "text/html, application/xhtml+xml, text/plain;q=0.9, */*;q=0.5"
#: Pages that are reduced to text at once, each in a thread, beside the loop.
_AT_ONCE = 2
#: Pages that one request keeps: a look for words after the page was read does not fetch it again.
_KEPT = 4


class CannotRead(Exception):
    """Why a page cannot be read, in words that may be shown to anybody."""


class Extractor:
    """Reduces pages to text in threads. One for the whole server."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def text_of(self, got: Fetched) -> Page:
        """The text. Raises ``NotText``."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, "antiphon-pages")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, page, got.content, got.media_type, got.charset)

    async def aclose(self) -> None:
        """Ends the threads."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)


class Pages:
    """The pages of one request."""

    def __init__(self, fetcher: Fetcher, extractor: Extractor, options: Options, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._extractor = extractor
        self._options = options
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Page] = OrderedDict()

    async def read(self, url: str, seconds: float) -> Page:
        """The page at a URL, in at most so many seconds. Raises ``CannotRead``."""
        kept = self._kept.get(url)
        if kept is not None:
            return kept
        try:
            async with asyncio.timeout(seconds):
                got = await self._fetcher.get(
                    url,
                    accept=_ACCEPT,
                    max_bytes=self._max_bytes,
                    seconds=seconds,
                    refuse=self._refuse,
                )
                read = await self._extractor.text_of(got)
        except TimeoutError:
            raise CannotRead(f"it took longer than {seconds:g} s") from None
        except NotFetched as failure:
            raise CannotRead(failure.reason) from None
        except NotText as wrong:
            raise CannotRead(f"it is {wrong}, not a page of text") from None
        if not read.text:
            raise CannotRead("there is no text in it")
        self._kept[url] = read
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return read

    def _refuse(self, host: str) -> str | None:
        return None if self._options.allows(host) else "its site is not among those that this request allows"
