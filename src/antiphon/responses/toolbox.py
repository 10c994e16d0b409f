"""The tools of a request: what of them the model is offered, and whose call it is that comes back.

A chat model knows only functions with names of 1 to 64 letters, digits, ``_`` and ``-``. So a custom (freeform) tool is
offered as a function with one string, a namespace is flattened into the names, and names that do not fit are changed;
``shape_of`` undoes all of it. The mapping depends on the tools alone, so the same request offers the same names.
Tools that a server would have to run are not offered: ``unserved`` names them.

``defer_loading`` has no meaning here: what could be found later is offered at once. A namespace's description goes
before that of its first tool.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.wire.inputs import AdditionalTools, InputItem, ToolSearchOutput
from antiphon.wire.tools import (
    AllowedTools,
    CustomTool,
    FunctionTool,
    Grammar,
    HostedTool,
    NamespaceTool,
    Tool,
    ToolChoice,
    ToolRef,
    read_tool_choice,
    read_tools,
)

CallKind = Literal["function_call", "custom_tool_call"]

MAX_NAME = 64
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_KINDS: dict[str, CallKind] = {"function": "function_call", "custom": "custom_tool_call"}


class CallShape(msgspec.Struct, frozen=True):
    """What a call of the model becomes on the wire: its item type, and the name (and namespace) the client gave."""

    kind: CallKind
    name: str
    namespace: str | None = None


class Offer(msgspec.Struct, frozen=True):
    """One tool as the model sees it: ``tool`` is a chat function named ``chat_name``."""

    chat_name: str
    shape: CallShape
    tool: dict[str, Any]


class Toolbox:
    """The tools of one request. Build it with ``Toolbox.of``.

    ``unserved``: types of the tools that were sent but are not offered, each once, in order.
    """

    def __init__(
        self,
        offers: Sequence[Offer],
        unserved: Sequence[str] = (),
        choice: str | dict[str, Any] | None = None,
        parallel: bool = True,
    ) -> None:
        self.unserved = list(unserved)
        self._offers = tuple(offers)
        self._choice = choice
        self._parallel = parallel
        self._shapes = {offer.chat_name: offer.shape for offer in offers}
        self._names = {offer.shape: offer.chat_name for offer in offers}

    @classmethod
    def of(
        cls,
        tools: Sequence[dict[str, Any]] | None,
        tool_choice: str | dict[str, Any] | None = None,
        parallel: bool | None = None,
        items: Iterable[InputItem] = (),
    ) -> Toolbox:
        """The toolbox of a request; ``items`` (history and input) may add tools.

        Raises InvalidRequest: a malformed tool, or a ``tool_choice`` that cannot be met.
        """
        read = read_tools(tools) if tools else []
        for item in items:
            if isinstance(item, AdditionalTools | ToolSearchOutput):
                read += read_tools(item.tools, f"input.{item.__struct_config__.tag}.tools")
        choice = read_tool_choice(tool_choice)
        offers, hosted = _offers(read), _hosted(read)
        if isinstance(choice, AllowedTools):
            offers = _allowed(choice, offers, hosted)
        return cls(
            offers,
            unserved=list(dict.fromkeys(tool.type for tool in hosted)),
            choice=_chat_choice(choice, offers, hosted, explicit=tool_choice is not None),
            parallel=parallel is not False,
        )

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The chat functions, in the client's order."""
        return [offer.tool for offer in self._offers]

    def shape_of(self, chat_name: str) -> CallShape:
        """What a call of this name becomes. A name that was not offered is a function of that name."""
        return self._shapes.get(chat_name) or CallShape("function_call", chat_name)

    def chat_name(self, shape: CallShape) -> str:
        """The name under which the model knows this tool; for one no longer offered, the name it would have."""
        return self._names.get(shape) or flat_name(shape.name, shape.namespace)

    def fields(self, *, first_round: bool = True) -> dict[str, Any]:
        """``tools``, ``tool_choice`` and ``parallel_tool_calls`` of a chat request; nothing when no tool is offered.

        A choice that forces a call holds for the first model call of a response only; else the run could not end.
        """
        if not self._offers:
            return {}
        fields: dict[str, Any] = {"tools": self.offered, "parallel_tool_calls": self._parallel}
        if self._choice is not None and (first_round or self._choice in ("none", "auto")):
            fields["tool_choice"] = self._choice
        return fields


