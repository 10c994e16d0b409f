"""Tables of the endpoints: what may be left out of a request without changing it, and where ids only correspond.

Chat completions have their own module. An endpoint that is not listed here keeps all it was sent but nulls at the top.
"""

from __future__ import annotations

import re
from typing import Any

from antiphon.tape.canon.values import Defaults, spare

_RESPONSES: Defaults = {
    "background": (False,),
    "include": ([],),
    "metadata": ({},),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "store": (True,),
    "stream": (False,),
    "temperature": (1,),
    "text": ({}, {"format": {"type": "text"}}),
    "tool_choice": ("auto",),
    "tools": ([],),
    "top_logprobs": (0,),
    "top_p": (1,),
    "truncation": ("disabled",),
}
_COMPLETIONS: Defaults = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "max_tokens": (16,),
    "n": (1,),
    "presence_penalty": (0,),
    "stop": ([],),
    "stream": (False,),
    "temperature": (1,),
    "top_p": (1,),
}
_EMBEDDINGS: Defaults = {"encoding_format": ("float",)}
_MESSAGES: Defaults = {
    "metadata": ({},),
    "stop_sequences": ([],),
    "stream": (False,),
    "system": ("", []),
    "temperature": (1,),
    "tool_choice": ({"type": "auto"},),
    "tools": ([],),
}
_ITEM: Defaults = {"type": ("message",), "status": ("completed",)}
_PART: Defaults = {"annotations": ([],), "logprobs": ([],)}
_BLOCK: Defaults = {"is_error": (False,)}

#: Endpoints where an id names what is asked for, and does not merely correspond to another.
_NAMED = frozenset({"batches", "containers", "embeddings", "files", "rerank", "uploads", "vector_stores"})
_DEPLOYMENT = re.compile(r"/deployments/[^/]+(?=/)")


def is_chat(path: str, value: Any) -> bool:
    """Whether this is a request for chat completions."""
    return path.endswith("/chat/completions") and isinstance(value, dict)


def renames_ids(path: str) -> bool:
    """Whether ids in a body sent here only need to correspond."""
    return "embed" not in path.lower() and not _NAMED.intersection(path.split("/"))


def plain(path: str, value: Any) -> Any:
    """A body, its numbers folded, without what says nothing at this endpoint."""
    if not isinstance(value, dict):
        return value
    match _DEPLOYMENT.sub("", path, count=1):
        case "/responses" | "/responses/compact" | "/responses/input_tokens":
            return _response(value)
        case "/completions":
            return spare({key: one for key, one in value.items() if key != "stream_options"}, _COMPLETIONS)
        case "/embeddings":
            return spare(value, _EMBEDDINGS)
        case "/messages" | "/messages/count_tokens":
            return _message(value)
        case _:
            return spare(value, {})


def _response(value: dict[str, Any]) -> dict[str, Any]:
    fields = spare({key: one for key, one in value.items() if key != "stream_options"}, _RESPONSES)
    said = fields.get("input")
    if isinstance(said, str):
        fields["input"] = [{"role": "user", "content": said}]
    elif isinstance(said, list):
        fields["input"] = [_item(one) if isinstance(one, dict) else one for one in said]
    return fields


def _item(item: dict[str, Any]) -> dict[str, Any]:
    fields = spare(item, _ITEM)
    if isinstance(content := fields.get("content"), list):
        fields["content"] = _one_text([spare(p, _PART) if isinstance(p, dict) else p for p in content], "input_text")
    return fields


def _message(value: dict[str, Any]) -> dict[str, Any]:
    fields = spare(value, {})
    if isinstance(system := fields.get("system"), list):
        fields["system"] = _one_text(system, "text")
    if isinstance(turns := fields.get("messages"), list):
        fields["messages"] = [_turn(one) if isinstance(one, dict) else one for one in turns]
    return spare(fields, _MESSAGES)


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    fields = spare(turn, {})
    if isinstance(content := fields.get("content"), list):
        fields["content"] = _one_text([_block(one) if isinstance(one, dict) else one for one in content], "text")
    return fields


def _block(block: dict[str, Any]) -> dict[str, Any]:
    fields = spare(block, _BLOCK)
    if isinstance(content := fields.get("content"), list):
        fields["content"] = _one_text([spare(p, {}) if isinstance(p, dict) else p for p in content], "text")
    return fields


def _one_text(parts: list[Any], kind: str) -> Any:
    """The text that is all there is, else the parts."""
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        text = parts[0]["text"]
        return text if parts[0]["type"] == kind and isinstance(text, str) else parts
    return parts
