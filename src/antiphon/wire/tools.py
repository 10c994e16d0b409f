"""Tools and ``tool_choice`` as clients send them, and as the Response repeats them.

Only functions, custom (freeform) tools and namespaces have a struct that checks them: those reach the model. Every
other type, known or not, is accepted as sent, because clients list tools that no server of theirs runs. Secrets of MCP
tools never leave through an echo.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.wire.reading import convert, describe, join


class FunctionTool(msgspec.Struct, kw_only=True):
    """A function the client runs. ``parameters`` is a JSON schema. ``defer_loading``: shown once a search found it."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None


class Grammar(msgspec.Struct, kw_only=True):
    """What the text of a custom tool's call must look like: ``text``, or a ``grammar`` in lark or regex."""

    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class CustomTool(msgspec.Struct, kw_only=True):
    """A tool whose input is free text."""

    name: str
    description: str | None = None
    format: Grammar | None = None
    defer_loading: bool | None = None


class NamespaceTool(msgspec.Struct, kw_only=True):
    """A named group of function and custom tools."""

    name: str
    tools: list[dict[str, Any]]
    description: str | None = None
    defer_loading: bool | None = None


class HostedTool(msgspec.Struct, kw_only=True):
    """A tool that a server would run, or a type that nobody knows: kept as sent."""

    type: str
    raw: dict[str, Any]


Tool = FunctionTool | CustomTool | NamespaceTool | HostedTool

_STRUCTS: dict[str, type[FunctionTool | CustomTool | NamespaceTool]] = {
    "function": FunctionTool,
    "custom": CustomTool,
    "namespace": NamespaceTool,
}


def read_tools(tools: Sequence[Any], where: str = "tools") -> list[Tool]:
    """The typed view. Raises InvalidRequest with the path of what is wrong."""
    return [_read(tool, f"{where}[{n}]") for n, tool in enumerate(tools)]


def _read(tool: Any, path: str) -> Tool:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        param = join(path, "type") if isinstance(tool, dict) else path
        got = describe(kind if isinstance(tool, dict) else tool)
        wanted = "a string naming the tool's type" if isinstance(tool, dict) else "object"
        raise InvalidRequest(
            f"Invalid value for '{param}': expected {wanted}, got {got}.", param=param, code="invalid_type"
        )
    struct = _STRUCTS.get(kind)
    if struct is None:
        return HostedTool(type=kind, raw=tool)
    read: FunctionTool | CustomTool | NamespaceTool = convert(_unnested(tool), struct, path)
    if not read.name:
        raise InvalidRequest(
            f"Invalid value for '{path}.name': it is empty.", param=f"{path}.name", code="invalid_value"
        )
    return read


def _unnested(tool: dict[str, Any]) -> dict[str, Any]:
    """Chat Completions' own shape, with the definition under ``function``, is understood too."""
    inner = tool.get("function")
    return inner if "name" not in tool and isinstance(inner, dict) else tool


class ToolRef(msgspec.Struct, frozen=True, kw_only=True):
    """A tool named in ``tool_choice``: of any type, by whatever identifies it."""

    type: str
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None


class AllowedTools(msgspec.Struct, frozen=True, kw_only=True):
    """Only these tools, and the model may (``auto``) or must (``required``) call one."""

    mode: Literal["auto", "required"]
    tools: tuple[ToolRef, ...]


ToolChoice = Literal["none", "auto", "required"] | ToolRef | AllowedTools


_WORDS: dict[str, Literal["none", "auto", "required"]] = {"none": "none", "auto": "auto", "required": "required"}


def read_tool_choice(choice: str | dict[str, Any] | None, where: str = "tool_choice") -> ToolChoice:
    """The typed view; null and absent are ``auto``. Raises InvalidRequest."""
    if choice is None:
        return "auto"
    if not isinstance(choice, dict):
        # Not msgspec: it would prepare the bare Literal anew at every use.
        if word := _WORDS.get(choice):
            return word
        raise InvalidRequest(
            f"Invalid value for '{where}': expected 'none', 'auto', 'required' or an object, got {describe(choice)}.",
            param=where,
            code="invalid_value",
        )
    if choice.get("type") == "allowed_tools":
        inner = choice.get("allowed_tools")
        allowed: AllowedTools = convert(inner if isinstance(inner, dict) else choice, AllowedTools, where)
        return allowed
    inner = choice.get("function")
    named = {**choice, **inner} if isinstance(inner, dict) else choice
    ref: ToolRef = convert(named, ToolRef, where)
    if ref.type in ("function", "custom") and not ref.name:
        raise InvalidRequest(
            f"Missing required parameter: '{where}.name'.", param=f"{where}.name", code="missing_required_parameter"
        )
    return ref


#: Keys of an MCP tool that hold or may hold credentials.
_SECRET = frozenset({"authorization", "headers"})


def without_secrets(tools: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tools as they may be stored and shown: MCP credentials taken out, all else as sent."""
    return [_public(tool) for tool in tools]


def echo_tools(tools: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """``tools`` as the Response repeats them; functions carry all the keys that strict clients look for."""
    return [_echo(tool) for tool in without_secrets(tools or ())]


def _public(tool: dict[str, Any]) -> dict[str, Any]:
    if isinstance(inner := tool.get("tools"), list):
        tool = {**tool, "tools": [_public(one) if isinstance(one, dict) else one for one in inner]}
    if tool.get("type") != "mcp":
        return tool
    public = {key: value for key, value in tool.items() if key not in _SECRET}
    if isinstance(url := public.get("server_url"), str):
        public["server_url"] = _without_login(url)
    return public


def _without_login(url: str) -> str:
    """A URL without the ``user:password@`` and the query, both of which carry tokens in practice."""
    url = url.partition("?")[0]
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + mark + host.rpartition("@")[2] + slash + path


def _echo(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    flat = {"type": "function", **_unnested(tool)}
    return {
        **flat,
        "description": flat.get("description"),
        "parameters": flat.get("parameters"),
        "strict": flat.get("strict"),
    }