def flat_name(name: str, namespace: str | None = None) -> str:
    """A name of 1 to 64 allowed characters. Names that fit stay; long ones end in a hash of the whole."""
    full = name
    if namespace is not None:
        full = namespace + ("" if namespace.endswith("__") else "__") + name
    fit = _UNFIT.sub("_", full) or "_"
    return fit if len(fit) <= MAX_NAME else _hashed(fit, full)


def _hashed(fit: str, key: str) -> str:
    return f"{fit[: MAX_NAME - 9]}_{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def freeform_arguments(text: str) -> str:
    """The arguments of the function call that stands for a custom tool's call with this input."""
    return json.dumps({"input": text}, ensure_ascii=False)


# ---------------------------------------------------------------- building the offers


def _offers(tools: Iterable[Tool]) -> list[Offer]:
    """Every function and custom tool once; declared again, the later definition takes the earlier one's place."""
    wanted = dict(_definitions(tools))
    names = _chat_names(wanted)
    return [Offer(names[shape], shape, _chat_tool(names[shape], tool)) for shape, tool in wanted.items()]


def _definitions(tools: Iterable[Tool]) -> Iterable[tuple[CallShape, FunctionTool | CustomTool]]:
    for tool in tools:
        if isinstance(tool, FunctionTool):
            yield CallShape("function_call", tool.name), tool
        elif isinstance(tool, CustomTool):
            yield CallShape("custom_tool_call", tool.name), tool
        elif isinstance(tool, NamespaceTool):
            yield from _members(tool)


def _members(group: NamespaceTool) -> Iterable[tuple[CallShape, FunctionTool | CustomTool]]:
    about = group.description
    for tool in read_tools(group.tools, f"tools.{group.name}.tools"):
        if isinstance(tool, FunctionTool | CustomTool):
            kind: CallKind = "function_call" if isinstance(tool, FunctionTool) else "custom_tool_call"
            if about:
                tool.description = "\n\n".join(text for text in (about, tool.description) if text)
                about = None
            yield CallShape(kind, tool.name, group.name), tool


def _hosted(tools: Iterable[Tool]) -> list[HostedTool]:
    found: list[HostedTool] = []
    for tool in tools:
        if isinstance(tool, HostedTool):
            found.append(tool)
        elif isinstance(tool, NamespaceTool):
            found += _hosted(read_tools(tool.tools, f"tools.{tool.name}.tools"))
    return found


def _chat_names(shapes: Iterable[CallShape]) -> dict[CallShape, str]:
    """A name of its own for each: exact names first, then flattened ones, a hash where two would be the same."""
    shapes = list(shapes)
    names: dict[CallShape, str] = {}
    taken: set[str] = set()
    exact = [shape for shape in shapes if flat_name(shape.name, shape.namespace) == shape.name]
    for shape in exact + [shape for shape in shapes if shape not in exact]:
        name = flat_name(shape.name, shape.namespace)
        salt = 0
        while name in taken:
            key = json.dumps([shape.kind, shape.namespace, shape.name, salt])
            name, salt = _hashed(flat_name(shape.name, shape.namespace), key), salt + 1
        taken.add(name)
        names[shape] = name
    return names


