"""Chat streams as back ends send them, drawn by hypothesis.

``scripts`` draws what a model says together with how its back end streams it, and knows what must come of it:
``Script.chunks`` is the stream, ``Script.expected`` the items. ``wild`` draws chunks without any sense.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

#: Texts full of what breaks careless code: tags, quotes, escapes, several bytes, several UTF-16 units.
TEXTS = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text(alphabet=' \n<>/think"\\{}[]:,u0dé日😀', min_size=1, max_size=24),
    st.lists(st.sampled_from(["<think>", "</think>", " ", "\n\n", "ok", "<", "</", "😀"]), min_size=1, max_size=5).map(
        "".join
    ),
)
NAMES = st.sampled_from(["f", "g", "ns__h", "c_patch", "ns__c_patch"])


@dataclass(frozen=True)
class Said:
    """Prose: ``form`` is the field it comes in, or ``tags``."""

    voice: str
    text: str
    form: str = "content"


@dataclass(frozen=True)
class Called:
    """A call: ``arguments`` as the model writes them, ``said`` as the client must see them."""

    name: str
    arguments: str
    said: str

    @property
    def custom(self) -> bool:
        return self.name.rpartition("__")[2].startswith("c_")


@dataclass(frozen=True)
class Style:
    """How this back end streams."""

    index: str = "count"  # or zero, null
    ids: str = "first"  # or each, none, same
    names: str = "first"  # or each
    whole: bool = False
    interleaved: bool = False
    role_each: bool = False
    empty_first: bool = False
    empty_between: bool = False
    null_content: bool = False
    empty_tools: bool = False
    usage: str = "last"  # or each, none
    finish: str | None = "by-the-book"  # or stop, None
    logprobs: bool = False

    @property
    def distinct(self) -> bool:
        """Whether every piece of a call says which call it is of."""
        return self.index == "count" or self.ids == "each"


@dataclass
class Script:
    """What the model says, and how."""

    parts: list[Said | Called]
    style: Style
    cuts: list[list[str]]
    chunks: list[Json] = field(default_factory=list)

    @property
    def expected(self) -> list[Json]:
        """The items that must come of it, without ids; a message's content as ``[voice, text]`` pairs."""
        items: list[Json] = []
        tagged = False
        for part in self.parts:
            if isinstance(part, Called):
                items.append(_expected_call(part))
            else:
                text = part.text.lstrip() if tagged and part.form == "content" else part.text
                if text:
                    _expect(items, part.voice, text)
            tagged = isinstance(part, Said) and part.form == "tags"
        if not any(item["type"] != "reasoning" for item in items):
            items.append({"type": "message", "content": [["text", ""]]})
        return items


def _expected_call(call: Called) -> Json:
    namespace, _, name = call.name.rpartition("__")
    item: Json = {"type": "custom_tool_call" if call.custom else "function_call", "name": name, "said": call.said}
    return {**item, "namespace": namespace} if namespace else item


def _expect(items: list[Json], voice: str, text: str) -> None:
    last = items[-1] if items else {"type": None}
    if voice == "reasoning":
        if last["type"] == "reasoning":
            last["text"] += text
        else:
            items.append({"type": "reasoning", "text": text})
        return
    if last["type"] != "message":
        items.append({"type": "message", "content": [[voice, text]]})
    elif last["content"][-1][0] == voice:
        last["content"][-1][1] += text
    else:
        last["content"].append([voice, text])


# -- what is said

_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def _json_text(draw: st.DrawFn, value: st.SearchStrategy[Any]) -> str:
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    return json.dumps(draw(value), ensure_ascii=draw(st.booleans()), separators=separators)


_OBJECTS = _json_text(st.dictionaries(TEXTS, _JSON_VALUES, min_size=1, max_size=3))
_ODD = st.sampled_from([" ", '{"a": 1', "no json", "[1, 2]", "null", '{"a": "b', '{"a": 1}\n', "12"])


@st.composite
def _called(draw: st.DrawFn, style: Style) -> Called:
    name = draw(NAMES)
    call = Called(name, "", "")
    if call.custom:
        text = draw(st.text(max_size=3) | TEXTS)
        said = text
        arguments = draw(_json_text(st.just({"input": text})))
        if not style.interleaved and draw(st.booleans()):
            arguments = draw(st.sampled_from([" ", "\n\t"])) + arguments
        return Called(name, arguments, said)
    choices = [_OBJECTS]
    if style.distinct:
        choices.append(st.just(""))
        if not style.interleaved:
            choices.append(_ODD)
            if style.names == "first":  # the name again, and more after a whole object: that is another call
                choices.append(st.just('{"a": 1}}'))
    arguments = draw(st.one_of(choices))
    return Called(name, arguments, arguments if arguments.strip() else arguments + "{}")


