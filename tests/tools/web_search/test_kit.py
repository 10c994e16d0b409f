"""Who is asked: by configuration or environment; and what is said where that is nobody."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.config import ToolsConfig, WebSearchConfig
from antiphon.errors import InvalidRequest
from antiphon.tools.web_search import WebSearchKit
from antiphon.tools.web_search.options import TYPES
from antiphon.tools.web_search.providers import PROVIDERS, choose
from antiphon.upstream.door import Door
from antiphon.upstream.fetch import Fetcher
from tests.tools.web_search.world import Web, run, tools

pytestmark = pytest.mark.anyio


def made(config: WebSearchConfig, environ: dict[str, str], **more: Any) -> WebSearchKit:
    """A kit without a web."""
    door = Door({})
    return WebSearchKit(ToolsConfig(web_search=config), environ, door, Fetcher(door, allow_private=False), **more)


def missing(config: WebSearchConfig, environ: dict[str, str]) -> str:
    """What a request is told that names the tool."""
    kit = made(config, environ)
    assert kit.missing
    with pytest.raises(InvalidRequest) as caught:
        kit.toolset({"type": "web_search"}, "tools[2]")
    assert (caught.value.param, caught.value.code) == ("tools[2]", "tool_not_configured")
    assert kit.missing in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_the_environment_decides(provider: Any) -> None:
    """One key, or one address, is enough."""
    for name in provider.keys or ["SEARXNG_URL"]:
        value = "http://127.0.0.1:8888/" if name == "SEARXNG_URL" else "k"
        chosen = choose(WebSearchConfig(), {name: value})
        assert chosen.provider is provider
        assert chosen.base.startswith("http")
        assert not chosen.base.endswith("/")


def test_the_configuration_decides_first() -> None:
    """The named provider, with its own key, whatever else the environment holds."""
    environ = {"TAVILY_API_KEY": "t", "EXA_API_KEY": "e"}
    assert choose(WebSearchConfig(), environ).provider.name == "tavily"
    chosen = choose(WebSearchConfig(provider="exa"), environ)
    assert (chosen.provider.name, chosen.key) == ("exa", "e")
    assert choose(WebSearchConfig(provider="exa", key="mine"), environ).key == "mine"
    assert choose(WebSearchConfig(provider="serper", url="http://h/x/", key="k"), {}).base == "http://h/x"


def test_a_key_goes_to_no_other_provider() -> None:
    """Settings of a provider that is not named are nobody's."""
    chosen = choose(WebSearchConfig(key="mine", url="http://mine"), {"TAVILY_API_KEY": "t"})
    assert (chosen.key, chosen.base) == ("t", "https://api.tavily.com")


def test_nobody_to_ask() -> None:
    """The request is told which setting, and which variables, would change that."""
    says = missing(WebSearchConfig(), {})
    for name in ("tools.web_search.provider", "TAVILY_API_KEY", "BRAVE_API_KEY", "EXA_API_KEY", "SEARXNG_URL"):
        assert name in says
    assert "TAVILY_API_KEY" in missing(WebSearchConfig(provider="tavily"), {"EXA_API_KEY": "e"})
    for url in ("", "nonsense", "http://[", "ftp://h"):
        assert "tools.web_search.url" in missing(WebSearchConfig(provider="searxng", url=url), {})


def test_an_entry_that_is_wrong_is_told_first() -> None:
    """A mistake of the client's is the client's, whoever runs the server."""
    with pytest.raises(InvalidRequest) as caught:
        made(WebSearchConfig(), {}).toolset({"type": "web_search", "search_context_size": "x"}, "tools[0]")
    assert caught.value.param == "tools[0].search_context_size"


async def test_recordings_need_no_key() -> None:
    """The tool is offered without one; a call that leaves all the same fails without a word going out."""
    kit = made(WebSearchConfig(provider="tavily"), {}, keyless=True)
    assert not kit.missing
    ran = await run((await tools(kit))["web_search"], {"query": "q"})
    assert ran.outcome.failed
    assert "no key of Tavily" in ran.content


async def test_all_names_are_the_same_tool() -> None:
    """Each type brings the same functions, under its own kind."""
    kit = made(WebSearchConfig(provider="tavily", key="k"), {})
    assert kit.types == TYPES
    for kind in TYPES:
        found = await tools(kit, {"type": kind})
        assert list(found) == ["web_search", "open_page", "find_in_page"]
        assert {tool.kind for tool in found.values()} == {kind}
        toolset = kit.toolset({"type": kind}, "tools[0]")
        await toolset.aclose()


async def test_a_url_of_the_operator_is_no_stranger(web: Web, door: Door) -> None:
    """A provider at a private address is reached, though pages there are not."""
    web.json("/search", {"results": [{"title": "T", "url": "https://a.example/", "content": "C"}]})
    config = ToolsConfig(web_search=WebSearchConfig(provider="searxng", url=web.url))
    kit = WebSearchKit(config, {}, door, Fetcher(door, allow_private=False))
    found = await tools(kit)
    assert not (await run(found["web_search"], {"query": "q"})).outcome.failed
    assert (await run(found["open_page"], {"url": web.url + "/search"})).outcome.failed
