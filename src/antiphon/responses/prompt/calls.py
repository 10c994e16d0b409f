"""Calls and their results, whatever kind of item they are: one function call and one tool message each.

Kinds that chat models do not know (shell, patch, computer, MCP) are shown as functions of a fixed name with their
fields as arguments, so that a model sees what was done in a form it knows. The JSON is stable: same item, same bytes.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, TypeGuard, get_args

from antiphon.errors import InvalidRequest
from antiphon.responses.prompt.content import ChatPart, chat_parts, image_part
from antiphon.responses.toolbox import CallShape, Toolbox, flat_name, freeform_arguments
from antiphon.wire import inputs
from antiphon.wire.inputs import InputItem

Call = (
    inputs.FunctionCall
    | inputs.CustomToolCall
    | inputs.ComputerCall
    | inputs.LocalShellCall
    | inputs.ShellCall
    | inputs.ApplyPatchCall
)
Output = (
    inputs.FunctionCallOutput
    | inputs.CustomToolCallOutput
    | inputs.ComputerCallOutput
    | inputs.LocalShellCallOutput
    | inputs.ShellCallOutput
    | inputs.ApplyPatchCallOutput
)

AnyCall = Call | inputs.McpCall

_CALLS = frozenset(get_args(Call))
_ANY_CALLS = frozenset(get_args(AnyCall))
_OUTPUTS = frozenset(get_args(Output))
_PAIRED = _CALLS | _OUTPUTS

#: What the model reads of a call whose result may come in a later request.
PENDING = "The result is not available yet."


# ``type(item) in`` and not isinstance, which asks the metaclass of each struct of a union in turn (a microsecond).


def is_call(item: InputItem) -> TypeGuard[AnyCall]:
    """Whether this is a call of any kind."""
    return type(item) in _ANY_CALLS


def is_output(item: InputItem) -> TypeGuard[Output]:
    """Whether this is the result of a call."""
    return type(item) in _OUTPUTS


def _is_answered(item: InputItem) -> TypeGuard[Call]:
    """Whether this is a call whose result is an item of its own."""
    return type(item) in _CALLS


def pair(items: Sequence[InputItem]) -> dict[int, int]:
    """Which output answers which call, by their places in ``items``.

    An id that is used again (some back ends count from zero in every answer) means the earliest call still waiting.
    Raises InvalidRequest for an output without a call before it, and for a call that nobody answered, unless it was
    cut off (status ``incomplete``) or may be answered later (``async``).
    """
    if _PAIRED.isdisjoint(map(type, items)):
        return {}
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    aliases: dict[str, str] = {}
    answers: dict[int, int] = {}
    for n, item in enumerate(items):
        if _is_answered(item):
            waiting[item.call_id].append(n)
            if item.id:
                aliases[item.id] = item.call_id
        elif is_output(item):
            key = _answered_id(item, aliases)
            if key is None:
                continue  # a late result that names no call
            if not waiting[key]:
                raise _no_call(item, key)
            answers[waiting[key].popleft()] = n
    for places in waiting.values():
        for n in places:
            _check_unanswered(items[n])
    return answers


def _answered_id(item: Output, aliases: dict[str, str]) -> str | None:
    if type(item) is inputs.LocalShellCallOutput and item.call_id is None:
        return aliases.get(item.id or "", item.id or "")
    return item.call_id


def is_dropped(item: AnyCall) -> bool:
    """A call that, without an answer, the model is not shown: it was cut off while it was written."""
    return type(item) is not inputs.McpCall and item.status == "incomplete"


def _check_unanswered(item: InputItem) -> None:
    if not _is_answered(item) or is_dropped(item) or getattr(item, "is_async", None):
        return
    kind = "function call" if isinstance(item, inputs.FunctionCall) else _words(item)
    raise InvalidRequest(f"No tool output found for {kind} {item.call_id}.", param="input", code="invalid_value")


def _no_call(item: Output, key: str) -> InvalidRequest:
    return InvalidRequest(
        f"No tool call found for {_words(item)} with call_id {key}.", param="input", code="invalid_value"
    )


def _words(item: InputItem) -> str:
    return str(item.__struct_config__.tag).replace("_", " ")


def tool_call(item: AnyCall, toolbox: Toolbox) -> dict[str, Any]:
    """The entry of ``tool_calls`` for this item."""
    name, arguments = _name_and_arguments(item, toolbox)
    function = {"name": name, "arguments": arguments}
    return {"id": call_id(item), "type": "function", "function": function}


def call_id(item: AnyCall) -> str:
    """The id by which the tool message refers to the call; an MCP call has only its own."""
    if isinstance(item, inputs.McpCall):
        return item.id or f"mcp_{flat_name(item.name)}"
    return item.call_id


def _name_and_arguments(item: AnyCall, toolbox: Toolbox) -> tuple[str, str]:
    if isinstance(item, inputs.FunctionCall):
        # Models call functions without parameters with no text at all; strict back ends want an object.
        return toolbox.chat_name(CallShape("function_call", item.name, item.namespace)), item.arguments or "{}"
    if isinstance(item, inputs.CustomToolCall):
        shape = CallShape("custom_tool_call", item.name, item.namespace)
        return toolbox.chat_name(shape), freeform_arguments(item.input)
    if isinstance(item, inputs.McpCall):
        return flat_name(item.name), item.arguments or "{}"
    if isinstance(item, inputs.ApplyPatchCall):
        return "apply_patch", _json({"operation": item.operation})
    if isinstance(item, inputs.ComputerCall):
        actions = {"actions": item.actions} if item.actions else {"action": item.action}
        return "computer", _json(actions)
    name = "shell" if isinstance(item, inputs.ShellCall) else "local_shell"
    return name, _json({key: value for key, value in item.action.items() if value is not None and key != "type"})


def result_parts(item: Output, path: str) -> list[ChatPart]:
    """What a call gave, as chat parts; ``path`` is the item's JSON path. Raises InvalidRequest."""
    if type(item) is inputs.FunctionCallOutput or type(item) is inputs.CustomToolCallOutput:
        return chat_parts(item.output, f"{path}.output")
    if isinstance(item, inputs.ComputerCallOutput):
        return [image_part(item.output, f"{path}.output")]
    if isinstance(item, inputs.ApplyPatchCallOutput):
        return _text(_json({"status": item.status, "output": item.output}))
    if isinstance(item, inputs.ShellCallOutput) and not isinstance(item.output, str):
        return _text(_json(item.output))
    return _text(str(item.output))


def mcp_result(item: inputs.McpCall) -> str:
    """The text an MCP tool gave, or what went wrong."""
    if item.output is not None or item.error is None:
        return item.output or ""
    return item.error if isinstance(item.error, str) else _json(item.error)


def _text(text: str) -> list[ChatPart]:
    return [{"type": "text", "text": text}] if text else []


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
