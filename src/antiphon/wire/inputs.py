"""Input items: everything a client may put into ``input`` or that we read back from a stored response.

One struct per item type of the API, told apart by ``type``. Reading is wide: nulls, unknown fields, foreign ids and our
own output items are accepted as they are; a type nobody knows is a 400 that names ``input[i].type``. The dicts as sent
stay the truth that is stored; these structs are the view that ``responses/prompt`` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.wire.parts import Content, PlainText, ReasoningText, SummaryText, ToolOutput
from antiphon.wire.reading import convert, describe, join

Role = Literal["user", "assistant", "system", "developer"]


class Item(msgspec.Struct, tag_field="type", kw_only=True):
    """What all input items share. ``id`` may be anybody's, or absent."""

    id: str | None = None


class Message(Item, tag="message"):
    """Easy, strict and replayed messages in one: the role says which parts fit, and the prompt sorts them."""

    role: Role
    content: str | list[Content] | None
    status: str | None = None
    phase: str | None = None


class Reasoning(Item, tag="reasoning"):
    summary: list[SummaryText | PlainText] | None = None
    content: list[ReasoningText | PlainText] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class FunctionCall(Item, tag="function_call"):
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None
    is_async: bool | None = msgspec.field(default=None, name="async")
    status: str | None = None


class FunctionCallOutput(Item, tag="function_call_output"):
    """Without ``call_id`` it is a late or unsolicited result, known by ``name`` only."""

    output: ToolOutput
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    status: str | None = None


class CustomToolCall(Item, tag="custom_tool_call"):
    call_id: str
    name: str
    input: str
    namespace: str | None = None
    is_async: bool | None = msgspec.field(default=None, name="async")
    status: str | None = None


class CustomToolCallOutput(Item, tag="custom_tool_call_output"):
    call_id: str
    output: ToolOutput
    status: str | None = None


class ComputerCall(Item, tag="computer_call"):
    call_id: str
    action: dict[str, Any] | None = None
    actions: list[dict[str, Any]] | None = None
    status: str | None = None


class Screenshot(msgspec.Struct):
    type: str = "computer_screenshot"
    image_url: str | None = None
    file_id: str | None = None


class ComputerCallOutput(Item, tag="computer_call_output"):
    call_id: str
    output: Screenshot
    status: str | None = None


class LocalShellCall(Item, tag="local_shell_call"):
    call_id: str
    action: dict[str, Any]
    status: str | None = None


class LocalShellCallOutput(Item, tag="local_shell_call_output"):
    """Clients put the call's id into ``id`` or, as everywhere else, into ``call_id``."""

    output: str
    call_id: str | None = None
    status: str | None = None


class ShellCall(Item, tag="shell_call"):
    call_id: str
    action: dict[str, Any]
    status: str | None = None


class ShellCallOutput(Item, tag="shell_call_output"):
    call_id: str
    output: list[dict[str, Any]] | str
    max_output_length: int | None = None
    status: str | None = None


class ApplyPatchCall(Item, tag="apply_patch_call"):
    call_id: str
    operation: dict[str, Any]
    status: str | None = None


class ApplyPatchCallOutput(Item, tag="apply_patch_call_output"):
    call_id: str
    status: str | None = None
    output: str | None = None


class McpCall(Item, tag="mcp_call"):
    """A call that was made for the model, with its result."""

    name: str
    arguments: str
    server_label: str
    output: str | None = None
    error: Any = None
    approval_request_id: str | None = None
    status: str | None = None


class McpListTools(Item, tag="mcp_list_tools"):
    server_label: str
    tools: list[dict[str, Any]]
    error: Any = None


class McpApprovalRequest(Item, tag="mcp_approval_request"):
    name: str
    arguments: str
    server_label: str


class McpApprovalResponse(Item, tag="mcp_approval_response"):
    approval_request_id: str
    approve: bool
    reason: str | None = None


class FileSearchCall(Item, tag="file_search_call"):
    queries: list[str] | None = None
    results: list[dict[str, Any]] | None = None
    status: str | None = None


class WebSearchCall(Item, tag="web_search_call"):
    action: dict[str, Any] | None = None
    status: str | None = None


class CodeInterpreterCall(Item, tag="code_interpreter_call"):
    container_id: str | None = None
    code: str | None = None
    outputs: list[dict[str, Any]] | None = None
    status: str | None = None


class ImageGenerationCall(Item, tag="image_generation_call"):
    result: str | None = None
    status: str | None = None


class ToolSearchCall(Item, tag="tool_search_call"):
    arguments: Any = None
    call_id: str | None = None
    execution: str | None = None
    status: str | None = None


class ToolSearchOutput(Item, tag="tool_search_output"):
    """Tools that a search has found; they may be called from here on."""

    tools: list[dict[str, Any]]
    call_id: str | None = None
    execution: str | None = None
    status: str | None = None


