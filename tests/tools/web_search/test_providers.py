"""What each provider is asked, and how its reply is read; field names as their public references have them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from antiphon.upstream.door import Door
from tests.tools.web_search.world import KEY, Ran, Web, kit, run, tools
from tests.upstream.loopback import Peer

pytestmark = pytest.mark.anyio

PATHS = {
    "tavily": "/search",
    "brave": "/res/v1/web/search",
    "exa": "/search",
    "serper": "/search",
    "searxng": "/search",
}

REPLIES: dict[str, Any] = {
    "tavily": {
        "query": "q",
        "answer": None,
        "images": [],
        "response_time": 1.2,
        "results": [{"title": "A page", "url": "https://a.example/1", "content": "Text one.", "score": 0.9}],
    },
    "brave": {
        "type": "search",
        "query": {"original": "q"},
        "web": {
            "type": "search",
            "results": [
                {
                    "title": "A page",
                    "url": "https://a.example/1",
                    "description": "Text <strong>one</strong>.",
                    "page_age": "2026-01-02T00:00:00",
                }
            ],
        },
    },
    "exa": {
        "requestId": "r",
        "results": [
            {
                "title": "A page",
                "url": "https://a.example/1",
                "id": "https://a.example/1",
                "publishedDate": "2026-01-02",
                "author": None,
                "highlights": ["Text one.", "Text two."],
            }
        ],
    },
    "serper": {
        "searchParameters": {"q": "q", "type": "search"},
        "organic": [
            {
                "title": "A page",
                "link": "https://a.example/1",
                "snippet": "Text one.",
                "date": "Jan 2, 2026",
                "position": 1,
            }
        ],
    },
    "searxng": {
        "query": "q",
        "number_of_results": 0,
        "results": [{"title": "A page", "url": "https://a.example/1", "content": "Text one.", "engine": "x"}],
        "unresponsive_engines": [],
    },
}

WHOLE = {
    "search_context_size": "low",
    "filters": {"allowed_domains": ["a.example", "https://B.example/"]},
    "user_location": {
        "type": "approximate",
        "city": "Köln",
        "region": "NRW",
        "country": "de",
        "timezone": "Europe/Berlin",
    },
}


async def searched(web: Web, door: Door, provider: str, entry: dict[str, Any] | None = None, **more: Any) -> Ran:
    """A search of this provider."""
    search = (await tools(kit(web, door, provider), entry))["web_search"]
    return await run(search, {"query": "what is new?"}, **more)


@pytest.mark.parametrize("provider", PATHS)
async def test_results_are_read(provider: str, web: Web, door: Door) -> None:
    """Address, title and text of a result reach the model, which may cite it; the key reaches nobody but the
    provider."""
    web.json(PATHS[provider], REPLIES[provider])
    ran = await searched(web, door, provider, include=frozenset({"web_search_call.action.sources"}))
    (source,) = ran.outcome.sources
    assert source.annotation == {"type": "url_citation", "url": "https://a.example/1", "title": "A page"}
    assert f"<|{source.key}|> A page\nhttps://a.example/1\n" in ran.content
    assert "Text one." in ran.content
    assert ran.item.action["sources"] == [{"type": "url", "url": "https://a.example/1"}]
    assert ran.outside.calls[0][:2] == (f"web:{provider}", "search")
    assert KEY not in ran.outside.recorded
    assert not ran.outcome.failed
    (asked,) = web.asked
    assert KEY in str(asked.headers)
    assert KEY not in str(asked.query) + str(asked.body)


async def test_tavily_is_told_all_options(web: Web, door: Door) -> None:
    """Domains and number of results as such; the country by name."""
    web.json("/search", REPLIES["tavily"])
    await searched(web, door, "tavily", WHOLE)
    (asked,) = web.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["query"] == "what is new?"
    assert asked.body["include_domains"] == ["a.example", "b.example"]
    assert asked.body["country"] == "germany"
    assert asked.body["search_depth"] == "basic"
    assert asked.body["max_results"] >= 5


async def test_brave_is_told_all_options(web: Web, door: Door) -> None:
    """Domains as operators, country as a parameter, the place in headers that are ASCII."""
    web.json(PATHS["brave"], REPLIES["brave"])
    await searched(web, door, "brave", WHOLE)
    (asked,) = web.asked
    assert asked.headers["x-subscription-token"] == KEY
    assert asked.query["q"] == "what is new? (site:a.example OR site:b.example)"
    assert asked.query["country"] == "DE"
    assert asked.headers["x-loc-city"] == "K%C3%B6ln"
    assert asked.headers["x-loc-timezone"] == "Europe/Berlin"


async def test_exa_is_told_all_options(web: Web, door: Door) -> None:
    """Domains as such, the country by code, and the passages that matter are asked for."""
    web.json("/search", REPLIES["exa"])
    await searched(web, door, "exa", WHOLE)
    (asked,) = web.asked
    assert asked.headers["x-api-key"] == KEY
    assert asked.body["includeDomains"] == ["a.example", "b.example"]
    assert asked.body["userLocation"] == "DE"
    assert asked.body["contents"]["highlights"]


async def test_serper_is_told_all_options(web: Web, door: Door) -> None:
    """Domains as operators, the place written out."""
    web.json("/search", REPLIES["serper"])
    await searched(web, door, "serper", WHOLE)
    (asked,) = web.asked
    assert asked.headers["x-api-key"] == KEY
    assert asked.body["q"] == "what is new? (site:a.example OR site:b.example)"
    assert (asked.body["gl"], asked.body["location"]) == ("de", "Köln, NRW, Germany")


async def test_searxng_is_asked_for_json(web: Web, door: Door) -> None:
    """One domain needs no brackets."""
    web.json("/search", REPLIES["searxng"])
    await searched(web, door, "searxng", {"filters": {"allowed_domains": ["a.example"]}})
    (asked,) = web.asked
    assert asked.query == {"q": "what is new? site:a.example", "format": "json"}


async def test_serper_answers_first(web: Web, door: Door) -> None:
    """The box with the answer stands before the pages, where it names one."""
    box = {"answer": "42", "title": "The answer", "link": "https://b.example/"}
    web.json("/search", {**REPLIES["serper"], "answerBox": box})
    ran = await searched(web, door, "serper")
    assert [source.annotation["url"] for source in ran.outcome.sources] == ["https://b.example/", "https://a.example/1"]
    assert "42" in ran.content


@pytest.mark.parametrize("provider", PATHS)
async def test_more_thorough_is_more(provider: str, web: Web, door: Door) -> None:
    """The larger the context, the more results reach the model."""
    web.json(PATHS[provider], many(provider, 30))
    counts = []
    for size in ("low", "medium", "high"):
        ran = await searched(web, door, provider, {"search_context_size": size})
        counts.append(len(ran.outcome.sources))
    assert counts == sorted(set(counts))


def many(provider: str, count: int) -> Any:
    """A reply of so many results, on sites a.example and b.example by turns."""
    field = {"brave": "web", "serper": "organic"}.get(provider, "results")
    url = "link" if provider == "serper" else "url"
    row = REPLIES[provider]["web"] if provider == "brave" else REPLIES[provider]
    (one,) = row["results" if provider == "brave" else field]
    rows = [{**one, url: f"https://{'ab'[n % 2]}.example/{n}"} for n in range(count)]
    return {"web": {"results": rows}} if provider == "brave" else {field: rows}


@pytest.mark.parametrize("provider", PATHS)
async def test_no_other_site_gets_in(provider: str, web: Web, door: Door) -> None:
    """Whatever a provider makes of the domains, results of others are left out."""
    web.json(PATHS[provider], many(provider, 10))
    ran = await searched(web, door, provider, {"filters": {"allowed_domains": ["b.example"]}})
    urls = [source.annotation["url"] for source in ran.outcome.sources]
    assert urls
    assert all(url.startswith("https://b.example/") for url in urls)


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 432, 500, 503])
async def test_a_refusal_is_told_to_the_model(
    provider: str, status: int, web: Web, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """Never raised: the item is failed, the model reads why, who runs the server finds it in the log, and the key is in
    none of them, though the provider repeats it."""
    web.json(PATHS[provider], {"detail": f"wrong key {KEY}"}, f"{status} No")
    with caplog.at_level(logging.WARNING):
        ran = await searched(web, door, provider)
    assert ran.outcome.failed
    assert ran.item.status == "failed"
    assert ran.steps[-2:] == ["web_search_call.searching", "output_item.done"]
    assert "could not be searched" in ran.content
    assert "could not be searched" in caplog.text
    assert KEY not in ran.outside.recorded + ran.content + caplog.text


@pytest.mark.parametrize(
    "reply", [b"", b"<html>", b"[]", b"7", b'{"results": {}, "web": 1, "organic": "x"}', b"\xff", b"[" * 100_000]
)
@pytest.mark.parametrize("provider", PATHS)
async def test_a_reply_of_another_form_is_a_failure(provider: str, reply: bytes, web: Web, door: Door) -> None:
    """What cannot be read is said to be so."""
    web.page(PATHS[provider], reply, "application/json")
    ran = await searched(web, door, provider)
    assert ran.outcome.failed
    assert "cannot be read" in ran.content


@pytest.mark.parametrize("rows", [[], [None, 3, "x"], [{}], [{"url": 7, "title": None}], [{"url": "ftp://a/", "t": 1}]])
async def test_rows_without_pages_are_no_results(rows: list[Any], web: Web, door: Door) -> None:
    """Nothing found is no failure."""
    web.json("/search", {"results": rows})
    ran = await searched(web, door, "tavily")
    assert not ran.outcome.failed
    assert ran.item.status == "completed"
    assert "Nothing was found" in ran.content


async def test_a_page_is_told_once(web: Web, door: Door) -> None:
    """A provider that has it twice changes nothing."""
    row = {"title": "T", "url": "https://a.example/", "content": "C"}
    web.json("/search", {"results": [row, {**row, "title": "Other"}, row]})
    ran = await searched(web, door, "tavily")
    assert [source.annotation["title"] for source in ran.outcome.sources] == ["T"]


async def test_silence_is_a_failure(web: Web, door: Door) -> None:
    """A provider that says nothing is given up in time, and its connection closed."""
    gone = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.gone()
        gone.set()

    web.answers["/search"] = silent
    ran = await searched(web, door, "tavily", timeout=0.1)
    await asyncio.wait_for(gone.wait(), 10)
    assert ran.outcome.failed
    assert "0.1 s" in ran.content


async def test_nobody_there_is_a_failure(web: Web, door: Door) -> None:
    """An address where nobody listens."""
    there = kit(web, door, "searxng", url="http://127.0.0.1:1/x")
    ran = await run((await tools(there))["web_search"], {"query": "q"})
    assert ran.outcome.failed
    assert "SearXNG could not be searched" in ran.content


async def test_a_break_is_a_failure(web: Web, door: Door) -> None:
    """A reply that ends in the middle."""

    async def breaks(peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        peer.writer.close()

    web.answers["/search"] = breaks
    assert (await searched(web, door, "tavily")).outcome.failed
