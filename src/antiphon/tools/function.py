"""A tool of one's own in its smallest form: a class with a function in it.

    class Weather(FunctionKit):
        name = "weather"
        description = "The weather at a place, now."
        parameters = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}

        async def call(self, arguments, around):
            return f"Rain in {arguments['place']}."

Requests name it as ``{"type": "weather"}``. What more a tool may do (several functions, items of another kind,
approvals, sources to be cited) is in ``tools.base``, of which this is one use.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from antiphon.errors import APIError
from antiphon.tools.base import Around, Call, Held, ItemDict, Json, Outcome, Tool, Toolset
from antiphon.wire.events import MCP_ARGUMENTS, AnyEvent, Channel, Delta, item_added, item_done, item_step
from antiphon.wire.items import McpCall

_log = logging.getLogger("antiphon.tools")

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


class CannotDo(Exception):
    """For ``call`` to raise: the call failed, and the message tells the model why."""


class FunctionKit:
    """One function, made once with its ``settings``. Its calls are shown as ``mcp_call`` items, the one kind that the
    API has for a function that a server ran; ``server_label`` is the function's name.
    """

    name: str
    description: str = ""
    #: A JSON schema of an object.
    parameters: Mapping[str, Any] = _NO_PARAMETERS
    #: Whether a call whose outcome is unknown may be made again.
    repeatable: bool = False
    #: The setting that is lacking, in a sentence; empty when it is ready.
    missing: str = ""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.settings = settings or {}

    async def call(self, arguments: dict[str, Any], around: Around) -> Json:
        """Do it. Text is shown to the model as it is, anything else as JSON. Raise ``CannotDo`` when it fails.

        It is not called where a recording has the answer; what it gives must be JSON.
        """
        raise NotImplementedError

    @property
    def types(self) -> frozenset[str]:
        """Its name."""
        return frozenset({self.name})

    def toolset(self, entry: Mapping[str, Any], path: str) -> Toolset:
        """The same for every entry. Override it to read further fields of ``entry``, and raise ``InvalidRequest``."""
        return _One(_Function(self))

    async def aclose(self) -> None:
        """Override it where something is held open."""


class _One:
    """A toolset of one tool."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool

    async def open(self, earlier: Sequence[ItemDict], around: Around) -> AsyncIterator[AnyEvent | Tool]:
        yield self._tool

    def resume(self, request: ItemDict, around: Around) -> Tool | None:
        return None

    async def aclose(self) -> None:
        pass


class _Function:
    """The kit's function as a tool."""

    label: str | None = None
    deferred = False

    def __init__(self, kit: FunctionKit) -> None:
        self._kit = kit
        self.kind = kit.name
        self.repeatable = kit.repeatable
        self.definition = {
            "name": kit.name,
            "description": kit.description,
            "parameters": dict(kit.parameters),
        }

    async def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome | Held]:
        name = self._kit.name
        item = McpCall(id=around.new_id("mcp_call"), server_label=name, name=name, arguments="", status="in_progress")
        channel = Channel(MCP_ARGUMENTS, item.id, 0)
        yield item_added(0, item)
        yield item_step("mcp_call.in_progress", 0, item.id)
        if call.arguments:
            yield Delta(channel, call.arguments)
        yield channel.done(call.arguments)
        text, failed = await self._answer(call.arguments, around)
        ended = "failed" if failed else "completed"
        yield item_step(f"mcp_call.{ended}", 0, item.id)
        error = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text}]} if failed else None
        done = msgspec.structs.replace(item, arguments=call.arguments, status="failed" if failed else "completed")
        yield item_done(0, msgspec.structs.replace(done, output=None if failed else text, error=error))
        yield Outcome(text, failed=failed)

    async def _answer(self, written: str, around: Around) -> tuple[str, bool]:
        """What the model reads, and whether it is a failure."""
        try:
            arguments = json.loads(written) if written.strip() else {}
        except (ValueError, RecursionError):
            return "The arguments are not valid JSON.", True
        if not isinstance(arguments, dict):
            return "The arguments must be a JSON object.", True
        answer = await around.outside(self._kit.name, self._kit.name, arguments, self._perform(arguments, around))
        if not isinstance(answer, dict) or "result" not in answer:
            why = answer.get("error") if isinstance(answer, dict) else None
            return str(why or "What came back cannot be read."), True
        told = answer["result"]
        return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False), False

    def _perform(self, arguments: dict[str, Any], around: Around) -> Callable[[], Awaitable[Json]]:
        async def perform() -> Json:
            try:
                async with asyncio.timeout(around.timeout):
                    return {"result": await self._kit.call(arguments, around)}
            except APIError:
                raise
            except CannotDo as why:
                return {"error": str(why)}
            except TimeoutError:
                return {"error": f"It took longer than {around.timeout:g} seconds."}
            except Exception as failure:  # noqa: BLE001 - a third party's function may raise anything
                _log.exception("the tool '%s' broke", self._kit.name)
                return {"error": f"The tool broke ({type(failure).__name__})."}

        return perform
