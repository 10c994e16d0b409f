"""Tavily: ``POST /search``."""

from __future__ import annotations

from typing import Any

from antiphon.tools.web_search.providers.base import Provider, Query, Result, post, rows_at, text_of
from antiphon.tools.web_search.providers.countries import NAMES
from antiphon.upstream.door import Request

_MAX = 20


def request(query: Query, base: str, key: str) -> Request:
    """The question. Its country is a name in small letters."""
    body = {
        "query": query.text,
        "max_results": min(query.count, _MAX),
        "search_depth": "advanced" if query.thorough else "basic",
        "include_domains": list(query.domains),
        "country": NAMES.get(query.country or ""),
    }
    return post(f"{base}/search", body, (("Authorization", f"Bearer {key}"),))


def result(row: dict[str, Any]) -> Result:
    """One of ``results``."""
    return Result(text_of(row, "url"), text_of(row, "title"), text_of(row, "content"), text_of(row, "published_date"))


TAVILY = Provider(
    name="tavily",
    title="Tavily",
    base="https://api.tavily.com",
    keys=("TAVILY_API_KEY",),
    request=request,
    rows=rows_at("results"),
    result=result,
    refusals={432: "its plan has no searches left", 433: "its pay-as-you-go limit is reached"},
)
