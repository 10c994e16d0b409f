"""SearXNG, which everybody runs for themselves: ``GET /search`` with ``format=json``."""

from __future__ import annotations

from typing import Any

from antiphon.tools.web_search.providers.base import Provider, Query, Result, get, rows_at, text_of
from antiphon.upstream.door import Request


def request(query: Query, base: str, key: str) -> Request:
    """The question. It takes no number of results and no place. A key goes to the proxy that asks for one."""
    headers = (("Authorization", f"Bearer {key}"),) if key else ()
    return get(f"{base}/search", {"q": query.with_sites(), "format": "json"}, headers)


def result(row: dict[str, Any]) -> Result:
    """One of ``results``."""
    return Result(text_of(row, "url"), text_of(row, "title"), text_of(row, "content"), text_of(row, "publishedDate"))


SEARXNG = Provider(
    name="searxng",
    title="SearXNG",
    base="",
    keys=(),
    request=request,
    rows=rows_at("results"),
    result=result,
    refusals={403: "it does not give JSON: 'json' must be among its search.formats"},
)