class AdditionalTools(Item, tag="additional_tools"):
    """Tools that may be called from here on."""

    tools: list[dict[str, Any]]
    role: str | None = None


class EffortUpdate(msgspec.Struct):
    effort: str | None = None


class FormatText(msgspec.Struct, tag_field="type", tag="text"):
    """Free text, the default."""


class FormatJsonObject(msgspec.Struct, tag_field="type", tag="json_object"):
    """Any JSON object."""


class FormatJsonSchema(msgspec.Struct, tag_field="type", tag="json_schema", kw_only=True):
    """JSON that fits ``schema``."""

    name: str
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


TextFormat = FormatText | FormatJsonObject | FormatJsonSchema


class FormatUpdate(msgspec.Struct):
    format: TextFormat | None = None


class ConfigurationUpdate(Item, tag="configuration_update"):
    """Changes effort or format from here on."""

    reasoning: EffortUpdate | None = None
    text: FormatUpdate | None = None


class Compaction(Item, tag="compaction"):
    encrypted_content: str


class CompactionTrigger(Item, tag="compaction_trigger"):
    """Asks for a compaction; must be the last item."""


class ItemReference(Item, tag="item_reference"):
    """Stands for a stored item; replaced before the prompt is made."""


class Program(Item, tag="program"):
    call_id: str
    code: str
    fingerprint: str | None = None


class ProgramOutput(Item, tag="program_output"):
    call_id: str
    result: str
    status: str | None = None


InputItem = (
    Message
    | Reasoning
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | ComputerCall
    | ComputerCallOutput
    | LocalShellCall
    | LocalShellCallOutput
    | ShellCall
    | ShellCallOutput
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | McpCall
    | McpListTools
    | McpApprovalRequest
    | McpApprovalResponse
    | FileSearchCall
    | WebSearchCall
    | CodeInterpreterCall
    | ImageGenerationCall
    | ToolSearchCall
    | ToolSearchOutput
    | AdditionalTools
    | ConfigurationUpdate
    | Compaction
    | CompactionTrigger
    | ItemReference
    | Program
    | ProgramOutput
)


class _Items(msgspec.Struct, array_like=True):
    """A list of items; msgspec prepares a struct once, but a bare union at every use (20 microseconds)."""

    items: list[InputItem]


def read_items(items: Sequence[Any], where: str = "input") -> list[InputItem]:
    """The typed view of items as sent or stored. Raises InvalidRequest with the path under ``where``."""
    if not items:
        return []
    try:
        return msgspec.convert((named_items(items),), _Items).items
    except msgspec.ValidationError:
        return convert(named_items(items), list[InputItem], where)  # the same once more, for an error with its path


def named_items(items: Iterable[Any]) -> list[Any]:
    """The same items, each with the ``type`` that easy messages and item references may leave out."""
    return [item if not isinstance(item, dict) or item.get("type") is not None else _named(item) for item in items]


def _named(item: dict[str, Any]) -> dict[str, Any]:
    if "role" in item or "content" in item:
        return {**item, "type": "message"}
    if isinstance(item.get("id"), str):
        return {**item, "type": "item_reference"}
    return {key: value for key, value in item.items() if key != "type"}


def text_items(text: str) -> list[dict[str, Any]]:
    """What a string ``input`` stands for: one user message."""
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]


def check_items(items: Sequence[InputItem], where: str = "input") -> None:
    """What the types alone cannot say. Raises InvalidRequest."""
    for n, item in enumerate(items):
        # Not isinstance, which asks the metaclass of a struct and costs twenty times as much.
        if type(item) is Message and item.content is None and item.role != "assistant":
            path = f"{where}[{n}]"
            raise InvalidRequest(
                f"Invalid value for '{path}.content': expected string or array, got null.",
                param=join(path, "content"),
                code="invalid_type",
            )
        if type(item) is ItemReference and not item.id:
            path = f"{where}[{n}]"
            raise InvalidRequest(
                f"Missing required parameter: '{path}.id'.", param=join(path, "id"), code="missing_required_parameter"
            )
        if type(item) is ShellCallOutput and not isinstance(item.output, str):
            _check_types(item.output, f"{where}[{n}].output")


def _check_types(parts: Sequence[dict[str, Any]], where: str) -> None:
    """Parts that may be any objects: where one has a type, it can be looked up."""
    for n, part in enumerate(parts):
        kind = part.get("type")
        if kind is not None and not isinstance(kind, str):
            param = f"{where}[{n}].type"
            raise InvalidRequest(
                f"Invalid value for '{param}': expected string, got {describe(kind)}.",
                param=param,
                code="invalid_type",
            )
