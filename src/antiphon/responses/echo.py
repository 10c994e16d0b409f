"""What a Response repeats of its request: every parameter, with the default where none was sent."""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.wire.requests import CreateResponse
from antiphon.wire.response import Response
from antiphon.wire.tools import echo_tools


def begin(request: CreateResponse, *, response_id: str, created_at: int) -> Response:
    """The Response as it begins, ``in_progress`` and empty."""
    sent = request.raw
    return Response(
        id=response_id,
        created_at=created_at,
        model=request.model,
        conversation=None if request.conversation_id is None else {"id": request.conversation_id},
        frequency_penalty=_or(request.frequency_penalty, 0.0),
        image={"context_compression": "disabled"} if request.image is not None else None,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        metadata=request.metadata or {},
        parallel_tool_calls=request.parallel_tool_calls is not False,
        presence_penalty=_or(request.presence_penalty, 0.0),
        previous_response_id=request.previous_response_id,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_options=sent.get("prompt_cache_options"),
        prompt_cache_retention=request.prompt_cache_retention,
        reasoning=_reasoning(request),
        safety_identifier=request.safety_identifier,
        store=request.store is not False,
        temperature=_or(request.temperature, 1.0),
        text=_text(request),
        tool_choice=sent.get("tool_choice") or "auto",
        tools=echo_tools(request.tools),
        top_logprobs=request.top_logprobs or 0,
        top_p=_or(request.top_p, 1.0),
        truncation=request.truncation or "disabled",
        user=request.user,
        service_tier=request.service_tier or "auto",
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _reasoning(request: CreateResponse) -> dict[str, Any]:
    """Both keys, always; what else was sent, as it was sent."""
    sent = request.raw.get("reasoning") or {}
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
