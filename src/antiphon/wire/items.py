"""Output items: the things a response is made of, as we emit them.

Every struct is frozen: an item that changes is a new item. Optional keys that have no value are left out, never null,
because strict clients accept absence but not null (a message's ``phase``, a reasoning item's ``content``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

ItemStatus = Literal["in_progress", "completed", "incomplete"]

#: One token's log probability: ``{token, bytes, logprob, top_logprobs: [{token, bytes, logprob}]}``.
Logprob = dict[str, Any]


class _Tagged(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Anything on the wire that says its ``type``."""


class OutputText(_Tagged, frozen=True, kw_only=True, tag="output_text"):
    """Text the model wrote."""

    text: str
    annotations: list[dict[str, Any]] = []
    logprobs: list[Logprob] = []


class Refusal(_Tagged, frozen=True, kw_only=True, tag="refusal"):
    """The model's words for declining."""

    refusal: str


class ReasoningText(_Tagged, frozen=True, kw_only=True, tag="reasoning_text"):
    """Raw reasoning."""

    text: str


class SummaryText(_Tagged, frozen=True, kw_only=True, tag="summary_text"):
    """Reasoning as it is shown to a person."""

    text: str


MessagePart = OutputText | Refusal
Part = OutputText | Refusal | ReasoningText | SummaryText


class Message(_Tagged, frozen=True, kw_only=True, tag="message"):
    """What the assistant says."""

    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[MessagePart] = []


class Reasoning(_Tagged, frozen=True, kw_only=True, tag="reasoning"):
    """What the model thought. ``encrypted_content`` is for clients that keep the state themselves."""

    id: str
    summary: list[SummaryText] = []
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET


class FunctionCall(_Tagged, frozen=True, kw_only=True, tag="function_call"):
    """A call the client is to make. ``arguments`` is JSON text, exactly as the model wrote it."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


class CustomToolCall(_Tagged, frozen=True, kw_only=True, tag="custom_tool_call"):
    """A call of a freeform tool: ``input`` is plain text."""

    id: str
    call_id: str
    name: str
    input: str
    status: ItemStatus
    namespace: str | UnsetType = UNSET


Item = Message | Reasoning | FunctionCall | CustomToolCall
