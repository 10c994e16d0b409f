"""Every back end's own way of streaming chat, brought into the one dialect of ``wire/chat``. Pure; facts are tables.

``settle`` is what the stream calls for each chunk: it costs a few comparisons when there is nothing to do, which is
nearly always. ``normalise`` is the slow way, on plain decoded JSON; it is idempotent. Missing, null or repeated tool
call indexes are left as they are: only the Turn, which sees the whole stream, can tell the calls apart.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from antiphon.wire.chat import ChatChunk, Choice, ToolCallDelta

#: Finish reasons of other tongues, in Chat Completions' own words.
FINISH_REASONS = {
    "": None,
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "done": "stop",
    "STOP": "stop",
    "null": None,
    "max_tokens": "length",
    "model_length": "length",
    "MAX_TOKENS": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "safety": "content_filter",
    "SAFETY": "content_filter",
    "sensitive": "content_filter",
}

#: Fields of a delta that hold reasoning, beside the two of the dialect.
REASONING_FIELDS = ("thinking", "thinking_content", "reasoning_text", "thought")

#: Content parts that are reasoning, and the field with their text (a string, or again a list of parts).
REASONING_PARTS = {"thinking": "thinking", "reasoning": "text", "reasoning_text": "text", "thought": "text"}

#: Content parts that are text.
TEXT_PARTS = {"text": "text", "output_text": "text", "input_text": "text"}


#: What reads as an error and may be one, where the typed reading found nothing.
_ERROR = re.compile(rb'"(?:message|detail|object"\s*:\s*"error)"')


def settle(chunk: ChatChunk, payload: bytes) -> bool:
    """True when the typed reading of a payload is the whole truth; false when ``typed`` must look at the raw data.

    Changes the chunk where that is all it takes: a foreign finish reason, the same reasoning under both names. Fields
    that the dialect does not know are looked for only where the typed reading found nothing: in a stream, no back end
    puts one beside text, and looking for them in every chunk would cost as much as reading it.
    """
    choices = chunk.choices
    if not choices:
        return chunk.usage is not None or chunk.error is not None or _ERROR.search(payload) is None
    if len(choices) == 1:
        return _settled(choices[0], payload)
    return all(_settled(choice, payload) for choice in choices)


def _settled(choice: Choice, payload: bytes) -> bool:
    reason = choice.finish_reason
    if reason is not None:
        choice.finish_reason = FINISH_REASONS.get(reason, reason)
    delta = choice.delta
    if delta is None:
        return choice.message is None and choice.text is None and _is_no_error(payload)
    if delta.reasoning is not None and delta.reasoning_content is not None:
        delta.reasoning = None if delta.reasoning_content else delta.reasoning
    calls = delta.tool_calls
    if calls:
        return all(map(_is_whole, calls))
    if delta.content or delta.reasoning_content or delta.reasoning or delta.refusal:
        return True
    return (  # without what the dialect does not know
        delta.thinking is None
        and delta.thinking_content is None
        and delta.reasoning_text is None
        and delta.thought is None
        and delta.function_call is None
        and _is_no_error(payload)
    )


def _is_no_error(payload: bytes) -> bool:
    """Whether a chunk with choices is no error object all the same."""
    return payload.find(b'"error"') < 0 or _ERROR.search(payload) is None


def _is_whole(call: ToolCallDelta) -> bool:
    """Whether a call says all it has to say as the dialect does: neither outside its function nor as parameters."""
    function = call.function
    return function is not None and (function.arguments is not None or function.parameters is None)


def typed(data: Any) -> ChatChunk:
    """Plain decoded JSON as a chunk of the dialect. Raises ``msgspec.ValidationError`` where it makes no sense."""
    return msgspec.convert(normalise(data), ChatChunk)


def normalise(data: Any) -> dict[str, Any]:
    """One decoded ``data:`` (or a whole completion that came instead of a stream) in the one dialect.

    An error object, wherever it stood, comes back under ``error``. Raises ``msgspec.ValidationError`` when it is not
    an object at all.
    """
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        raise msgspec.ValidationError("not an object")
    if data.get("error"):
        return {"error": data["error"]}
    if data.get("object") == "error" or ("choices" not in data and "usage" not in data and _reads_as_error(data)):
        return {"error": {k: v for k, v in data.items() if k != "object"}}
    out: dict[str, Any] = {}
    choices = data.get("choices")
    if isinstance(choices, list):
        out["choices"] = [_choice(choice) for choice in choices if isinstance(choice, dict)]
    usage = data.get("usage")
    if isinstance(usage, dict):
        out["usage"] = _usage(usage)
    if isinstance(data.get("service_tier"), str):
        out["service_tier"] = data["service_tier"]
    return out


def _reads_as_error(data: dict[str, Any]) -> bool:
    if isinstance(data.get("detail"), (str, list)):
        return True
    return bool(data.get("message")) and ("code" in data or "status" in data or "error" in str(data.get("type")))


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = choice.get("message")
    if not isinstance(delta, dict):
        text = choice.get("text")  # a legacy completion
        delta = {"content": text} if isinstance(text, str) else {}
    reason = choice.get("finish_reason")
    out: dict[str, Any] = {
        "delta": _delta(delta),
        "finish_reason": FINISH_REASONS.get(reason, reason) if isinstance(reason, str) else None,
    }
    if isinstance(choice.get("index"), int):
        out["index"] = choice["index"]
    if isinstance(choice.get("logprobs"), dict):
        kept = {k: choice["logprobs"].get(k) for k in ("content", "refusal")}
        out["logprobs"] = {k: v if isinstance(v, list) else None for k, v in kept.items()}
    return out


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    content, thought = _content(delta.get("content"))
    reasoning = next(
        (text for name in ("reasoning_content", "reasoning", *REASONING_FIELDS) if (text := _text(delta.get(name)))),
        None,
    )
    if reasoning and thought:
        reasoning += thought
    out: dict[str, Any] = {"content": content, "reasoning_content": reasoning or thought or None}
    refusal = delta.get("refusal")
    if isinstance(refusal, str):
        out["refusal"] = refusal
    calls = _calls(delta)
    if calls:
        out["tool_calls"] = calls
    return out


def _text(value: Any) -> str:
    """The text of a field that is a string, an object with text, or a list of either."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_text, value))
    if isinstance(value, dict):
        return next((t for n in ("text", "content", "thinking", "reasoning") if (t := _text(value.get(n)))), "")
    return ""


