"""The table of equivalences: what is the same request, and what is not."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.canon.chat import DEFAULTS, IGNORED, canonical, canonical_key

USER = {"role": "user", "content": "hi"}
BASE: dict[str, Any] = {"model": "m", "messages": [USER]}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=3)) | st.sampled_from(
    [{"type": "image_url", "image_url": {"url": "u", "detail": "auto"}}, {"type": "text", "text": "x", "extra": None}]
)
CONTENT = st.none() | st.text(max_size=3) | st.lists(PARTS, max_size=2)
CALLS = st.builds(
    lambda i, n, extra: {"id": i, "function": {"name": n, "arguments": "{}"}, **extra},
    st.sampled_from(["a", "b", "call_0", "call_1"]),
    st.text(max_size=2),
    st.sampled_from([{}, {"index": 0}, {"type": "function"}, {"type": None}]),
)
MESSAGES = st.one_of(
    st.builds(lambda content: {"role": "user", "content": content}, CONTENT),
    st.builds(
        lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
        CONTENT,
        st.none() | st.lists(CALLS, max_size=2),
    ),
    st.builds(
        lambda i, content: {"role": "tool", "tool_call_id": i, "content": content},
        st.sampled_from(["a", "b", "call_0", "call_1"]),
        CONTENT,
    ),
)
TOOLS = st.builds(
    lambda name, extra: {"type": "function", "function": {"name": name, **extra}},
    st.text(max_size=3),
    st.dictionaries(st.sampled_from(["strict", "type", "description", "parameters"]), VALUES, max_size=3),
)
EXTRAS = st.dictionaries(
    st.sampled_from([*DEFAULTS, *IGNORED, "seed", "tool_choice"]),
    VALUES | st.sampled_from([1, 1.0, 0.0, "auto"]),
    max_size=5,
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A chat request, sensible or not."""
    return {
        "model": "m",
        **draw(EXTRAS),
        "messages": draw(st.lists(MESSAGES, max_size=5)),
        "tools": draw(st.lists(TOOLS, max_size=2)),
    }


@given(requests())
def test_the_canonical_form_is_its_own(request: dict[str, Any]) -> None:
    """Applying it twice is applying it once, and the request itself is left alone."""
    before = copy.deepcopy(request)
    once = canonical(request)
    assert canonical(once) == once
    assert canonical_key(once) == canonical_key(request)
    assert request == before


@given(requests(), st.randoms(use_true_random=False))
def test_order_of_keys_does_not_matter(request: dict[str, Any], rng: random.Random) -> None:
    """Keys in any order give the same key."""
    names = list(request)
    rng.shuffle(names)
    assert canonical_key({name: request[name] for name in names}) == canonical_key(request)


@given(requests(), st.sampled_from(sorted(DEFAULTS)))
def test_defaults_and_nulls_are_absent(request: dict[str, Any], name: str) -> None:
    """A field at a documented default, or null, is as good as absent."""
    bare = {key: value for key, value in request.items() if key != name}
    for value in (None, *DEFAULTS[name]):
        assert canonical_key({**bare, name: value}) == canonical_key(bare)


@given(requests())
def test_names_of_calls_do_not_matter(request: dict[str, Any]) -> None:
    """Other call ids, consistently, are the same request."""
    renamed = copy.deepcopy(request)
    for message in renamed["messages"]:
        for call in message.get("tool_calls") or ():
            call["id"] = f"x{call['id']}"
        if "tool_call_id" in message:
            message["tool_call_id"] = f"x{message['tool_call_id']}"
    assert canonical_key(renamed) == canonical_key(request)


def call(name: str = "f", **extra: Any) -> dict[str, Any]:
    """A tool call of a message."""
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}, **extra}


def said(content: Any, **extra: Any) -> dict[str, Any]:
    """A request whose last message is an assistant's."""
    message = {"role": "assistant", **({} if content is ... else {"content": content}), **extra}
    return {**BASE, "messages": [USER, message]}


def offered(**function: Any) -> dict[str, Any]:
    """A request with one tool."""
    return {**BASE, "tools": [{"type": "function", "function": {"name": "f", **function}}]}


