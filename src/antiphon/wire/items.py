"""Output items: the things a response is made of, as we emit them.

Every struct is frozen: an item that changes is a new item. Optional keys that have no value are left out, never null,
because strict clients accept absence but not null (a message's ``phase``, a reasoning item's ``content``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

ItemStatus = Literal["in_progress", "completed", "incomplete"]
#: Of the tools that we run. Which of them an item may have depends on its type.
HostedStatus = Literal["in_progress", "searching", "calling", "completed", "incomplete", "failed"]

#: One token's log probability: ``{token, bytes, logprob, top_logprobs: [{token, bytes, logprob}]}``.
Logprob = dict[str, Any]


class _Tagged(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Anything on the wire that says its ``type``."""


class OutputText(_Tagged, frozen=True, kw_only=True, tag="output_text"):
    """Text the model wrote."""

    text: str
    annotations: list[dict[str, Any]] = []
    logprobs: list[Logprob] = []


class Refusal(_Tagged, frozen=True, kw_only=True, tag="refusal"):
    """The model's words for declining."""

    refusal: str


class ReasoningText(_Tagged, frozen=True, kw_only=True, tag="reasoning_text"):
    """Raw reasoning."""

    text: str


class SummaryText(_Tagged, frozen=True, kw_only=True, tag="summary_text"):
    """Reasoning as it is shown to a person."""

    text: str


MessagePart = OutputText | Refusal
Part = OutputText | Refusal | ReasoningText | SummaryText


class Message(_Tagged, frozen=True, kw_only=True, tag="message"):
    """What the assistant says."""

    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[MessagePart] = []


class Reasoning(_Tagged, frozen=True, kw_only=True, tag="reasoning"):
    """What the model thought. ``encrypted_content`` is for clients that keep the state themselves."""

    id: str
    summary: list[SummaryText] = []
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET


class FunctionCall(_Tagged, frozen=True, kw_only=True, tag="function_call"):
    """A call the client is to make. ``arguments`` is JSON text, exactly as the model wrote it."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


class CustomToolCall(_Tagged, frozen=True, kw_only=True, tag="custom_tool_call"):
    """A call of a freeform tool: ``input`` is plain text."""

    id: str
    call_id: str
    name: str
    input: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


class McpListTools(_Tagged, frozen=True, kw_only=True, tag="mcp_list_tools"):
    """The tools that an MCP server has. ``tools``: ``{name, input_schema}``, with ``description`` and ``annotations``
    where the server gives them. ``error`` says why there are none."""

    id: str
    server_label: str
    tools: list[dict[str, Any]] = []
    error: str | UnsetType = UNSET


class McpCall(_Tagged, frozen=True, kw_only=True, tag="mcp_call"):
    """A call of an MCP tool, made here. ``error`` is one of the three typed forms, or null."""

    id: str
    server_label: str
    name: str
    arguments: str
    status: HostedStatus
    output: str | None = None
    error: dict[str, Any] | None = None
    approval_request_id: str | None = None


class McpApprovalRequest(_Tagged, frozen=True, kw_only=True, tag="mcp_approval_request"):
    """A call of an MCP tool that waits for a person's yes."""

    id: str
    server_label: str
    name: str
    arguments: str


class WebSearchCall(_Tagged, frozen=True, kw_only=True, tag="web_search_call"):
    """A step on the web: ``action`` is a search, the opening of a page, or a look for words in one."""

    id: str
    status: HostedStatus
    action: dict[str, Any]


class FileSearchCall(_Tagged, frozen=True, kw_only=True, tag="file_search_call"):
    """A search in vector stores. ``results`` only where the client asked for them; else null."""

    id: str
    status: HostedStatus
    queries: list[str] = []
    results: list[dict[str, Any]] | None = None


class ToolSearchCall(_Tagged, frozen=True, kw_only=True, tag="tool_search_call"):
    """The model looks for tools that were not shown to it."""

    id: str
    call_id: str
    arguments: dict[str, Any]
    status: ItemStatus
    execution: Literal["server", "client"] = "server"


class ToolSearchOutput(_Tagged, frozen=True, kw_only=True, tag="tool_search_output"):
    """The tools that it found."""

    id: str
    call_id: str
    tools: list[dict[str, Any]]
    status: ItemStatus
    execution: Literal["server", "client"] = "server"


HostedItem = (
    McpListTools | McpCall | McpApprovalRequest | WebSearchCall | FileSearchCall | ToolSearchCall | ToolSearchOutput
)
Item = Message | Reasoning | FunctionCall | CustomToolCall | HostedItem
