"""Pages: what is fetched and read, and what is not."""

from __future__ import annotations

import asyncio
import gzip
import threading
from typing import Any

import pytest
import trafilatura

from antiphon.config import ToolsConfig, WebSearchConfig
from antiphon.tools.web_search import WebSearchKit
from antiphon.upstream.door import Door
from antiphon.upstream.fetch import MAX_REDIRECTS, Fetcher
from tests.tools.web_search.world import Ran, Web, kit, run, says, tools
from tests.upstream.loopback import Peer

pytestmark = pytest.mark.anyio

ARTICLE = (
    "<html><head><title>On &amp; on</title><style>p {}</style><script>var secret = 1</script></head><body>"
    "<nav><a href=/>Home</a></nav><article><h1>Going on</h1>"
    + "".join(f"<p>Paragraph number {n} says something of its own at some length.</p>" for n in range(40))
    + "</article><footer>Imprint</footer></body></html>"
)


async def opened(web: Web, door: Door, url: str, entry: dict[str, Any] | None = None, **more: Any) -> Ran:
    """The page at this URL, opened by the model."""
    private = more.pop("private", True)
    config = more.pop("config", {})
    return await run((await tools(kit(web, door, private=private, **config), entry))["open_page"], {"url": url}, **more)


async def refused(web: Web, door: Door, url: str, **more: Any) -> str:
    """Why it was not."""
    ran = await opened(web, door, url, **more)
    assert (ran.item.status, ran.outcome.failed, ran.outcome.sources) == ("failed", True, ())
    return str(ran.content)


async def test_an_article_is_read(web: Web, door: Door) -> None:
    """Its title and its text, without what is around it."""
    ran = await opened(web, door, web.page("/p", ARTICLE))
    assert ran.content.splitlines()[0].endswith("|> On & on")
    assert "Paragraph number 39 says" in ran.content
    for noise in ("secret", "Home", "Imprint", "<p>", "goes on"):
        assert noise not in ran.content


@pytest.mark.parametrize("size", ["low", "medium", "high"])
async def test_a_long_page_is_cut_and_says_so(size: str, web: Web, door: Door) -> None:
    """The context size says how much is read; the model is told what it has not seen, and finds it all the same."""
    long = "".join(f"<p>Line {n} of this page, which is different from the others.</p>" for n in range(3_000))
    url = web.page("/p", f"<title>T</title>{long}<p>The needle is here at the very end of it all.</p>")
    found = await tools(kit(web, door), {"search_context_size": size})
    ran = await run(found["open_page"], {"url": url})
    limit = {"low": 8_000, "medium": 20_000, "high": 50_000}[size]
    assert limit * 0.8 < len(ran.content) < limit + 1_000
    assert "The page goes on" in ran.content
    assert "needle" not in ran.content
    assert "The needle is here" in (await run(found["find_in_page"], {"url": url, "pattern": "NEEDLE is"})).content


async def test_a_page_is_fetched_once_for_a_request(web: Web, door: Door) -> None:
    """Read first and searched then, it is asked for once; another request asks again."""
    url = web.page("/p", ARTICLE)
    there = kit(web, door)
    for asked in (1, 2):
        found = await tools(there)
        await run(found["open_page"], {"url": url})
        ran = await run(found["find_in_page"], {"url": url, "pattern": "number 7"})
        assert "is there once" in ran.content
        assert len(web.asked) == asked
    await there.aclose()


async def test_words_that_are_not_there(web: Web, door: Door) -> None:
    """No failure, but no passages either."""
    found = await tools(kit(web, door))
    ran = await run(found["find_in_page"], {"url": web.page("/p", ARTICLE), "pattern": "no such thing"})
    assert (ran.item.status, ran.outcome.failed) == ("completed", False)
    assert 'does not have "no such thing"' in ran.content


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("application/pdf", b"%PDF-1.7 x", "PDF"),
        ("text/html", b"%PDF-1.7 x", "PDF"),
        ("application/octet-stream", b"%PDF-1.7 x", "PDF"),
        ("image/png", b"\x89PNG", "image/png"),
        ("application/zip", b"PK", "application/zip"),
        ("application/octet-stream", b"\0\1\2", "application/octet-stream"),
        ("text/html", b"", "no text"),
        ("text/html", b"<script>x</script>", "no text"),
    ],
)
async def test_what_is_no_text_is_said(kind: str, content: bytes, says: str, web: Web, door: Door) -> None:
    """A PDF by its type or by its first bytes, a picture, an archive, an empty page."""
    assert says in await refused(web, door, web.page("/p", content, kind))


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text/plain", b"# Notes\n\nplain words", "plain words"),
        ("application/json", b'{"a": "json words"}', "json words"),
        ("application/rss+xml", b"<rss>feed words</rss>", "feed words"),
        ("text/markdown; charset=latin-1", "caf\xe9".encode("latin-1"), "café"),
        ("text/html; charset=shift_jis", "<p>日本".encode("shift_jis"), "日本"),
        ("text/html", b"<meta charset=windows-1251><p>" + "мир".encode("cp1251"), "мир"),
        ("text/html; charset=punycode", "<p>é".encode(), "é"),
        ("", b"<!DOCTYPE html><p>unstated words", "unstated words"),
    ],
)
async def test_text_of_every_kind(kind: str, content: bytes, text: str, web: Web, door: Door) -> None:
    """Text in its own charset; one that no browser knows is taken for UTF-8."""
    assert text in (await opened(web, door, web.page("/p", content, kind))).content


