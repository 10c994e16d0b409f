"""``tool_search``: the model is shown a search instead of hundreds of tools, and then those that it found.

Ranked here, by the words of names and descriptions (BM25): nothing leaves the process, and the same tools give the same
order.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.tools.base import Around, Call, Hidden, ItemDict, Outcome, Tool, Toolset
from antiphon.wire import events
from antiphon.wire.events import AnyEvent
from antiphon.wire.items import ToolSearchCall, ToolSearchOutput

NAME = "tool_search"

#: How many tools one search shows, where the model does not say; and at most.
_SHOWN, _MOST = 5, 20

# BM25's usual constants: how fast a repeated word stops counting, and how much a long text is held against it.
_REPEATED, _LENGTH = 1.2, 0.75
#: A word of the name counts as so many of the description.
_NAME_WEIGHT = 3

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")

_DESCRIPTION = (
    "Finds further tools by what they do. Say in a few words what is needed; the tools that fit can be called from "
    "then on."
)
_PARAMETERS = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What the tool should do, in a few words."},
        "limit": {"type": "integer", "description": f"How many tools to show, {_SHOWN} unless given.", "minimum": 1},
    },
    "required": ["query"],
    "additionalProperties": False,
}


def rank(query: str, tools: Sequence[Hidden], limit: int) -> list[Hidden]:
    """The tools that share words with the query, the best first; among equals in their own order."""
    texts = [Counter(_words(tool.name) * _NAME_WEIGHT + _words(tool.description)) for tool in tools]
    known = Counter(word for text in texts for word in text)
    average = sum(text.total() for text in texts) / len(texts) if texts else 1.0
    asked = set(_words(query))
    scores = [sum(_score(word, text, known[word], len(texts), average) for word in asked) for text in texts]
    best = sorted((n for n, score in enumerate(scores) if score > 0), key=lambda n: -scores[n])
    return [tools[n] for n in best[:limit]]


def _score(word: str, text: Counter[str], holders: int, count: int, average: float) -> float:
    times = text[word]
    if not times:
        return 0.0
    rarity = math.log(1 + (count - holders + 0.5) / (holders + 0.5))
    return rarity * times * (_REPEATED + 1) / (times + _REPEATED * (1 - _LENGTH + _LENGTH * text.total() / average))


def _words(text: str) -> list[str]:
    """Lower-case words, those of ``camelCase`` and ``snake_case`` names apart, and a plural without its ``s``."""
    return [_singular(word.lower()) for word in _WORD.findall(text)]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class _Search:
    """The function that the model calls."""

    kind = NAME
    label = None
    deferred = False
    repeatable = True

    def __init__(self, description: str | None) -> None:
        self.definition = {"name": NAME, "description": description or _DESCRIPTION, "parameters": _PARAMETERS}

    async def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome]:
        arguments = _read(call.arguments)
        asked = ToolSearchCall(
            id=around.new_id("tool_search_call"), call_id=call.id, arguments=arguments, status="in_progress"
        )
        yield events.item_added(0, asked)
        found = rank(arguments["query"], around.hidden(), arguments.get("limit") or _SHOWN) if arguments else []
        done = ToolSearchCall(id=asked.id, call_id=call.id, arguments=arguments, status="completed")
        yield events.item_done(0, done)
        output = ToolSearchOutput(
            id=around.new_id("tool_search_output"),
            call_id=call.id,
            tools=[tool.entry for tool in found],
            status="completed",
        )
        yield events.item_added(1, output)
        yield events.item_done(1, output)
        yield Outcome(_told(arguments, found), failed=not arguments, found=tuple(tool.name for tool in found))


def _read(text: str) -> dict[str, Any]:
    """The query and the limit; nothing for arguments that cannot be read."""
    try:
        sent = json.loads(text)
    except ValueError:
        return {}
    query = sent.get("query") if isinstance(sent, dict) else None
    if not isinstance(query, str) or not query.strip():
        return {}
    limit = sent.get("limit")
    if isinstance(limit, bool) or not isinstance(limit, int):
        return {"query": query}
    return {"query": query, "limit": max(1, min(limit, _MOST))}


def _told(arguments: dict[str, Any], found: Sequence[Hidden]) -> str:
    if not arguments:
        return "The search needs an object with a `query`: what the tool should do, in a few words."
    if not found:
        return "No tool fits. Try other words."
    lines = [f"- {tool.name}: {tool.description}" if tool.description else f"- {tool.name}" for tool in found]
    return "\n".join(["These tools can be called now:", *lines])


class _SearchSet:
    """The one tool of an entry."""

    def __init__(self, description: str | None) -> None:
        self._tool = _Search(description)

    async def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        yield self._tool

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        return None

    async def aclose(self) -> None:
        """It holds nothing."""


class SearchKit:
    """Serves ``tool_search`` with ``execution: "server"``."""

    types = frozenset({NAME})
    missing = ""

    def toolset(self, entry: Mapping[str, Any], path: str) -> Toolset:
        """Raises ``InvalidRequest``."""
        if entry.get("execution") == "client":
            raise UnsupportedParameter(
                f"'{path}.execution': tools are searched by the server here; leave it out, or send 'server'.",
                param=f"{path}.execution",
            )
        if entry.get("execution") not in (None, "server"):
            raise InvalidRequest(
                f"Invalid value for '{path}.execution': expected 'server' or 'client'.",
                param=f"{path}.execution",
                code="invalid_value",
            )
        description = entry.get("description")
        if description is not None and not isinstance(description, str):
            raise InvalidRequest(f"'{path}.description' must be a string.", param=f"{path}.description")
        return _SearchSet(description)

    async def aclose(self) -> None:
        """It holds nothing."""
