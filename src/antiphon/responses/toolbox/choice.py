"""``tool_choice``: which tools the model may call, and which it must."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from antiphon.errors import InvalidRequest
from antiphon.responses.toolbox.offers import CallKind, CallShape, Offer, Served
from antiphon.wire.tools import AllowedTools, HostedTool, ToolChoice, ToolRef

_KINDS: dict[str, CallKind] = {"function": "function_call", "custom": "custom_tool_call"}


def chat_choice(
    choice: ToolChoice, offers: list[Offer], left: Sequence[HostedTool], *, explicit: bool
) -> tuple[str | dict[str, Any] | None, list[Offer]]:
    """The chat request's ``tool_choice``, and the offers that it leaves. ``left``: tools that nobody runs here."""
    if isinstance(choice, ToolRef):
        chosen = _chosen(choice, offers, left)
        if len(chosen) > 1 and chosen[0].served is not None:  # any tool of this server
            return "required", chosen
        return {"type": "function", "function": {"name": chosen[0].chat_name}}, offers
    word = choice.mode if isinstance(choice, AllowedTools) else choice
    if word == "required" and not offers:
        raise _impossible("'required' needs a tool that can be called, and none is offered to the model", left)
    return (word if explicit else None), offers


def check(
    choice: ToolChoice, offers: Sequence[Offer], left: Sequence[HostedTool], promised: Sequence[HostedTool]
) -> None:
    """Refuse what cannot be met, while it is not known yet which tools ``promised`` will bring. Raises."""
    if isinstance(choice, ToolRef):
        if not _is_hosted(choice, promised):
            _chosen(choice, offers, left)
    elif isinstance(choice, AllowedTools):
        known = tuple(ref for ref in choice.tools if not _is_hosted(ref, promised))
        allowed(AllowedTools(mode=choice.mode, tools=known), offers, left)


def allowed(choice: AllowedTools, offers: Sequence[Offer], hosted: Sequence[HostedTool]) -> list[Offer]:
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
    if kind is None:
        return [offer for offer in offers if offer.served is not None and _is_served(ref, offer.served)]
    return [
        offer
        for offer in offers
        if offer.shape.kind == kind
        and offer.shape.name == ref.name
        and (ref.namespace is None or offer.shape.namespace == ref.namespace)
    ]


def _is_served(ref: ToolRef, tool: Served) -> bool:
    if ref.server_label is not None and ref.server_label != tool.label:
        return False
    return _family(ref.type) == _family(tool.kind) and ref.name in (None, tool.definition["name"])


def _is_hosted(ref: ToolRef, hosted: Sequence[HostedTool]) -> bool:
    if ref.server_label is not None:
        return any(tool.type == ref.type and tool.raw.get("server_label") == ref.server_label for tool in hosted)
    return any(_family(tool.type) == _family(ref.type) for tool in hosted)


def _family(kind: str) -> str:
    """Dated and preview types are the same tool: ``web_search_preview_2025_03_11`` is ``web_search``."""
    return re.sub(r"(_preview|_use)*(_\d{4}_\d\d_\d\d)?$", "", kind)


def _not_found(ref: ToolRef, where: str) -> InvalidRequest:
    name = ref.name or ref.server_label or ref.type
    return InvalidRequest(
        f"'{where}': the tool '{name}' ({ref.type}) was not found in 'tools'.",
        param="tool_choice",
        code="invalid_value",
    )


def _impossible(why: str, hosted: Sequence[HostedTool]) -> InvalidRequest:
    types = ", ".join(dict.fromkeys(tool.type for tool in hosted))
    note = f" Not run here: {types}." if types else ""
    return InvalidRequest(f"Invalid 'tool_choice': {why}.{note}", param="tool_choice", code="invalid_value")