async def test_a_redirect_is_followed_and_judged(web: Web, door: Door) -> None:
    """To where the model might go itself, and nowhere else; the citation is to what was asked for."""
    web.page("/there", "<title>T</title><p>arrived")
    ran = await opened(web, door, web.redirect("/p", "/there"))
    assert "arrived" in ran.content
    assert ran.outcome.sources[0].annotation["url"] == web.url + "/p"
    for to in ("http://169.254.169.254/latest", "http://[::ffff:a9fe:a9fe]/", "file:///x", "http://u:p@a.example/"):
        assert "could not be read" in await refused(web, door, web.redirect("/q", to))
    assert f"more than {MAX_REDIRECTS} times" in await refused(web, door, web.redirect("/r", "/r"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://localhost/", "http://2130706433/", "http://[::1]/", "http://10.0.0.1/"]
)
async def test_a_public_server_opens_no_private_page(url: str, web: Web, door: Door) -> None:
    """A model reaches no more of the network than a client does."""
    assert "not public" in await refused(web, door, url, private=False)
    assert "not public" in await refused(web, door, url.replace("http://", ""), private=False)


async def test_only_allowed_sites_are_opened(web: Web, door: Door) -> None:
    """By the model, or by a redirect of an allowed one; nobody else is asked."""
    entry = {"filters": {"allowed_domains": ["127.0.0.1"]}}
    assert "arrived" in (await opened(web, door, web.page("/p", "<p>arrived"), entry)).content
    elsewhere = web.url.replace("127.0.0.1", "localhost") + "/p"
    web.asked.clear()
    for url in (elsewhere, web.redirect("/r", elsewhere)):
        assert "not among those" in await refused(web, door, url, entry=entry)
    assert [asked.path for asked in web.asked] == ["/r"]


async def test_size_and_time_are_bounded(web: Web, door: Door) -> None:
    """Of a page that says how long it is, of one that does not, of one that unfolds, and of one that never ends."""
    config = {"max_page_bytes": 100_000}
    assert "longer than" in await refused(web, door, web.page("/p", b"x" * 100_001), config=config)

    async def endless(peer: Peer) -> None:
        await peer.begin("text/html")
        while True:
            await peer.chunk(b"<p>and on</p>" * 1_000)

    web.answers["/endless"] = endless
    assert "longer than" in await refused(web, door, web.url + "/endless", config=config)
    bomb = gzip.compress(b"x" * 10_000_000)
    web.answers["/bomb"] = says(bomb, "text/html", more="Content-Encoding: gzip\r\n")
    assert "longer than" in await refused(web, door, web.url + "/bomb", config=config)

    gone = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.begin("text/html")
        await peer.chunk(b"<p>a word, and")
        await peer.gone()
        gone.set()

    web.answers["/slow"] = slow
    assert "0.2 s" in await refused(web, door, web.url + "/slow", timeout=0.2)
    await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.parametrize("status", ["401 No", "404 No", "500 No"])
async def test_a_page_that_is_refused(status: str, web: Web, door: Door) -> None:
    """Its status is told."""
    assert status[:3] in await refused(web, door, web.page("/p", "x", status=status))


@pytest.mark.parametrize(
    "url", ["not a url at all", "http://", "javascript:alert(1)", "ftp://a.example/", "http://a b/"]
)
async def test_what_is_no_address(url: str, web: Web, door: Door) -> None:
    """Told, not raised; nobody is asked."""
    assert "could not be read" in await refused(web, door, url)
    assert web.asked == []


async def test_no_pages_where_they_are_not_wanted(web: Web, door: Door) -> None:
    """Neither where the configuration has them off, nor for a request that may only use an index."""
    assert list(await tools(kit(web, door, pages=False))) == ["web_search"]
    assert list(await tools(kit(web, door), {"external_web_access": False})) == ["web_search"]
    assert list(await tools(kit(web, door))) == ["web_search", "open_page", "find_in_page"]


async def test_other_calls_go_on_while_a_page_is_read(web: Web, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is reduced to text in a thread: the loop goes on meanwhile, here to let that thread go on."""
    began, go = threading.Event(), threading.Event()

    def slow(*args: Any, **more: Any) -> Any:
        began.set()
        assert go.wait(30), "the loop stood still"
        return extract(*args, **more)

    extract = trafilatura.extract
    monkeypatch.setattr(trafilatura, "extract", slow)
    found = await tools(kit(web, door))
    reading = asyncio.create_task(run(found["open_page"], {"url": web.page("/p", ARTICLE)}))
    assert await asyncio.to_thread(began.wait, 30)
    assert not reading.done()
    go.set()
    assert not (await reading).outcome.failed


async def test_the_kit_ends_its_threads(web: Web, door: Door) -> None:
    """After it is closed none is left; it may be closed unused, and twice."""
    config = ToolsConfig(web_search=WebSearchConfig(provider="searxng", url=web.url))
    there = WebSearchKit(config, {}, door, Fetcher(door, allow_private=True))
    await there.aclose()
    await run((await tools(there))["open_page"], {"url": web.page("/p", ARTICLE)})
    await there.aclose()
    await there.aclose()
