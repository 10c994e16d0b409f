"""What the fields of a request are for: which hold the conversation, which the tools, and so on.

Bodies of all the dialects that models are asked in are told apart by these tables alone.
"""

from __future__ import annotations

from typing import Any, Literal

from antiphon.tape import canon
from antiphon.tape.model import BinaryBody, FormBody, HttpRequest, Json, JsonBody, Request, TextBody

Section = Literal["prompt", "system", "tools", "params", "arguments"]

#: Fields of a body that hold a conversation, or the one text that is asked about.
CONVERSATIONS = ("messages", "input", "contents")
_PROMPTS = frozenset({*CONVERSATIONS, "prompt", "query", "documents", "text", "suffix", "previous_response_id"})
_SYSTEM = frozenset({"system", "instructions", "systemInstruction", "system_instruction"})
_TOOLS = frozenset({"tools", "functions", "mcp_servers"})
_SYSTEM_ROLES = frozenset({"system", "developer"})

#: Where the body stands in the canonical form of an HTTP request.
BODY = "body"


def endpoint(request: Request) -> str:
    """What is called, whatever base path it has; provider and tool, for a tool."""
    if isinstance(request, HttpRequest):
        return f"{request.method} {canon.endpoint(request.path)}"
    return f"{request.provider}/{request.tool}"


def model(request: Request) -> str:
    """The model that is asked, or nothing."""
    value = body(request).get("model") if isinstance(body(request), dict) else None
    return value if isinstance(value, str) else ""


def body(request: Request) -> Any:
    """The JSON of a body, or the arguments of a tool; a form as the mapping of its fields; None without any."""
    if not isinstance(request, HttpRequest):
        return request.arguments
    match request.body:
        case JsonBody(value):
            return value
        case TextBody(text, _):
            return text
        case BinaryBody():
            return _binary(request.body)
        case FormBody(parts):
            return {f"{n}:{part.name}": _part(part.body, part.filename) for n, part in enumerate(parts)}
    return None


def messages(value: Json) -> list[Any]:
    """The conversation in a body: its messages, or its one text."""
    if not isinstance(value, dict):
        return []
    for name in CONVERSATIONS:
        found = value.get(name)
        if isinstance(found, list):
            return found
        if isinstance(found, str):
            return [found]
    prompt = value.get("prompt")
    return prompt if isinstance(prompt, list) else [prompt] if prompt is not None else []


def is_system(message: Json) -> bool:
    """Whether it is a message that instructs the model."""
    return isinstance(message, dict) and message.get("role") in _SYSTEM_ROLES


def system(value: Json) -> list[Any]:
    """All that instructs the model: the fields for it, and the messages."""
    if not isinstance(value, dict):
        return []
    return [value[name] for name in sorted(_SYSTEM & value.keys())] + [m for m in messages(value) if is_system(m)]


def tools(value: Json) -> list[Any]:
    """The tools that the model may call."""
    found = [value[name] for name in sorted(_TOOLS & value.keys())] if isinstance(value, dict) else []
    return [one for tools in found for one in (tools if isinstance(tools, list) else [tools])]


def params(value: Json) -> dict[str, Any]:
    """The rest, without the model."""
    if not isinstance(value, dict):
        return {}
    taken = _PROMPTS | _SYSTEM | _TOOLS | {"model"}
    return {key: one for key, one in value.items() if key not in taken}


def section(path: tuple[str | int, ...], *bodies: Json) -> Section:
    """What a difference at this path of a body is about; ``bodies`` are those that differ."""
    if not path:
        return "prompt"
    name = path[0]
    if name in CONVERSATIONS and len(path) > 1 and isinstance(path[1], int):
        at = path[1]
        found = [
            message for each in bodies if at < len(message_list := messages(each)) for message in [message_list[at]]
        ]
        return "system" if found and all(map(is_system, found)) else "prompt"
    if name in _PROMPTS:
        return "prompt"
    if name in _SYSTEM:
        return "system"
    return "tools" if name in _TOOLS else "params"


def _binary(of: BinaryBody) -> dict[str, Json]:
    return {"sha256": of.sha256, "size": of.size}


def _part(of: TextBody | BinaryBody, filename: str | None) -> Json:
    value: Json = of.text if isinstance(of, TextBody) else _binary(of)
    return value if filename is None else {"filename": filename, "content": value}
