"""What the model was shown of calls that we made: function calls and their results, stored beside the items.

An item of a tool of ours says for people what was done; the model spoke in function calls, and must find its own words
again in the next round and the next request. ``unfold`` puts them back in the place of the items. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

ItemDict = dict[str, Any]


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call: ``name`` and ``arguments`` as the model wrote them, ``output`` as it was given them.

    ``step`` numbers the model's answers: calls of one answer are shown together. ``output`` is text, or parts of an
    input item, or None while the call waits for an approval. ``sources`` are what it may cite from here on.
    """

    step: int
    id: str
    name: str
    arguments: str
    output: str | list[ItemDict] | None = None
    sources: dict[str, ItemDict] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Seen])


def encode(seen: Sequence[Seen]) -> bytes | None:
    """As it is stored; None for nothing."""
    return _encoder.encode(seen) if seen else None


def decode(data: bytes | None) -> list[Seen]:
    """The reverse."""
    return _decoder.decode(data) if data else []


def output_of(content: str | Sequence[Mapping[str, Any]]) -> str | list[ItemDict]:
    """A tool message's content as the output of a function call."""
    return content if isinstance(content, str) else [_input_part(part) for part in content]


def unfold(items: Iterable[tuple[ItemDict, Sequence[Seen]]]) -> list[ItemDict]:
    """The items with what the model was shown of our calls: first the calls of one answer, then their results."""
    folded = _Unfolding()
    for item, seen in items:
        folded.take(item, seen)
    folded.answer()
    return folded.items


def approval_requests(*lists: Sequence[ItemDict]) -> dict[Any, ItemDict]:
    """The calls that waited for an approval, by the id of the item."""
    return {item.get("id"): item for items in lists for item in items if item.get("type") == "mcp_approval_request"}


def refusals(items: Sequence[ItemDict], earlier: Sequence[ItemDict] = ()) -> list[ItemDict]:
    """The items, and after each approval that was refused the call that it was about, answered so."""
    if not any(map(_refuses, items)):
        return list(items)
    asked = approval_requests(earlier, items)
    told: list[ItemDict] = []
    for item in items:
        told.append(item)
        if _refuses(item):
            request = asked.get(item.get("approval_request_id"))
            if request is not None:
                told += _refused(request, item.get("reason"))
    return told


def _refuses(item: ItemDict) -> bool:
    return item.get("type") == "mcp_approval_response" and not item.get("approve")


class _Unfolding:
    def __init__(self) -> None:
        self.items: list[ItemDict] = []
        self._results: list[ItemDict] = []
        self._step: int | None = None

    def take(self, item: ItemDict, seen: Sequence[Seen]) -> None:
        kind = item.get("type")
        if not seen:
            if kind not in ("function_call", "custom_tool_call"):  # these belong to the same answer
                self.answer()
            self.items.append(item)
            return
        if kind == "mcp_approval_request":
            self.items.append({**item, "call_id": seen[0].id})
        elif kind != "mcp_call":  # that one would be shown twice
            self.items.append(item)
        for one in seen:
            if one.output is not None:
                self._call(one, one.output)

    def answer(self) -> None:
        """The results of the calls so far."""
        self.items += self._results
        self._results = []
        self._step = None

    def _call(self, one: Seen, output: str | list[ItemDict]) -> None:
        if self._step != one.step:
            self.answer()
            self._step = one.step
        self.items.append(_called(one.id, one.name, one.arguments))
        self._results.append(_result(one.id, output))


def _called(call_id: str, name: str, arguments: str) -> ItemDict:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _result(call_id: str, output: str | list[ItemDict]) -> ItemDict:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _refused(request: ItemDict, reason: object) -> list[ItemDict]:
    call_id = request.get("call_id") or request["id"]
    said = "The user did not approve this call." + (f" Reason: {reason}" if reason else "")
    return [_called(call_id, request["name"], request["arguments"]), _result(call_id, said)]


def _input_part(part: Mapping[str, Any]) -> ItemDict:
    if part.get("type") == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"]}
    return {"type": "input_text", "text": part.get("text", "")}
