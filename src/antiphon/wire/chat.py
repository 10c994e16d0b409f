"""Chat Completions as a back end streams it: what we parse of a chunk, and nothing more.

These structs describe the *one* dialect that ``responses/turn`` reads. ``upstream/quirks`` brings every back end's own
into it. Unknown fields are ignored; absent and null are the same thing here. A few fields are not of the dialect: they
are named so that the quirks need not search the text for what else a chunk may say. They are trees, in which the
collector of cycles has nothing to look for.
"""

from __future__ import annotations

from typing import Any

import msgspec

#: A chat request as it goes upstream: the JSON body of ``POST /chat/completions``.
ChatRequest = dict[str, Any]


class FunctionDelta(msgspec.Struct, gc=False):
    """The growing call: a name, once, and arguments in pieces."""

    name: str | None = None
    arguments: str | None = None
    # Not of the dialect: other back ends' name for arguments.
    parameters: Any = None


class ToolCallDelta(msgspec.Struct, gc=False):
    """A piece of one tool call; ``index`` says of which, as far as the back end can be trusted."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class ChunkLogprobs(msgspec.Struct, gc=False):
    """Per-token log probabilities of this chunk, in Chat Completions' own shape."""

    content: list[dict[str, Any]] | None = None
    refusal: list[dict[str, Any]] | None = None


class Delta(msgspec.Struct, gc=False):
    """What this chunk adds to the message."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    # Not of the dialect: other back ends' names for reasoning, and the form of a call before tools.
    thinking: Any = None
    thinking_content: Any = None
    reasoning_text: Any = None
    thought: Any = None
    function_call: Any = None


class Choice(msgspec.Struct, gc=False):
    """One alternative; we ask for one and read the first."""

    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: ChunkLogprobs | None = None
    index: int = 0
    # Not of the dialect: a whole answer instead of a piece, and a completion from before chat.
    message: Any = None
    text: Any = None


class PromptDetails(msgspec.Struct, gc=False):
    """Details of ``usage.prompt_tokens``."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """Details of ``usage.completion_tokens``."""

    reasoning_tokens: int | None = None


class ChatUsage(msgspec.Struct, gc=False):
    """Tokens, as the back end counts them. A back end that repeats it sends running totals: the last one counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class ChatChunk(msgspec.Struct, gc=False):
    """One ``data:`` of the stream. ``error`` is what some back ends send instead of breaking off."""

    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    service_tier: str | None = None
    error: Any = None


def only_text(chunk: ChatChunk) -> str | None:
    """The text of a chunk that says nothing else but its service tier, as nearly all do; None (or "") for any other."""
    choices = chunk.choices
    if not choices or len(choices) != 1 or chunk.usage is not None or chunk.error is not None:
        return None
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.finish_reason is not None or choice.index or delta.tool_calls or delta.refusal:
        return None
    return None if delta.reasoning_content or delta.reasoning else delta.content


def text_chunk(text: str) -> ChatChunk:
    """The chunk that says this text and nothing else."""
    return ChatChunk(choices=[Choice(delta=Delta(content=text))])