_FORMS = {"text": ["content"], "refusal": ["refusal"], "reasoning": ["reasoning_content", "reasoning"]}


@st.composite
def _said(draw: st.DrawFn) -> Said:
    voice = draw(st.sampled_from(["text", "text", "reasoning", "refusal"]))
    return Said(voice, draw(TEXTS), draw(st.sampled_from(_FORMS[voice])))


@st.composite
def _tagged(draw: st.DrawFn) -> Said:
    text = draw(TEXTS.map(lambda text: text.replace("</think>", "").lstrip()).filter(bool))
    return Said("reasoning", text.replace("</think>", "") or "hm", "tags")


@st.composite
def styles(draw: st.DrawFn, **fixed: Any) -> Style:
    """A back end's way."""
    flags = ("whole", "role_each", "empty_first", "empty_between", "null_content", "empty_tools")
    drawn: Json = {flag: draw(st.booleans()) for flag in flags}
    drawn["index"] = draw(st.sampled_from(["count", "zero", "null"]))
    drawn["ids"] = draw(st.sampled_from(["first", "each", "none", "same"]))
    drawn["names"] = draw(st.sampled_from(["first", "each"]))
    drawn["usage"] = draw(st.sampled_from(["last", "each", "none"]))
    drawn["finish"] = draw(st.sampled_from(["by-the-book", "stop", None]))
    drawn["logprobs"] = draw(st.booleans())
    drawn["interleaved"] = draw(st.integers(0, 2)) == 0
    drawn.update(fixed)
    distinct = drawn["index"] == "count" or drawn["ids"] == "each"
    return Style(**{**drawn, "interleaved": drawn["interleaved"] and distinct})


@st.composite
def scripts(draw: st.DrawFn, **fixed: Any) -> Script:
    """What a model says, how its back end streams it, and what must come of it."""
    style = draw(styles(**fixed))
    parts: list[Said | Called] = []
    beginning = (
        [Said("text", draw(st.sampled_from([" ", "\n<", "<think", "<th"])))] if draw(st.integers(0, 3)) == 0 else []
    )
    for part in [*beginning, *draw(st.lists(st.one_of(_said(), _said(), _called(style)), max_size=5))]:
        last = parts[-1] if parts else None
        if isinstance(part, Said) and isinstance(last, Said) and (part.voice, part.form) == (last.voice, last.form):
            parts[-1] = Said(part.voice, last.text + part.text, part.form)
        else:
            parts.append(part)
    first = parts[0] if parts else None
    if isinstance(first, Said) and first.form == "content" and first.text.lstrip().startswith("<think>"):
        parts[0] = Said("text", "." + first.text)
    if draw(st.integers(0, 3)) == 0:
        parts.insert(0, draw(_tagged()))
    script = Script(parts, style, [draw(_cuts(part, style)) for part in parts])
    render(script)
    return script


@st.composite
def _cuts(draw: st.DrawFn, part: Said | Called, style: Style) -> list[str]:
    """The part's text in pieces."""
    if isinstance(part, Called) and style.whole:
        return [part.arguments]
    text = part.arguments if isinstance(part, Called) else part.text
    if isinstance(part, Said) and part.form == "tags":
        space = st.sampled_from(["", "\n", "\n\n"])
        text = f"{draw(space)}<think>{draw(space)}{text}</think>{draw(space)}"
    return draw(cut(text))


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """``text`` in pieces, cut anywhere; never an empty list."""
    if draw(st.booleans()):
        return list(text) or [""]
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)) - {0, len(text)})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


# -- how it is streamed


def render(script: Script) -> None:
    """Fill in ``chunks``."""
    style, chunks = script.style, script.chunks
    chunks.clear()
    if style.empty_first:
        chunks.append({"choices": []})
    n = 0
    while n < len(script.parts):
        part = script.parts[n]
        if isinstance(part, Said):
            chunks += [_prose_chunk(part, piece, style) for piece in script.cuts[n]]
            n += 1
            continue
        group = [n]
        while style.interleaved and n + len(group) < len(script.parts):
            if not isinstance(script.parts[n + len(group)], Called):
                break
            group.append(n + len(group))
        chunks += _call_chunks(script, group)
        n += len(group)
    if style.empty_between:
        for at in range(len(chunks), -1, -3):
            chunks.insert(at, {"choices": [{"index": 0, "delta": {}}]})
    if style.role_each:
        for chunk in chunks:
            for choice in chunk["choices"]:
                choice["delta"]["role"] = "assistant"
    _end(script)


