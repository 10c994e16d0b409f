"""From the tools of a request to what the model is offered: chat functions with names that every back end takes."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import msgspec

from antiphon.wire.tools import CustomTool, FunctionTool, Grammar, HostedTool, NamespaceTool, Tool, read_tools

CallKind = Literal["function_call", "custom_tool_call", "served"]

#: The type of the entry of ``tools`` that searches among the others.
SEARCH = "tool_search"

MAX_NAME = 64
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")


class CallShape(msgspec.Struct, frozen=True):
    """What a call of the model becomes on the wire: its item type, and the name (and namespace) the client gave.

    A ``served`` one is ours to make; its namespace is the label of the server it is of, if it is of one.
    """

    kind: CallKind
    name: str
    namespace: str | None = None


class Served(msgspec.Struct, frozen=True):
    """A tool that we run. ``entry`` is the place in ``tools`` that brought it, ``kind`` the type there; ``definition``
    its chat function; ``tool`` whatever runs it."""

    entry: int
    kind: str
    label: str | None
    definition: dict[str, Any]
    tool: Any
    deferred: bool = False

    @property
    def shape(self) -> CallShape:
        return CallShape("served", self.definition["name"], self.label)


class Offer(msgspec.Struct, frozen=True):
    """One tool as the model sees it: ``tool`` is a chat function named ``chat_name``. ``served``: we run it.
    ``deferred``: it is shown only once it was found."""

    chat_name: str
    shape: CallShape
    tool: dict[str, Any]
    served: Served | None = None
    deferred: bool = False

    @property
    def entry(self) -> dict[str, Any]:
        """As ``tools`` would hold it alone."""
        name, namespace = self.shape.name, self.shape.namespace
        if self.served is not None:
            return {"type": self.served.kind, "server_label": namespace, "allowed_tools": [name]}
        if self.shape.kind == "custom_tool_call":
            entry = {"type": "custom", "name": name, "description": self.tool["function"]["description"]}
        else:
            entry = {"type": "function", **self.tool["function"], "name": name}
        return entry if namespace is None else {"type": "namespace", "name": namespace, "tools": [entry]}


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


def offers_of(tools: Sequence[Tool], served: Sequence[Served] = ()) -> list[Offer]:
    """Every tool once, where it stands in the request; declared again, the later definition is the one that counts."""
    wanted: dict[CallShape, FunctionTool | CustomTool | Served] = {}
    for n, tool in enumerate(tools):
        if isinstance(tool, HostedTool):
            wanted.update((one.shape, one) for one in served if one.entry == n)
        else:
            wanted.update(_definitions(tool))
    names = _chat_names(wanted)
    searched = any(one.kind == SEARCH for one in served)
    return [_offer(names[shape], shape, tool, searched=searched) for shape, tool in wanted.items()]


def _offer(chat_name: str, shape: CallShape, tool: FunctionTool | CustomTool | Served, *, searched: bool) -> Offer:
    if isinstance(tool, Served):
        function = {"type": "function", "function": {**tool.definition, "name": chat_name}}
        return Offer(chat_name, shape, function, tool, searched and tool.deferred)
    return Offer(chat_name, shape, _chat_tool(chat_name, tool), None, searched and bool(tool.defer_loading))


def _definitions(tool: Tool) -> Iterable[tuple[CallShape, FunctionTool | CustomTool]]:
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
            if group.defer_loading:
                tool.defer_loading = True
            yield CallShape(kind, tool.name, group.name), tool


def hosted(tools: Iterable[Tool], served: Collection[int] = ()) -> list[HostedTool]:
    """The tools that a server would have to run, but for the entries that this one serves."""
    found: list[HostedTool] = []
    for n, tool in enumerate(tools):
        if isinstance(tool, HostedTool):
            if n not in served:
                found.append(tool)
        elif isinstance(tool, NamespaceTool):
            found += hosted(read_tools(tool.tools, f"tools.{tool.name}.tools"))
    return found


def _chat_names(shapes: Iterable[CallShape]) -> dict[CallShape, str]:
    """A name of its own for each: exact names first, then flattened ones, a hash where two would be the same."""
    shapes = list(shapes)
    names: dict[CallShape, str] = {}
    taken: set[str] = set()
    bare = Counter(_bare(shape) for shape in shapes)
    wanted = {shape: _wanted(shape, bare) for shape in shapes}
    exact = [shape for shape in shapes if wanted[shape] == shape.name]
    for shape in exact + [shape for shape in shapes if wanted[shape] != shape.name]:
        name = wanted[shape]
        salt = 0
        while name in taken:
            key = json.dumps([shape.kind, shape.namespace, shape.name, salt])
            name, salt = _hashed(wanted[shape], key), salt + 1
        taken.add(name)
        names[shape] = name
    return names


def _bare(shape: CallShape) -> str:
    return flat_name(shape.name, None if shape.kind == "served" else shape.namespace)


def _wanted(shape: CallShape, bare: Counter[str]) -> str:
    """A tool of a server is known by its own name, and by the server's label too where another has the same name."""
    name = _bare(shape)
    return name if shape.kind != "served" or bare[name] == 1 else flat_name(shape.name, shape.namespace)


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
