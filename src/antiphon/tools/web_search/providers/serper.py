"""Serper, which asks Google: ``POST /search``."""

from __future__ import annotations

from typing import Any

from antiphon.tools.web_search.providers.base import Provider, Query, Result, post, rows_at, text_of
from antiphon.tools.web_search.providers.countries import NAMES
from antiphon.upstream.door import Request

_MAX = 100
_organic = rows_at("organic")


def request(query: Query, base: str, key: str) -> Request:
    """The question. Its place is written out: ``Austin, Texas, United States``."""
    where = query.location
    place = [where.city, where.region] if where is not None else []
    if any(place):
        place.append(NAMES.get(query.country or "", "").title())
    body = {
        "q": query.with_sites(),
        "num": min(query.count, _MAX),
        "gl": (query.country or "").lower(),
        "location": ", ".join(part for part in place if part),
    }
    return post(f"{base}/search", body, (("X-API-KEY", key),))


def rows(reply: Any) -> list[dict[str, Any]]:
    """The pages found; before them the box with the answer, where it names its page."""
    organic = _organic(reply)
    box = reply.get("answerBox")
    return [box, *organic] if isinstance(box, dict) and isinstance(box.get("link"), str) else organic


def result(row: dict[str, Any]) -> Result:
    """One of ``organic``, or the box."""
    return Result(text_of(row, "link"), text_of(row, "title"), text_of(row, "answer", "snippet"), text_of(row, "date"))


SERPER = Provider(
    name="serper",
    title="Serper",
    base="https://google.serper.dev",
    keys=("SERPER_API_KEY",),
    request=request,
    rows=rows,
    result=result,
)
