"""A kit of the tests' own, as a third party would write one: tools that answer, wait, fail, break, cite and ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from antiphon.errors import InvalidRequest
from antiphon.tools.base import Around, Call, Content, Held, ItemDict, Outcome, Source, Tool, Toolset
from antiphon.wire import events
from antiphon.wire.events import AnyEvent
from antiphon.wire.items import McpApprovalRequest, WebSearchCall

#: What a tool does with its arguments: gives what the model reads. Raises what it likes.
Act = Callable[[dict[str, Any]], Awaitable[Content]]


class Probe:
    """One tool: an item of its own, the call through ``outside``, and what came of it."""

    kind = "web_search"
    label = None
    deferred = False
    repeatable = True

    def __init__(self, name: str, act: Act, *, asks: bool = False, cites: str | None = None) -> None:
        self.definition = {"name": name, "description": name, "parameters": {"type": "object", "properties": {}}}
        self._act = act
        self._asks = asks
        self._cites = cites

    async def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome | Held]:
        arguments = json.loads(call.arguments or "{}")
        if self._asks:
            for event in self._asking(call, around):
                yield event
            yield Held()
            return
        item = WebSearchCall(id=around.new_id("web_search_call"), status="in_progress", action={"type": "search"})
        yield events.item_added(0, item)
        yield events.item_step("web_search_call.searching", 0, item.id)

        async def perform() -> Any:
            return await self._act(arguments)

        content = await around.outside("probe", self.definition["name"], arguments, perform)
        done = WebSearchCall(id=item.id, status="completed", action={"type": "search", "query": call.arguments})
        yield events.item_done(0, done)
        sources = ()
        if self._cites is not None:
            annotation = {"type": "url_citation", "url": f"https://{self._cites}.example", "title": self._cites}
            sources = (Source(self._cites, annotation),)
        yield Outcome(content, sources=sources)

    def _asking(self, call: Call, around: Around) -> list[AnyEvent]:
        item = McpApprovalRequest(
            id=around.new_id("mcp_approval_request"), server_label="s", name=call.name, arguments=call.arguments
        )
        return [events.item_added(0, item), events.item_done(0, item)]


class ProbeSet:
    """Every tool of the kit, for one request."""

    def __init__(self, kit: ProbeKit) -> None:
        self._kit = kit

    async def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        for tool in self._kit.tools:
            yield tool

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        act = self._kit.approved.get(request["name"])
        return None if act is None else Probe(request["name"], act)

    async def aclose(self) -> None:
        self._kit.closed += 1


class ProbeKit:
    """Serves ``web_search`` with these tools. ``approved``: what a call does once it was allowed."""

    types = frozenset({"web_search"})
    missing = ""

    def __init__(self, *tools: Probe, approved: Mapping[str, Act] | None = None) -> None:
        self.tools = tools
        self.approved = dict(approved or {})
        self.closed = 0

    def toolset(self, entry: Mapping[str, Any], path: str) -> Toolset:
        if "wrong" in entry:
            raise InvalidRequest("That is wrong.", param=f"{path}.wrong")
        return ProbeSet(self)

    async def aclose(self) -> None:
        pass


def gives(content: Content) -> Act:
    """Always this."""

    async def act(_: dict[str, Any]) -> Content:
        return content

    return act


def raises(failure: Exception) -> Act:
    """Always this failure."""

    async def act(_: dict[str, Any]) -> Content:
        raise failure

    return act


async def forever(_: dict[str, Any]) -> Content:
    """Never an answer."""
    await asyncio.Event().wait()
    raise AssertionError


class Meeting:
    """Calls that can only end together, in the reverse order of their arguments' ``n``."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._here = 0
        self._done: dict[int, asyncio.Event] = {}

    async def __call__(self, arguments: dict[str, Any]) -> Content:
        n = arguments["n"]
        own = self._done.setdefault(n, asyncio.Event())
        after = self._done.setdefault(n + 1, asyncio.Event())
        self._here += 1
        if self._here == self._parties:
            self._done.setdefault(self._parties, asyncio.Event()).set()
        await after.wait()
        own.set()
        return f"answer {n}"
