"""What becomes of each request parameter: one table.

Parsing refuses by it (``refuse_unsupported``), the prompt forwards by it (``FORWARDED``), and ``docs/parameters.md`` is
printed from it (``python -m antiphon.wire.parameters > docs/parameters.md``).

- *honour*: this server does what the parameter asks.
- *forward*: it goes to the model, under the name given.
- *echo*: the Response repeats it, as sent or as its effective value.
- *refuse*: a 400 ``unsupported_parameter`` that names it, rather than an answer that ignored it.
- *ignore*: accepted because clients send it and no answer depends on it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from antiphon.errors import UnsupportedParameter

How = Literal["honour", "forward", "echo", "refuse", "ignore"]


class Parameter(msgspec.Struct, frozen=True):
    """One row: ``chat`` is the name under which it reaches the model; ``says`` is for people."""

    name: str
    how: tuple[How, ...]
    says: str
    chat: str | None = None


def _row(name: str, how: str, says: str, chat: str | None = None) -> Parameter:
    return Parameter(name, tuple(how.split()), says, chat)  # type: ignore[arg-type]


PARAMETERS: tuple[Parameter, ...] = (
    _row("access_programs", "ignore", "Tiers of one vendor's own programme; the Response carries null."),
    _row("background", "echo refuse", "`false` and null are accepted; `true` is refused until background runs come."),
    _row("context_management", "refuse", "Null and an empty list are accepted; entries are refused."),
    _row(
        "conversation",
        "honour echo",
        "An id, or an object with one. Its items come before the input; input and output are appended to it when the "
        "response completes. Not together with `previous_response_id`.",
    ),
    _row(
        "frequency_penalty",
        "forward echo",
        "-2 to 2; sent only when given, echoed as 0 otherwise.",
        "frequency_penalty",
    ),
    _row(
        "image",
        "echo refuse",
        "Images go to the model as they are: `context_compression` may be `auto` or `disabled`; `enabled` is refused.",
    ),
    _row(
        "include",
        "honour forward",
        "`message.output_text.logprobs` asks the model for log probabilities, `reasoning.encrypted_content` for sealed "
        "reasoning; the others name parts that are shown when they exist.",
        "logprobs",
    ),
    _row("input", "honour forward", "A string or a list of items; see the items' own table.", "messages"),
    _row(
        "instructions",
        "honour forward echo",
        "The first system message of this response; not inherited through `previous_response_id`.",
        "messages",
    ),
    _row(
        "max_output_tokens",
        "honour forward echo",
        "At least 16. Covers the whole response, reasoning and further rounds included; reaching it ends the response "
        "as `incomplete`. Some back ends know it as `max_tokens` (a setting).",
        "max_completion_tokens",
    ),
    _row(
        "max_tool_calls",
        "honour echo",
        "At least 1. Counts calls that this server runs; client functions are not counted.",
    ),
    _row(
        "metadata",
        "honour echo",
        "Up to 16 pairs, keys up to 64 and values up to 512 characters; stored, never forwarded.",
    ),
    _row("model", "honour forward echo", "Chooses the upstream; a prefix that names one is taken off.", "model"),
    _row("moderation", "refuse", "Null is accepted; anything else is refused: no moderation model is served."),
    _row(
        "parallel_tool_calls",
        "forward echo",
        "Sent whenever tools are; `true` unless given.",
        "parallel_tool_calls",
    ),
    _row(
        "presence_penalty", "forward echo", "-2 to 2; sent only when given, echoed as 0 otherwise.", "presence_penalty"
    ),
    _row(
        "previous_response_id",
        "honour echo",
        "The stored response's own chain, input and output, comes before the input.",
    ),
    _row("prompt", "refuse", "Null is accepted; stored prompt templates are refused until they come."),
    _row("prompt_cache_key", "forward echo", "A hint to the back end's cache.", "prompt_cache_key"),
    _row(
        "prompt_cache_options",
        "echo refuse",
        "Caching is the back end's own; breakpoints are not forwarded. `prewarm: true` is refused: it asks for a call "
        "without an answer.",
    ),
    _row("prompt_cache_retention", "forward echo", "A hint to the back end's cache.", "prompt_cache_retention"),
    _row(
        "reasoning",
        "honour forward echo refuse",
        "`effort` is forwarded; `context` says which earlier reasoning the model sees again; `summary` is echoed, and "
        "summaries come only where the model writes them; a `mode` other than `standard` is refused.",
        "reasoning_effort",
    ),
    _row("safety_identifier", "forward echo", "Up to 128 characters.", "safety_identifier"),
    _row(
        "service_tier",
        "forward echo",
        "Sent only when the client sends it; the Response shows what the back end used.",
        "service_tier",
    ),
    _row("store", "honour echo", "`true` unless given; `false` writes nothing. Never forwarded."),
    _row("stream", "honour", "Server-sent events; the model is always read as a stream."),
    _row("stream_options", "ignore", "`include_obfuscation` is accepted; padding is never sent."),
    _row("temperature", "forward echo", "0 to 2; sent only when given, echoed as 1 otherwise.", "temperature"),
    _row(
        "text",
        "honour forward echo",
        "`format` becomes `response_format`, `verbosity` keeps its name. `format: text` sends nothing. Where a back "
        "end does not hold itself to a schema, this server checks and asks once more.",
        "response_format",
    ),
    _row(
        "tool_choice",
        "honour forward echo",
        "All forms. `allowed_tools` narrows the tools that are offered; forcing a tool that nobody here can run is "
        "refused.",
        "tool_choice",
    ),
    _row(
        "tools",
        "honour forward echo",
        "Functions, custom tools and namespaces are offered to the model; others are echoed and named in the header "
        "`antiphon-unserved-tools`.",
        "tools",
    ),
    _row("top_logprobs", "forward echo", "0 to 20.", "top_logprobs"),
    _row("top_p", "forward echo", "0 to 1; sent only when given, echoed as 1 otherwise.", "top_p"),
    _row(
        "truncation",
        "honour echo",
        "`disabled` (default): too much context is a 400 `context_length_exceeded`; `auto` drops the oldest turns.",
    ),
    _row("user", "forward echo", "The older name of `safety_identifier` and `prompt_cache_key`.", "user"),
    _row("multi_agent", "refuse", "Hosted multi-agent runs; refused when `enabled`."),
    _row("personality", "ignore", "Known on `input_tokens` only: a style of one vendor's models; not counted."),
)

#: Parameters that go to the model under one name with the value unchanged.
FORWARDED: tuple[tuple[str, str], ...] = tuple(
    (row.name, row.name)
    for row in PARAMETERS
    if row.chat == row.name and row.how == ("forward", "echo") and row.name != "parallel_tool_calls"
)


class Refusal(msgspec.Struct, frozen=True):
    """When the value of the top-level parameter ``name`` makes us refuse: ``param`` of the error, and why."""

    name: str
    param: str
    when: Callable[[Any], bool]
    says: str


def _inner(key: str, *refused: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and value.get(key) in refused


def _special_mode(value: Any) -> bool:
    return isinstance(value, dict) and value.get("mode") not in (None, "standard")


REFUSALS: tuple[Refusal, ...] = (
    Refusal("background", "background", bool, "background runs are not available"),
    Refusal(
        "prompt",
        "prompt",
        lambda value: True,
        "stored prompt templates are not available; send the text as 'instructions'",
    ),
    Refusal("moderation", "moderation", lambda value: True, "no moderation model is served"),
    Refusal("context_management", "context_management", bool, "automatic compaction is not available"),
    Refusal(
        "image", "image.context_compression", _inner("context_compression", "enabled"), "images are never compressed"
    ),
    Refusal(
        "prompt_cache_options", "prompt_cache_options.prewarm", _inner("prewarm", True), "there is no cache to warm"
    ),
    Refusal("reasoning", "reasoning.mode", _special_mode, "only the mode 'standard' is available"),
    Refusal("multi_agent", "multi_agent", _inner("enabled", True), "hosted multi-agent runs are not available"),
)
#: What may be refused; a request without any of these is not.
REFUSABLE = frozenset(refusal.name for refusal in REFUSALS)


def refuse_unsupported(tree: dict[str, Any]) -> None:
    """Raise UnsupportedParameter for the first thing asked of us that we cannot do."""
    for refusal in REFUSALS:
        value = tree.get(refusal.name)
        if value is not None and refusal.when(value):
            raise UnsupportedParameter(
                f"Unsupported parameter: '{refusal.param}': {refusal.says}.", param=refusal.param
            )


def as_markdown() -> str:
    """``docs/parameters.md``."""
    lines = [
        "# Request parameters",
        "",
        "What this server does with each parameter of `POST /v1/responses`. Printed from the table in",
        "`src/antiphon/wire/parameters.py` by `python -m antiphon.wire.parameters`; do not edit by hand.",
        "",
        "*honour*: done here. *forward*: goes to the model. *echo*: repeated in the Response. *refuse*: a 400",
        "`unsupported_parameter` naming it. *ignore*: accepted, and no answer depends on it. Null means absent.",
        "Fields outside this table are accepted and not forwarded, unless the upstream has `forward_unknown` set.",
        "",
        "| parameter | treatment | to the model as | notes |",
        "| --- | --- | --- | --- |",
    ]
    for row in sorted(PARAMETERS, key=lambda row: row.name):
        chat = f"`{row.chat}`" if row.chat else ""
        lines.append(f"| `{row.name}` | {', '.join(row.how)} | {chat} | {row.says} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
