"""What a Response repeats of its request: every parameter, with the default where none was sent."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from antiphon.wire.requests import CreateResponse
from antiphon.wire.response import Response
from antiphon.wire.tools import echo_tools


def begin(request: CreateResponse, *, response_id: str, created_at: int) -> Response:
    """The Response as it begins, ``in_progress`` and empty. What was not sent has the default that it has there."""
    if _NAMES.isdisjoint(request.raw):
        return Response(id=response_id, created_at=created_at, model=request.model)
    echoed: dict[str, Any] = {}
    for name, value in request.raw.items():
        if value is not None and name in _ECHOED:
            echoed[name] = _ECHOED[name](request)
    return Response(id=response_id, created_at=created_at, model=request.model, **echoed)


def _reasoning(request: CreateResponse) -> dict[str, Any]:
    """Both keys, always; what else was sent, as it was sent."""
    sent = request.raw["reasoning"]
    summary = sent.get("summary") or sent.get("generate_summary")
    more = {key: value for key, value in sent.items() if key in ("context", "mode") and value is not None}
    return {"effort": sent.get("effort"), "summary": summary, **more}


def _text(request: CreateResponse) -> dict[str, Any]:
    text = request.text
    form: Any = {"type": "text"}
    if text is not None and text.format is not None:
        form = msgspec.to_builtins(text.format)
    echoed: dict[str, Any] = {"format": form}
    if text is not None and text.verbosity is not None:
        echoed["verbosity"] = text.verbosity
    return echoed


#: How a parameter is repeated that was sent, and was not null.
_ECHOED: dict[str, Callable[[CreateResponse], Any]] = {
    "conversation": lambda request: {"id": request.conversation_id},
    "image": lambda request: {"context_compression": "disabled"},
    "prompt_cache_options": lambda request: request.raw["prompt_cache_options"],
    "reasoning": _reasoning,
    "service_tier": lambda request: request.service_tier or "auto",
    "text": _text,
    "tool_choice": lambda request: request.raw["tool_choice"] or "auto",
    "tools": lambda request: echo_tools(request.tools),
    **{
        name: attrgetter(name)
        for name in (
            "frequency_penalty",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "parallel_tool_calls",
            "presence_penalty",
            "previous_response_id",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "store",
            "temperature",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
        )
    },
}
_NAMES = frozenset(_ECHOED)
