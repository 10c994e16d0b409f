"""What the other side counted for a response, in the names of each API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from antiphon.tape.document.heard import objects
from antiphon.tape.model import HttpResponse, Usage

#: Where an API that is not like the others keeps its count, and how it names what went in and what came out.
_INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count", "total_input_tokens")
_OUTPUT = (
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "candidates_token_count",
    "total_output_tokens",
)
#: Objects that carry the count of the object they stand in.
_CARRIERS = ("response", "message", "interaction")
_COUNTS = ("usage", "usageMetadata", "usage_metadata")
#: One of these is in every object that counts.
_TOLD = (b"usage", b"eval_count")


def usage(response: HttpResponse) -> Usage | None:
    """The tokens of a response; a later count in a stream corrects an earlier one. None when nobody counted."""
    content = response.content
    if not any(word in content for word in _TOLD):
        return None
    total = {"input": 0, "output": 0}
    counted = False
    for count in (count for item in objects(response, _TOLD) for count in _counts(item)):
        for side, names in (("input", _INPUT), ("output", _OUTPUT)):
            number = next((count[name] for name in names if type(count.get(name)) is int), None)
            if number is not None:
                total[side] = number
                counted = True
    return Usage(**total) if counted else None


def _counts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for owner in (item, *(item.get(name) for name in _CARRIERS)):
        if isinstance(owner, dict):
            yield from (count for name in _COUNTS if isinstance(count := owner.get(name), dict))
    if "eval_count" in item or "prompt_eval_count" in item:
        yield {"input_tokens": item.get("prompt_eval_count"), "output_tokens": item.get("eval_count")}
