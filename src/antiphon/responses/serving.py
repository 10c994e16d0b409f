"""The tools that we run, for one response: listing them, making the calls of one answer, and what the model gets back.

Calls run at once, and what they say is told in the order in which the model made them: the events of a later call wait
for those of the call before. A tool that fails, hangs or says too much harms nobody but its own call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence

import msgspec

from antiphon.errors import APIError, first_of
from antiphon.responses import toolbox
from antiphon.responses.announcing import Announcer, Emit
from antiphon.responses.turn import Served as Asked
from antiphon.tools.base import Around, Call, Content, Held, Hidden, ItemDict, Outcome, Tool, Toolset
from antiphon.wire import seen
from antiphon.wire.events import AnyEvent
from antiphon.wire.seen import Seen

_log = logging.getLogger("antiphon.tools")

#: Seconds beyond its own limit after which a call is given up from outside.
_GRACE = 5.0

#: A call, and the tool that makes it; None where there is none.
Job = tuple[Call, Tool | None]


class Limits(msgspec.Struct, frozen=True):
    """``calls``: how many a response may make, None for any number. ``at_once``: how many run at the same time."""

    calls: int | None
    at_once: int


class Made(msgspec.Struct, frozen=True):
    """One call that is over: what the model is shown of it, and after how many items of the output."""

    seen: Seen
    items_to: int


class Serving:
    """The tools of one response, by their places in ``tools``. ``open`` them first; ``aclose`` lets go of all."""

    def __init__(self, toolsets: Mapping[int, Toolset], around: Around, limits: Limits) -> None:
        self.sources: dict[str, ItemDict] = {}
        """What its calls let the model cite, by key."""
        self.found: set[str] = set()
        """Names of tools that a search has found."""
        self.hidden: list[Hidden] = []
        """What a search may find."""
        self._toolsets = toolsets
        self._around = msgspec.structs.replace(around, hidden=lambda: self.hidden)
        self._limits = limits
        self._calls = 0
        self._announcer: Announcer | None = None

    async def open(self, earlier: Sequence[ItemDict], emit: Emit) -> list[toolbox.Served]:
        """The tools of every set; what a set has to say is told, in the order of the sets."""
        announcer = self._announcer = Announcer(emit, 0, len(self._toolsets))
        found: list[list[toolbox.Served]] = [[] for _ in self._toolsets]

        async def opened(n: int, entry: int, toolset: Toolset) -> None:
            async for said in toolset.open(earlier, self._around):
                if isinstance(said, AnyEvent):
                    announcer.take(n, said)
                else:
                    found[n].append(_served(entry, said))
            announcer.over(n)

        await self._together([opened(n, entry, one) for n, (entry, one) in enumerate(self._toolsets.items())])
        return [served for tools in found for served in tools]

    def hide(self, box: toolbox.Toolbox) -> None:
        """What the model is not shown yet is what a search may find."""
        self.hidden = [
            Hidden(offer.chat_name, offer.tool["function"].get("description") or "", offer.entry)
            for offer in box.hidden
        ]

    def approved(self, requests: Sequence[ItemDict]) -> list[Job]:
        """The calls that were approved, with their tools. One whose server is not among the tools any more has none."""
        return [
            (
                Call(request.get("call_id") or request["id"], request["name"], request["arguments"]),
                self._resumed(request),
            )
            for request in requests
        ]

    def asked(self, calls: Sequence[Asked], box: toolbox.Toolbox) -> list[Job]:
        """The calls of one answer, with their tools."""
        served = [box.served(one.name) for one in calls]
        return [
            (Call(one.id, one.name, one.arguments), tool.tool if tool is not None else None)
            for one, tool in zip(calls, served, strict=True)
        ]

    def left_open(self) -> list[AnyEvent]:
        """What closes the item that was being told when the run was ended."""
        return self._announcer.left_open() if self._announcer is not None else []

    async def aclose(self) -> None:
        """Lets go of every set, each whatever became of the others."""
        async with contextlib.AsyncExitStack() as stack:
            for toolset in self._toolsets.values():
                stack.push_async_callback(toolset.aclose)

    # -- one answer's calls

    async def make(self, jobs: Sequence[Job], step: int, first_index: int, emit: Emit) -> list[Made]:
        """Makes these calls as the ``step``-th, their items told from ``first_index`` on. Raises what ends the run."""
        announcer = self._announcer = Announcer(emit, first_index, len(jobs))
        outcomes: list[Outcome | Held] = [Held()] * len(jobs)

        async def made(n: int, call: Call, tool: Tool | None) -> None:
            outcomes[n] = await self._outcome(n, call, tool, announcer)
            announcer.over(n)

        await self._together([made(n, *job) for n, job in enumerate(self._counted(jobs))])
        self._announcer = None
        calls = [call for call, _ in jobs]
        return [
            Made(self._shown(step, call, outcome), ended)
            for call, outcome, ended in zip(calls, outcomes, announcer.ends, strict=True)
        ]

    def _counted(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs, those over the limit without a tool."""
        limit = self._limits.calls
        counted: list[Job] = []
        for call, tool in jobs:
            if tool is not None and tool.kind != toolbox.SEARCH:
                if limit is not None and self._calls >= limit:
                    counted.append((call, None))
                    continue
                self._calls += 1
            counted.append((call, tool))
        return counted

    async def _outcome(self, n: int, call: Call, tool: Tool | None, announcer: Announcer) -> Outcome | Held:
        """Makes the call. Whatever goes wrong in the tool becomes words for the model; an ``APIError`` ends the run."""
        if tool is None:
            return _said(self._why_not(call))
        try:
            async with asyncio.timeout(self._around.timeout + _GRACE):
                return await self._run(n, call, tool, announcer)
        except TimeoutError:
            announcer.fail(n)
            return _said(f"The tool gave no result within {self._around.timeout:g} seconds.")
        except APIError:
            raise
        except Exception:  # noqa: BLE001 - a defect of a tool must be seen, and harm nothing but its call
            _log.exception("the tool %s broke", call.name)
            announcer.fail(n)
            return _said("The tool failed.")

    async def _run(self, n: int, call: Call, tool: Tool, announcer: Announcer) -> Outcome | Held:
        outcome: Outcome | Held | None = None
        async with contextlib.aclosing(_generator(tool.run(call, self._around))) as events:
            async for said in events:
                if isinstance(said, Outcome | Held):
                    outcome = said
                else:
                    announcer.take(n, said)
        if outcome is None:
            raise RuntimeError(f"{type(tool).__name__} ended without an outcome")
        return outcome

    def _why_not(self, call: Call) -> str:
        if self._limits.calls is not None and self._calls >= self._limits.calls:
            return f"Tool call skipped: maximum tool calls limit ({self._limits.calls}) reached."
        return f"There is no tool {call.name!r} any more."

    def _resumed(self, request: ItemDict) -> Tool | None:
        tools = (toolset.resume(request, self._around) for toolset in self._toolsets.values())
        return next((tool for tool in tools if tool is not None), None)

    def _shown(self, step: int, call: Call, outcome: Outcome | Held) -> Seen:
        if isinstance(outcome, Held):
            return Seen(step, call.id, call.name, call.arguments)
        sources = {source.key: source.annotation for source in outcome.sources}
        self.sources.update(sources)
        self.found.update(outcome.found)
        output = seen.output_of(cut(outcome.content, self._around.max_output_bytes))
        return Seen(step, call.id, call.name, call.arguments, output, sources)

    async def _together(self, jobs: Sequence[Awaitable[None]]) -> None:
        """All of them, so many at once. The first ``APIError`` ends the others, and is what is raised."""
        room = asyncio.Semaphore(self._limits.at_once)

        async def one(job: Awaitable[None]) -> None:
            async with room:
                await job

        try:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(one(job))
        except* APIError as failures:
            raise first_of(failures) from None


def cut(content: Content, limit: int) -> Content:
    """The content within so many bytes of text; what is left out is told."""
    if isinstance(content, str):
        return _cut_text(content, limit)
    parts = []
    for part in content:
        text = part.get("text")
        if isinstance(text, str):
            parts.append({**part, "text": _cut_text(text, limit)})
            limit = max(0, limit - len(text.encode("utf-8", "surrogatepass")))
        else:
            parts.append(part)
    return parts


def _cut_text(text: str, limit: int) -> str:
    if len(text) * 4 <= limit or len(data := text.encode("utf-8", "surrogatepass")) <= limit:
        return text
    kept = data[:limit].decode("utf-8", "ignore")
    return f"{kept}\n[Cut here: the output has {len(data)} bytes, and {limit} are shown.]"


def _served(entry: int, tool: Tool) -> toolbox.Served:
    return toolbox.Served(entry, tool.kind, tool.label, tool.definition, tool, tool.deferred)


def _said(words: str) -> Outcome:
    return Outcome(words, failed=True)


async def _generator(
    events: AsyncIterator[AnyEvent | Outcome | Held],
) -> AsyncGenerator[AnyEvent | Outcome | Held, None]:
    """Any iterator as a generator, which can be closed."""
    async for said in events:
        yield said
