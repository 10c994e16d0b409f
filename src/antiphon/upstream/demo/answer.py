"""What the demo model answers: a pure function of the request."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from antiphon.upstream.demo.prompt import Prompt, pieces
from antiphon.upstream.demo.schema import instance, pairs


class Call(msgspec.Struct, frozen=True):
    """A tool call; ``arguments`` is JSON text, or what the script says instead of it."""

    id: str
    name: str
    arguments: str


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. ``reasoning_field`` names the field of a delta in which reasoning goes."""

    text: str = ""
    reasoning: str = ""
    reasoning_field: str = "reasoning_content"
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"


def compose(prompt: Prompt, index: int = 0) -> Answer:
    """The answer to a prompt; ``index`` counts the alternatives when several were asked for."""
    script = prompt.script
    calls = _calls(prompt)
    reasoning, field, tagged = _reasoning(prompt)
    if calls:
        text = tagged + prompt.fill(script.get("before") or "")
        return Answer(text, reasoning, field, calls=tuple(calls), finish="tool_calls")
    refusal = script.get("refuse")
    if refusal is not None:
        return Answer(tagged, reasoning, field, refusal=prompt.fill(refusal) or "I cannot help with that.")
    text = _text(prompt) + (f" ({index + 1})" if index else "")
    text, finish = _shortened(prompt, text)
    if script.has("filter"):
        finish = "content_filter"
    return Answer(tagged + text, reasoning, field, finish=finish)


def _reasoning(prompt: Prompt) -> tuple[str, str, str]:
    """Reasoning, its field, and what stands before the text when it goes in tags."""
    script = prompt.script
    tags = script.get("think-tags")
    tagged = f"<think>{prompt.fill(tags)}</think>" if tags is not None else ""
    for verb, field in (("think", "reasoning_content"), ("think-field", "reasoning")):
        thought = script.get(verb)
        if thought is not None:
            return prompt.fill(thought) or "Let me think.", field, tagged
    return "", "reasoning_content", tagged


def _text(prompt: Prompt) -> str:
    script = prompt.script
    if script.has("then") and prompt.results:
        return prompt.fill(script.get("then") or "")
    for verb in ("say", "json"):
        said = script.get(verb)
        if said is not None:
            return prompt.fill(said) if verb == "say" else said
    if script.has("long"):
        return " ".join(f"word{n}" for n in range(1, script.number("long", 100) + 1))
    form = prompt.body.get("response_format") or {}
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_schema":
        schema = (form.get("json_schema") or {}).get("schema") or {}
        return _json(instance(schema, pairs(prompt.user)))
    if kind == "json_object":
        return _json(pairs(prompt.user) or {"answer": prompt.user})
    return _friendly(prompt)


def _friendly(prompt: Prompt) -> str:
    if prompt.results:
        return "The tools answered: " + "; ".join(prompt.results)
    if not prompt.user and not prompt.media:
        return "Hello! I am the demo model of Antiphon. Say something, and I will quote it."
    kinds = " and ".join(str(p.get("type")) for p in prompt.media)
    seen = f" I also received {kinds}." if kinds else ""
    return f'You said: "{prompt.user}".{seen}'


def _shortened(prompt: Prompt, text: str) -> tuple[str, str]:
    """Cut at a stop sequence, then at the token limit; with the finish reason."""
    stops = prompt.body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        if isinstance(stop, str) and stop:
            text = text.partition(stop)[0]
    limit = prompt.body.get("max_completion_tokens") or prompt.body.get("max_tokens")
    if prompt.script.has("cut"):
        limit = prompt.script.number("cut", 5)
    tokens = pieces(text)
    if isinstance(limit, int) and len(tokens) > limit:
        return "".join(tokens[:limit]), "length"
    return text, "stop"


def _calls(prompt: Prompt) -> list[Call]:
    choice, allowed, named = _choice(prompt)
    if choice == "none" or not allowed:
        return []
    planned = [c for c in _planned(prompt) if c[0] in allowed]
    if named is not None:
        planned = [c for c in planned if c[0] == named]
    if prompt.script.has("again"):
        now = planned[:1]
    elif prompt.script.has("together") and prompt.body.get("parallel_tool_calls") is not False:
        now = planned if prompt.calls_made == 0 else []
    else:
        now = planned[prompt.calls_made : prompt.calls_made + 1]
    if not now and choice == "required" and prompt.calls_made == 0:
        name = named if named is not None else allowed[0]
        now = [(name, _json(instance(prompt.tools[name], pairs(prompt.user), prompt.user or "demo")))]
    return [Call(_call_id(prompt, n, name, text), name, text) for n, (name, text) in enumerate(now)]


def _planned(prompt: Prompt) -> list[tuple[str, str]]:
    """The calls of the script in order: (name, arguments)."""
    planned = []
    for argument in prompt.script.every("call"):
        name, _, rest = argument.partition(" ")
        text = rest.strip()
        if not text and name in prompt.tools:
            text = _json(instance(prompt.tools[name], pairs(prompt.user), prompt.user or "demo"))
        planned.append((name, text or "{}"))
    return planned


def _choice(prompt: Prompt) -> tuple[str, list[str], str | None]:
    """``tool_choice`` as (mode, tools that may be called, the one that must be)."""
    choice = prompt.body.get("tool_choice") or "auto"
    names = list(prompt.tools)
    if isinstance(choice, str):
        return choice, names, None
    if not isinstance(choice, dict):
        return "auto", names, None
    if choice.get("type") == "allowed_tools":
        inner = choice.get("allowed_tools") or choice
        listed = [(t.get("function") or t).get("name") for t in inner.get("tools") or [] if isinstance(t, dict)]
        return str(inner.get("mode") or "auto"), [n for n in names if n in listed], None
    name = (choice.get("function") or choice).get("name")
    return "required", [n for n in names if n == name], name if name in prompt.tools else None


def _call_id(prompt: Prompt, n: int, name: str, arguments: str) -> str:
    told = "\0".join((str(len(prompt.messages)), str(n), name, arguments))
    return "call_" + hashlib.sha256(told.encode()).hexdigest()[:24]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