def _chat_tool(chat_name: str, tool: FunctionTool | CustomTool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": chat_name}
    if isinstance(tool, CustomTool):
        function["description"] = _freeform_description(tool.description, tool.format)
        function["parameters"] = _freeform_parameters()
    else:
        for key in ("description", "parameters", "strict"):
            if (value := getattr(tool, key)) is not None:
                function[key] = value
    return {"type": "function", "function": function}


def _freeform_parameters() -> dict[str, Any]:
    text = {"type": "string", "description": "The tool's input as plain text."}
    return {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}


def _freeform_description(description: str | None, form: Grammar | None) -> str:
    parts = [description or "", "Put the whole input, as plain text, into `input`."]
    if form is not None and form.definition:
        kind = f"{form.syntax} grammar" if form.syntax else "grammar"
        parts.append(f"The input must match this {kind}:\n{form.definition}")
    return "\n\n".join(part for part in parts if part)


# ---------------------------------------------------------------- tool_choice


def _chat_choice(
    choice: ToolChoice, offers: Sequence[Offer], hosted: Sequence[HostedTool], *, explicit: bool
) -> str | dict[str, Any] | None:
    if isinstance(choice, ToolRef):
        chosen = _chosen(choice, offers, hosted)
        return {"type": "function", "function": {"name": chosen[0].chat_name}}
    word = choice.mode if isinstance(choice, AllowedTools) else choice
    if word == "required" and not offers:
        raise _impossible("'required' needs a tool that can be called, and none is offered to the model", hosted)
    return word if explicit else None


def _allowed(choice: AllowedTools, offers: Sequence[Offer], hosted: Sequence[HostedTool]) -> list[Offer]:
    """The offers that ``allowed_tools`` leaves; tools it names that nobody runs here are simply not offered."""
    kept: set[CallShape] = set()
    for n, ref in enumerate(choice.tools):
        matching = _matching(ref, offers)
        if not matching and not _is_hosted(ref, hosted):
            raise _not_found(ref, f"tool_choice.tools[{n}]")
        kept.update(offer.shape for offer in matching)
    return [offer for offer in offers if offer.shape in kept]


def _chosen(ref: ToolRef, offers: Sequence[Offer], hosted: Sequence[HostedTool]) -> list[Offer]:
    if matching := _matching(ref, offers):
        return matching
    if _is_hosted(ref, hosted):
        raise _impossible(f"it forces '{ref.type}', which this server does not run", hosted)
    raise _not_found(ref, "tool_choice")


def _matching(ref: ToolRef, offers: Sequence[Offer]) -> list[Offer]:
    if ref.type == "namespace":
        return [offer for offer in offers if ref.name is not None and offer.shape.namespace == ref.name]
    kind = _KINDS.get(ref.type)
    return [
        offer
        for offer in offers
        if offer.shape.kind == kind
        and offer.shape.name == ref.name
        and (ref.namespace is None or offer.shape.namespace == ref.namespace)
    ]


def _is_hosted(ref: ToolRef, hosted: Sequence[HostedTool]) -> bool:
    if ref.server_label is not None:
        return any(tool.type == ref.type and tool.raw.get("server_label") == ref.server_label for tool in hosted)
    return any(_family(tool.type) == _family(ref.type) for tool in hosted)


def _family(kind: str) -> str:
    """Dated and preview types are the same tool: ``web_search_preview_2025_03_11`` is ``web_search``."""
    return re.sub(r"(_preview|_use)*(_\d{4}_\d\d_\d\d)?$", "", kind)


def _not_found(ref: ToolRef, where: str) -> InvalidRequest:
    name = ref.name or ref.server_label or ref.type
    return (
        InvalidRequest(
            f"Tool choice '{name}' ({ref.type}) was not found in 'tools'.", param="tool_choice", code="invalid_value"
        )
        if where == "tool_choice"
        else InvalidRequest(
            f"'{where}': the tool '{name}' ({ref.type}) was not found in 'tools'.",
            param="tool_choice",
            code="invalid_value",
        )
    )


def _impossible(why: str, hosted: Sequence[HostedTool]) -> InvalidRequest:
    types = ", ".join(dict.fromkeys(tool.type for tool in hosted))
    note = f" Not run here: {types}." if types else ""
    return InvalidRequest(f"Invalid 'tool_choice': {why}.{note}", param="tool_choice", code="invalid_value")