def _content(content: Any) -> tuple[str | None, str]:
    """Content as (text, reasoning)."""
    if content is None or isinstance(content, str):
        return content, ""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type", "text")
            if kind in REASONING_PARTS:
                thoughts.append(_text(part.get(REASONING_PARTS[kind])))
            elif kind in TEXT_PARTS:
                texts.append(_text(part.get(TEXT_PARTS[kind])))
    return "".join(texts) if texts else None, "".join(thoughts)


def _calls(delta: dict[str, Any]) -> list[dict[str, Any]]:
    calls = delta.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    if not isinstance(calls, list):
        calls = []
    legacy = delta.get("function_call")  # the form before tools
    if not calls and isinstance(legacy, dict):
        calls = [{"index": 0, "function": legacy}]
    return [_call(call) for call in calls if isinstance(call, dict)]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    index = call.get("index")
    if isinstance(index, int):
        out["index"] = index
    elif isinstance(index, str) and index.isdecimal():
        out["index"] = int(index)
    if isinstance(call.get("id"), (str, int)):
        out["id"] = str(call["id"])
    function = call.get("function")
    if not isinstance(function, dict):
        function = {k: call[k] for k in ("name", "arguments") if k in call}
    if function:
        arguments = function.get("arguments", function.get("parameters"))
        if arguments is not None and not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        name = function.get("name")
        out["function"] = {"name": name if isinstance(name, str) else None, "arguments": arguments}
    return out


_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = {
    "prompt_tokens_details": ("cached_tokens", "cache_write_tokens"),
    "completion_tokens_details": ("reasoning_tokens",),
}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {k: int(usage[k]) for k in _USAGE if _is_number(usage.get(k))}
    for name, fields in _DETAILS.items():
        details = usage.get(name)
        if isinstance(details, dict):
            out[name] = {k: int(details[k]) for k in fields if _is_number(details.get(k))}
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1e15
