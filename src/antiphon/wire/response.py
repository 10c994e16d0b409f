"""The Response object, with every key of OpenAI's and of Open Responses' on it, always.

Keys that cannot change while a response runs come first and those that can come last, so that all snapshots of one
response share a long beginning (``wire/segments`` keeps it once).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from antiphon.wire.items import Item

Status = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]
IncompleteReason = Literal["max_output_tokens", "content_filter"]


class InputTokensDetails(msgspec.Struct, frozen=True):
    """Of the input tokens: read from, and written to, the back end's prompt cache."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True):
    """Of the output tokens: spent on reasoning."""

    reasoning_tokens: int = 0


class Usage(msgspec.Struct, frozen=True):
    """Tokens of all model calls of one response; zeros where the back end did not count."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together: the usage of two model calls."""
        mine, yours = self.input_tokens_details, other.input_tokens_details
        reasoning = self.output_tokens_details.reasoning_tokens + other.output_tokens_details.reasoning_tokens
        return Usage(
            self.input_tokens + other.input_tokens,
            InputTokensDetails(
                mine.cached_tokens + yours.cached_tokens, mine.cache_write_tokens + yours.cache_write_tokens
            ),
            self.output_tokens + other.output_tokens,
            OutputTokensDetails(reasoning),
            self.total_tokens + other.total_tokens,
        )


#: What no answer has used.
NO_USAGE = Usage()


class ResponseError(msgspec.Struct, frozen=True):
    """Why a response failed. ``code`` is one of OpenAI's list; strict clients need ``type`` to be a string too."""

    code: str
    message: str
    type: str = "server_error"
    param: str | None = None


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why a response stopped early."""

    reason: IncompleteReason


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One response: what was asked (echoed), what came of it, and how it stands."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    model: str
    access_programs: None = None
    background: bool = False
    conversation: dict[str, Any] | None = None
    frequency_penalty: float = 0.0
    image: dict[str, Any] | None = None
    instructions: str | list[Any] | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] = {}
    moderation: None = None
    parallel_tool_calls: bool = True
    presence_penalty: float = 0.0
    previous_response_id: str | None = None
    prompt: dict[str, Any] | None = None
    prompt_cache_diagnostics: None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning: dict[str, Any] = msgspec.field(default_factory={"effort": None, "summary": None}.copy)
    safety_identifier: str | None = None
    store: bool = True
    temperature: float = 1.0
    text: dict[str, Any] = msgspec.field(default_factory={"format": {"type": "text"}}.copy)
    tool_choice: str | dict[str, Any] = "auto"
    tools: list[Any] = []
    tool_usage: None = None
    top_logprobs: int = 0
    top_p: float = 1.0
    truncation: Literal["auto", "disabled"] = "disabled"
    user: str | None = None
    # From here on: what changes while the response runs.
    status: Status = "in_progress"
    service_tier: str = "auto"
    completed_at: int | None = None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    input_transformations: list[dict[str, Any]] | None = None
    usage: Usage | None = None
    output: list[Item] = []
