"""Brave Search: ``GET /res/v1/web/search``."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from antiphon.tools.web_search.providers.base import MAX_QUERY, Provider, Query, Result, get, rows_at, text_of, texts_of
from antiphon.upstream.door import Headers, Request

_MAX = 20
_WORDS = 50
#: Countries that it has an index of; another would be an error.
_COUNTRIES = (
    "AR AU AT BE BR CA CL CN DE DK ES FI FR GB GR HK ID IN IT JP KR MX MY NL NO NZ PH PL PT RU SA SE TR TW US ZA"
)


def request(query: Query, base: str, key: str) -> Request:
    """The question; where the user is goes in headers. What is too long for it is cut."""
    parameters = {
        "q": " ".join(query.with_sites()[:MAX_QUERY].split()[:_WORDS]),
        "count": min(query.count, _MAX),
        "country": query.country if query.country in _COUNTRIES.split() else None,
        "result_filter": "web",
        "text_decorations": "false",
    }
    return get(f"{base}/res/v1/web/search", parameters, (("X-Subscription-Token", key), *_place(query)))


def _place(query: Query) -> Headers:
    where = query.location
    if where is None:
        return ()
    parts = (
        ("X-Loc-City", where.city),
        ("X-Loc-State-Name", where.region),
        ("X-Loc-Country", where.country),
        ("X-Loc-Timezone", where.timezone),
    )
    return tuple((name, quote(value, safe=" /,'()+-")) for name, value in parts if value)


def result(row: dict[str, Any]) -> Result:
    """One of ``web.results``."""
    text = "\n".join(filter(None, [text_of(row, "description"), *texts_of(row, "extra_snippets")]))
    return Result(text_of(row, "url"), text_of(row, "title"), text, text_of(row, "page_age", "age"))


BRAVE = Provider(
    name="brave",
    title="Brave Search",
    base="https://api.search.brave.com",
    keys=("BRAVE_API_KEY", "BRAVE_SEARCH_API_KEY"),
    request=request,
    rows=rows_at("web", "results"),
    result=result,
    refusals={422: "it did not accept the search or the key"},
)
