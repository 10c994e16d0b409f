"""A small web on loopback: providers and pages by path, and what a test needs around a tool."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from antiphon.config import ToolsConfig, WebSearchConfig
from antiphon.tools.base import Around, Call, Outcome, Tool
from antiphon.tools.web_search import WebSearchKit
from antiphon.upstream.door import Transport
from antiphon.upstream.fetch import Fetcher
from antiphon.wire.events import AnyEvent, Event
from tests.upstream.loopback import Peer, serving

KEY = "sk-hidden-key"


class Asked:
    """One request that came."""

    def __init__(self, peer: Peer) -> None:
        first, *lines = peer.head.split("\r\n")
        self.method, target, _ = first.split(" ", 2)
        parts = urlsplit(target)
        self.path = parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        split = (line.partition(":") for line in lines if line)
        self.headers = {name.lower(): value.strip() for name, _, value in split}
        self.body: Any = json.loads(peer.body) if peer.body else None


Answer = Callable[[Peer], Awaitable[None]]


class Web:
    """``async with Web() as web``: what was asked, and answers by path; what has none is a 404."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer] = {}
        self.url = ""
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Web:
        self.url = (await self._stack.enter_async_context(serving(self._serve))).removesuffix("/v1")
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._stack.__aexit__(*failure)

    async def _serve(self, peer: Peer) -> None:
        while await peer.request():
            asked = Asked(peer)
            self.asked.append(asked)
            await self.answers.get(asked.path, says(b"nothing here", "text/plain", "404 No"))(peer)

    def json(self, path: str, reply: Any, status: str = "200 OK") -> None:
        """A provider's reply at a path."""
        self.answers[path] = says(json.dumps(reply).encode(), "application/json", status)

    def page(self, path: str, content: bytes | str, kind: str = "text/html", status: str = "200 OK") -> str:
        """A page at a path; its URL."""
        self.answers[path] = says(content.encode() if isinstance(content, str) else content, kind, status)
        return self.url + path

    def redirect(self, path: str, to: str) -> str:
        """A redirect at a path; its URL."""
        self.answers[path] = says(b"", "text/plain", "302 Found", f"Location: {to}\r\n")
        return self.url + path


def says(content: bytes, kind: str, status: str = "200 OK", more: str = "") -> Answer:
    """An answer that is always the same."""

    async def answer(peer: Peer) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}\r\n"
        await peer.write(head.encode() + content)

    return answer


class Outside:
    """The way out of a tool, which keeps what a recording would."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.results: list[Any] = []

    async def __call__(self, provider: str, tool: str, arguments: Any, perform: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append((provider, tool, json.loads(json.dumps(arguments))))
        result = json.loads(json.dumps(await perform()))
        self.results.append(result)
        return result

    @property
    def recorded(self) -> str:
        """All of it as text."""
        return json.dumps([self.calls, self.results])


def around(outside: Any, **more: Any) -> Around:
    """The surroundings of a run, with ids that count."""
    numbers = itertools.count()
    return Around(new_id=lambda kind: f"{kind}-{next(numbers)}", outside=outside, **more)


def kit(web: Web, door: Transport, provider: str = "tavily", *, private: bool = True, **config: Any) -> WebSearchKit:
    """The kit, with a provider that is on this web."""
    prompts = config.pop("prompts", "antiphon")
    given = {"provider": provider, "url": web.url, "key": KEY, **config}
    tools = ToolsConfig(prompts=prompts, web_search=WebSearchConfig(**given))
    return WebSearchKit(tools, {}, door, Fetcher(door, allow_private=private))


async def tools(kit: WebSearchKit, entry: Mapping[str, Any] | None = None) -> dict[str, Tool]:
    """The functions that an entry brings, by name."""
    toolset = kit.toolset({"type": "web_search", **(entry or {})}, "tools[0]")
    found: list[Any] = await each(toolset.open((), around(Outside())))
    return {one.definition["name"]: one for one in found}


class Ran:
    """What a run brought: ``steps`` are the types of its events, ``item`` the finished item."""

    def __init__(self, events: list[AnyEvent], outcome: Outcome, outside: Outside) -> None:
        self.events = events
        self.steps = [event.type.removeprefix("response.") for event in events]
        self.item: Any = events[-1].payload["item"] if isinstance(events[-1], Event) else None
        self.outcome = outcome
        assert isinstance(outcome.content, str)
        self.content = outcome.content
        self.outside = outside


async def run(tool: Tool, arguments: Any, **more: Any) -> Ran:
    """Runs a call to its end. Arguments that are text are taken as they are."""
    outside = more.pop("outside", None) or Outside()
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    said = await each(tool.run(Call("call_1", tool.definition["name"], text), around(outside, **more)))
    *events, outcome = said
    assert isinstance(outcome, Outcome)
    assert not any(isinstance(event, Outcome) for event in events)
    return Ran(events, outcome, outside)


async def each(found: AsyncIterator[Any]) -> list[Any]:
    """All of it."""
    return [one async for one in found]
