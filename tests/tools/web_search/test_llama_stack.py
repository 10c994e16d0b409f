"""Under ``tools.prompts = "llama-stack"`` a model sees what it saw when Llama Stack made its recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon.config import ToolsConfig, WebSearchConfig
from antiphon.tools.web_search import WebSearchKit
from antiphon.upstream.door import Door
from antiphon.upstream.fetch import Fetcher
from tests.shared import shared
from tests.tools.web_search.world import Web, kit, run, tools

pytestmark = pytest.mark.anyio

STYLES = ["llama-stack", "llama-stack-2025"]


def recorded() -> Iterator[dict[str, Any]]:
    """Bodies of the recorded model calls of its test of web search."""
    for file in sorted(shared("recordings", "llama-stack", "runs", "test_response_non_streaming_web_search").iterdir()):
        body = (json.loads(file.read_text("utf-8")).get("request") or {}).get("body")
        if isinstance(body, dict) and body.get("tools"):
            yield body


def messages() -> set[tuple[str, str]]:
    """Each query of a recorded call, and what the model read of it."""
    found = set()
    for body in recorded():
        calls = {
            call["id"]: call["function"]
            for message in body["messages"]
            for call in message.get("tool_calls") or ()
            if call["function"]["name"] == "web_search"
        }
        for message in body["messages"]:
            if message["role"] == "tool" and message["tool_call_id"] in calls:
                arguments = json.loads(calls[message["tool_call_id"]]["arguments"])
                found.add((arguments["query"], message["content"]))
    return found


@pytest.mark.parametrize("style", STYLES)
async def test_the_definition_is_the_recorded_one(style: str, web: Web, door: Door) -> None:
    """One function, to the letter; options of the entry change nothing of it."""
    entry = {"user_location": {"city": "Köln"}, "filters": {"allowed_domains": ["a.example"]}}
    found = await tools(kit(web, door, prompts=style), entry)
    assert list(found) == ["web_search"]
    definitions = [tool["function"] for body in recorded() for tool in body["tools"]]
    assert definitions
    assert all(definition == found["web_search"].definition for definition in definitions)


@pytest.mark.parametrize("style", STYLES)
async def test_results_are_the_recorded_text(style: str, web: Web, door: Door) -> None:
    """Tavily's rows as they came, every character where it was."""
    search = (await tools(kit(web, door, prompts=style)))["web_search"]
    texts = [(query, text) for query, text in messages() if text.startswith("{")]
    assert texts
    for query, text in texts:
        rows = json.loads(text)["top_k"]
        web.json("/search", {"query": query, "results": rows, "response_time": 1.0})
        ran = await run(search, {"query": query}, include=frozenset({"web_search_call.action.sources"}))
        assert ran.content == text
        assert ran.outside.calls == [("web:tavily", "search", {"query": query})]
        assert [source["url"] for source in ran.item.action["sources"]] == [row["url"] for row in rows]


async def test_a_missing_key_is_told_in_the_recorded_words(door: Door) -> None:
    """Some of its recordings were made without one."""
    texts = [text for _, text in messages() if text.startswith("Pass")]
    assert texts
    config = ToolsConfig(prompts="llama-stack", web_search=WebSearchConfig(provider="brave"))
    there = WebSearchKit(config, {}, door, Fetcher(door, allow_private=False), keyless=True)
    ran = await run((await tools(there))["web_search"], {"query": "q"})
    assert ran.content in texts
    assert ran.outcome.failed


@pytest.mark.parametrize("provider", ["brave", "exa", "serper", "searxng"])
async def test_other_providers_fit_the_same_frame(provider: str, web: Web, door: Door) -> None:
    """Query and rows, of address, title and content."""
    row = {"title": "T", "url": "https://a.example/", "link": "https://a.example/"}
    texts = {"content": "C", "description": "C", "snippet": "C", "text": "C"}
    rows = [{**row, **texts}]
    path = "/res/v1/web/search" if provider == "brave" else "/search"
    web.json(path, {"web": {"results": rows}, "organic": rows, "results": rows})
    ran = await run((await tools(kit(web, door, provider, prompts="llama-stack")))["web_search"], {"query": "q"})
    top = [{"url": "https://a.example/", "title": "T", "content": "C"}]
    assert json.loads(ran.content) == {"query": "q", "top_k": top}


async def test_a_failure_is_the_bare_words(web: Web, door: Door) -> None:
    """As Llama Stack hands on the text of an exception."""
    web.json("/search", {}, "500 No")
    ran = await run((await tools(kit(web, door, prompts="llama-stack")))["web_search"], {"query": "q"})
    assert ran.content == "Tavily could not be searched: it answered 500"
