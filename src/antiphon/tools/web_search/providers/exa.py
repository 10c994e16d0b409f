"""Exa: ``POST /search``."""

from __future__ import annotations

from typing import Any

from antiphon.tools.web_search.providers.base import Provider, Query, Result, post, rows_at, text_of, texts_of
from antiphon.upstream.door import Request

_MAX = 100


def request(query: Query, base: str, key: str) -> Request:
    """The question, with the passages of each page that answer it."""
    body = {
        "query": query.text,
        "type": "auto",
        "numResults": min(query.count, _MAX),
        "includeDomains": list(query.domains),
        "userLocation": query.country,
        "contents": {"highlights": True, "text": {"maxCharacters": query.characters}} if query.thorough else None,
    }
    body["contents"] = body["contents"] or {"highlights": True}
    return post(f"{base}/search", body, (("x-api-key", key),))


def result(row: dict[str, Any]) -> Result:
    """One of ``results``."""
    text = "\n".join([*texts_of(row, "highlights"), *filter(None, [text_of(row, "text", "summary")])])
    return Result(text_of(row, "url", "id"), text_of(row, "title"), text, text_of(row, "publishedDate"))


EXA = Provider(
    name="exa",
    title="Exa",
    base="https://api.exa.ai",
    keys=("EXA_API_KEY",),
    request=request,
    rows=rows_at("results"),
    result=result,
    refusals={402: "its account has no credits left"},
)