def _prose_chunk(said: Said, piece: str, style: Style) -> Json:
    key = "content" if said.form == "tags" else said.form
    delta: Json = {key: piece}
    if style.null_content and key != "content":
        delta["content"] = None
    if style.empty_tools:
        delta["tool_calls"] = []
    choice: Json = {"index": 0, "delta": delta}
    if style.logprobs and key == "content":
        choice["logprobs"] = {"content": [{"token": piece, "logprob": -0.5, "bytes": list(piece.encode())}]}
    return {"choices": [choice]}


def _call_chunks(script: Script, group: list[int]) -> list[Json]:
    """The chunks of calls that stream together: one after the other, or a piece of each in turn."""
    streams = [_one_call(script, n) for n in group]
    if len(group) == 1:
        return streams[0]
    longest = max(map(len, streams))
    return [stream[n] for n in range(longest) for stream in streams if n < len(stream)]


def _one_call(script: Script, n: int) -> list[Json]:
    style, call = script.style, script.parts[n]
    assert isinstance(call, Called)
    number = sum(isinstance(part, Called) for part in script.parts[:n])
    given = {"none": None, "same": "id"}.get(style.ids, f"id{number}")
    pieces = script.cuts[n] if style.whole else ["", *script.cuts[n]]
    out: list[Json] = []
    for at, piece in enumerate(pieces):
        function: Json = {"arguments": piece}
        delta: Json = {"function": function}
        if style.index != "null":
            delta["index"] = number if style.index == "count" else 0
        if at == 0 or style.names == "each":
            function["name"] = call.name
        elif style.null_content:
            function["name"] = None
        if at == 0 or style.ids == "each":
            delta["id"] = given
        elif style.null_content:
            delta["id"] = None
        out.append({"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]})
    return out


def _end(script: Script) -> None:
    style, chunks = script.style, script.chunks
    called = any(isinstance(part, Called) for part in script.parts)
    if style.finish is not None:
        reason = "tool_calls" if called and style.finish == "by-the-book" else "stop"
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    if style.usage == "each":
        for n, chunk in enumerate(chunks, 1):
            chunk["usage"] = {**usage, "completion_tokens": min(n, 5), "total_tokens": 7 + min(n, 5)}
    if style.usage != "none":
        chunks.append({"choices": [], "usage": usage})


# -- no sense at all


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_PIECES = TEXTS | st.sampled_from(["", '{"input":"', '{"a":1}', '"}', "{}", "}", "\\", "\\u00", "\\ud83d"])
_WILD_CALL = st.fixed_dictionaries(
    {},
    optional={
        "index": _maybe(st.integers(0, 2)),
        "id": _maybe(st.sampled_from(["a", "b", ""])),
        "function": _maybe(st.fixed_dictionaries({}, optional={"name": _maybe(NAMES), "arguments": _maybe(_PIECES)})),
    },
)
_WILD_LOGPROB = st.fixed_dictionaries(
    {"token": TEXTS}, optional={"logprob": _maybe(st.floats(-9, 0)), "bytes": st.none(), "top_logprobs": st.none()}
)
_WILD_DELTA = st.fixed_dictionaries(
    {},
    optional={
        "content": _maybe(_PIECES),
        "reasoning_content": _maybe(_PIECES),
        "reasoning": _maybe(_PIECES),
        "refusal": _maybe(_PIECES),
        "tool_calls": _maybe(st.lists(_WILD_CALL, max_size=2)),
    },
)
_WILD_CHOICE = st.fixed_dictionaries(
    {"delta": _maybe(_WILD_DELTA)},
    optional={
        "index": st.sampled_from([0, 0, 0, 1]),
        "finish_reason": st.sampled_from([None, None, "stop", "tool_calls", "length", "content_filter"]),
        "logprobs": _maybe(st.fixed_dictionaries({"content": _maybe(st.lists(_WILD_LOGPROB, max_size=2))})),
    },
)
wild: st.SearchStrategy[list[Json]] = st.lists(
    st.fixed_dictionaries({"choices": _maybe(st.lists(_WILD_CHOICE, max_size=2))}), max_size=12
)