SAME = [
    ("no content beside calls", said(..., tool_calls=[call()]), said(None, tool_calls=[call()])),
    ("empty content beside calls", said("", tool_calls=[call()]), said(None, tool_calls=[call()])),
    ("one text", said([{"type": "text", "text": "x"}]), said("x")),
    ("index of a call", said("", tool_calls=[call(index=3)]), said("", tool_calls=[call()])),
    ("fields an SDK adds", said("x", refusal=None, annotations=[], audio=None, tool_calls=None), said("x")),
    ("no calls", said("x", tool_calls=[]), said("x")),
    ("inner type", offered(type="function"), offered()),
    ("strict", offered(strict=False), offered(strict=None)),
    ("no parameters", offered(parameters={}), offered()),
    ("whole numbers", {**BASE, "temperature": 2.0, "top_p": 0.5}, {**BASE, "temperature": 2, "top_p": 0.5}),
    ("usage", {**BASE, "stream": True, "stream_options": {"include_usage": True}}, {**BASE, "stream": True}),
    ("choice by default", {**offered(), "tool_choice": "auto"}, offered()),
    ("choice without tools", {**BASE, "tool_choice": "none"}, BASE),
    (
        "schema not strict",
        {**BASE, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": False}}},
        {**BASE, "response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
    ),
]
DIFFERENT = [
    ("text", said("x"), said("y")),
    ("empty answer", said(""), said(None)),
    ("two texts", said([{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]), said("xy")),
    ("marked text", said([{"type": "text", "text": "x", "mark": 1}]), said("x")),
    ("name of a call", said("", tool_calls=[call("f")]), said("", tool_calls=[call("g")])),
    ("null in a schema", offered(parameters={"default": None}), offered(parameters={})),
    ("strictness", offered(strict=True), offered()),
    ("true is not one", {**BASE, "n": True}, {**BASE, "n": 1}),
    ("stream", {**BASE, "stream": True}, BASE),
    ("parallel", {**BASE, "parallel_tool_calls": False}, BASE),
    ("choice", {**offered(), "tool_choice": "none"}, offered()),
    ("temperature", {**BASE, "temperature": 0}, BASE),
    ("model", {**BASE, "model": "n"}, BASE),
]


@pytest.mark.parametrize(("one", "other"), [pair[1:] for pair in SAME], ids=[pair[0] for pair in SAME])
def test_the_same_request(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two ways of writing one request have one key."""
    assert canonical_key(one) == canonical_key(other)


@pytest.mark.parametrize(("one", "other"), [pair[1:] for pair in DIFFERENT], ids=[pair[0] for pair in DIFFERENT])
def test_another_request(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Requests that may be answered differently have different keys."""
    assert canonical_key(one) != canonical_key(other)


def test_results_keep_their_calls() -> None:
    """Swapped results are another request; an id used again in a later round is not."""

    def talk(ids: list[str], results: list[str]) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [USER, {"role": "assistant", "tool_calls": [call(id=one) for one in ids]}]
        messages += [{"role": "tool", "tool_call_id": one, "content": one[-1:]} for one in results]
        return {**BASE, "messages": messages}

    assert canonical_key(talk(["a1", "b2"], ["a1", "b2"])) == canonical_key(talk(["x1", "y2"], ["x1", "y2"]))
    assert canonical_key(talk(["a1", "b2"], ["a1", "b2"])) != canonical_key(talk(["a1", "b2"], ["b2", "a1"]))
    assert canonical_key(talk(["1", "1"], ["1", "1"])) == canonical_key(talk(["a1", "b1"], ["a1", "b1"]))
    assert canonical_key(talk(["1", "2"], ["1", "1"])) != canonical_key(talk(["1", "2"], ["1", "a1"]))
    once = [{"role": "assistant", "tool_calls": [call(id="0")]}, {"role": "tool", "tool_call_id": "0", "content": "x"}]
    twice = [{"role": "assistant", "tool_calls": [call(id="1")]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]
    assert canonical_key({**BASE, "messages": once + once}) == canonical_key({**BASE, "messages": once + twice})
