"""At which turn a run left the recorded one.

A call that misses may be the fifth of a conversation that went another way at the second, where a tool gave another
result. Which call first sent the message that differs is told from the requests that the scope made before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.tape.miss import sections
from antiphon.tape.miss.differ import Difference, Path, encode
from antiphon.tape.model import Json, Request


class Asked(msgspec.Struct, frozen=True):
    """A request that a scope made before, and the file of the recording that answered it; None when none did."""

    request: Request
    path: str | None = None


class Divergence(msgspec.Struct, frozen=True):
    """``turn`` is this call's place in its conversation, from 1; ``first`` the turn at which the run left the recorded
    one; ``what`` differed there, in words."""

    turn: int
    first: int
    what: str


def divergence(request: Request, history: Sequence[Asked], found: Sequence[Difference], asked: Json) -> Divergence:
    """Where the run of ``request`` left the recorded one, given how it differs from the nearest recording.

    ``asked`` is the body that the differences point into.
    """
    chain = _chain(request, history)
    lengths = [len(sections.messages(sections.body(one.request))) for one in chain]
    messages = sections.messages(asked)
    turn = len(chain) + 1 if chain else _answers(messages) + 1
    at = _first_message(found)
    first, what = turn, ""
    if at is not None:
        what = _describe(messages, at)
        sent = next((n for n, length in enumerate(lengths, 1) if length > at), turn)
        first = sent if chain else min(turn, _answers(messages[:at]) + 1)
    elif found:
        what = "the request itself" if found[0].path[:1] == () else found[0].pointer
    missed = next((n for n, one in enumerate(chain, 1) if one.path is None), turn)
    if missed < first:
        return Divergence(turn, missed, "that call had no recording either")
    return Divergence(turn, first, what)


def _chain(request: Request, history: Sequence[Asked]) -> list[Asked]:
    """The earlier calls of this conversation: they began as it does, and were shorter. Calls repeated are one turn."""
    mine = sections.messages(sections.body(request))
    opening = _opening(mine)
    if opening is None:
        return []
    endpoint = sections.endpoint(request)
    by_length: dict[int, Asked] = {}
    for one in history:
        theirs = sections.messages(sections.body(one.request))
        if len(theirs) < len(mine) and sections.endpoint(one.request) == endpoint and _opening(theirs) == opening:
            by_length[len(theirs)] = one
    return [by_length[length] for length in sorted(by_length)]


def _opening(messages: list[Any]) -> str | None:
    """The first thing said, instructions aside: what makes a conversation this one."""
    first = next((one for one in messages if not sections.is_system(one)), None)
    return encode(first) if first is not None else None


def _first_message(found: Sequence[Difference]) -> int | None:
    places = [place for one in found if (place := _place(one.path)) is not None]
    return min(places, default=None)


def _place(path: Path) -> int | None:
    if len(path) > 1 and path[0] in sections.CONVERSATIONS and isinstance(path[1], int):
        return path[1]
    return None


def _answers(messages: Sequence[Any]) -> int:
    """How often the model has spoken: its items that follow each other are one answer."""
    spoken = [_speaker(one) == "model" for one in messages]
    return sum(now and not before for before, now in zip([False, *spoken], spoken, strict=False))


def _speaker(message: Any) -> str:
    if not isinstance(message, dict):
        return "user"
    role, kind = message.get("role"), message.get("type")
    if role in {"assistant", "model"} or kind in {"function_call", "reasoning"}:
        return "model"
    if role in {"tool", "function"} or kind == "function_call_output" or _result_of(message):
        return "tool"
    return "system" if sections.is_system(message) else "user"


def _describe(messages: list[Any], at: int) -> str:
    """What the message at this place is, in words."""
    if at >= len(messages):
        return "the recorded conversation goes on here"
    message = messages[at]
    match _speaker(message):
        case "tool":
            name = _tool_name(messages[:at], _call_id(message))
            return f"the result of tool {name}" if name else "the result of a tool"
        case "model":
            return "the model's answer"
        case "system":
            return "the instructions"
    return "what the user says"


def _call_id(message: dict[str, Any]) -> Any:
    return message.get("tool_call_id") or message.get("call_id") or _result_of(message)


def _result_of(message: dict[str, Any]) -> Any:
    """The id of the call that a message answers with a block of its content."""
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "tool_result":
            return block.get("tool_use_id")
    return None


def _tool_name(earlier: list[Any], call_id: Any) -> str:
    """The name of the tool whose call has this id; the last one that has it, for some count from zero each time."""
    for message in reversed(earlier):
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        calls = [message, *(message.get("tool_calls") or ()), *(content if isinstance(content, list) else ())]
        for call in calls:
            if isinstance(call, dict) and call_id is not None and call_id in (call.get("id"), call.get("call_id")):
                function = call.get("function")
                name = call.get("name") or (function.get("name") if isinstance(function, dict) else None)
                if isinstance(name, str):
                    return name
    return ""
