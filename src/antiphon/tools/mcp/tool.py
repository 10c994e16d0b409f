"""One tool of an MCP server, and the events of its ``mcp_call`` or ``mcp_approval_request`` item."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from antiphon.tools.base import Around, Call, Held, Outcome
from antiphon.tools.mcp.failures import INVALID_PARAMS, PARSE_ERROR, Failed
from antiphon.tools.mcp.listing import Listed
from antiphon.tools.mcp.pool import Pool
from antiphon.tools.mcp.results import Reading, Result, read
from antiphon.tools.mcp.server import Server
from antiphon.wire import events
from antiphon.wire.events import MCP_ARGUMENTS, AnyEvent, Channel, Delta, item_step
from antiphon.wire.items import McpApprovalRequest, McpCall

KIND = "mcp"


class McpTool:
    """A function of the model's that is called on a server. ``held``: each call waits for somebody's yes first.

    ``approved`` is the id of the request that was said yes to, for the tool that makes just that call.
    """

    kind = KIND

    def __init__(
        self,
        listed: Listed,
        label: str,
        server: Server,
        pool: Pool,
        *,
        about: str | None = None,
        held: bool = False,
        deferred: bool = False,
        approved: str | None = None,
    ) -> None:
        self.label: str | None = label
        self.definition = listed.definition(about)
        self.repeatable = listed.repeatable
        self.deferred = deferred
        self._name = listed.name
        self._label = label
        self._server = server
        self._pool = pool
        self._held = held
        self._approved = approved

    async def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome | Held]:
        """The item from its beginning to its end, then what the model reads."""
        if self._held:
            for event in self._asked(call, around):
                yield event
            yield Held()
            return
        item = McpCall(
            id=around.new_id("mcp_call"),
            server_label=self._label,
            name=self._name,
            arguments="",
            status="in_progress",
            approval_request_id=self._approved,
        )
        for event in _begun(item, call.arguments):
            yield event
        reading = read(await self._result(call, around), self._label)
        for event in _ended(item, call.arguments, reading):
            yield event
        yield Outcome(reading.shown, failed=reading.error is not None)

    def _asked(self, call: Call, around: Around) -> list[AnyEvent]:
        item = McpApprovalRequest(
            id=around.new_id("mcp_approval_request"),
            server_label=self._label,
            name=self._name,
            arguments=call.arguments,
        )
        return [events.item_added(0, item), events.item_done(0, item)]

    async def _result(self, call: Call, around: Around) -> Result:
        try:
            arguments = _arguments(call.arguments)
        except Failed as failed:
            return {"error": failed.error()}

        async def perform() -> Result:
            try:
                answer = await self._pool.call(self._server, self._name, arguments, around.timeout)
            except Failed as failed:
                answer = {"error": failed.error()}
            cleaned: Result = self._server.cleaned(answer)
            return cleaned

        result: Result = await around.outside(f"mcp:{self._label}", self._name, arguments, perform)
        return result


def _arguments(text: str) -> dict[str, Any]:
    """The arguments that the model wrote; nothing at all is none. Raises ``Failed``."""
    try:
        arguments = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        raise Failed("mcp_protocol_error", PARSE_ERROR, "The arguments are not valid JSON.") from None
    if not isinstance(arguments, dict):
        raise Failed("mcp_protocol_error", INVALID_PARAMS, "The arguments must be a JSON object.")
    return arguments


def _begun(item: McpCall, arguments: str) -> list[AnyEvent]:
    channel = Channel(MCP_ARGUMENTS, item.id, 0)
    begun: list[AnyEvent] = [events.item_added(0, item), item_step("mcp_call.in_progress", 0, item.id)]
    if arguments:
        begun.append(Delta(channel, arguments))
    return [*begun, channel.done(arguments)]


def _ended(item: McpCall, arguments: str, reading: Reading) -> list[AnyEvent]:
    done = msgspec.structs.replace(
        item,
        arguments=arguments,
        status="completed" if reading.error is None else "failed",
        output=reading.output,
        error=reading.error,
    )
    return [item_step(f"mcp_call.{done.status}", 0, item.id), events.item_done(0, done)]
