"""Laws of the canonical form: which changes of a request keep its key, and which never do."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.canon import canonical, key
from antiphon.tape.model import HttpRequest, JsonBody
from tests.shared import SHARED
from tests.tape.canon.calls import CHAT, MESSAGES, RESPONSES, keyed, post

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "call_abcdef123456",
        "see 0f9e4a52-1c1d-4a0b-9b57-3d5a9c1f0e11",
        '{"order_id": "ord_3f9a1c2e", "x": 1}',
        "file-abc",
        "made 3f9a1c2e and 12345678",
        "<id:1>",
    ]
)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "id", "file_id", "call_id", "type", "role", "content", "input"]), inner)
    ),
    max_leaves=8,
)
IDS = st.sampled_from(["call_abcdef123456", "call_0", "call_1", "0", "x"])
TURNS = st.one_of(
    st.builds(lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "system"]), TEXTS),
    st.builds(
        lambda i, text: {"role": "assistant", "tool_calls": [{"id": i, "function": {"name": "f", "arguments": text}}]},
        IDS,
        TEXTS,
    ),
    st.builds(lambda i, text: {"role": "tool", "tool_call_id": i, "content": text}, IDS, TEXTS),
    st.builds(lambda i, text: {"type": "function_call", "call_id": i, "name": "f", "arguments": text}, IDS, TEXTS),
    st.builds(lambda i, text: {"type": "function_call_output", "call_id": i, "output": text}, IDS, TEXTS),
    st.builds(
        lambda i, value: {"role": "assistant", "content": [{"type": "tool_use", "id": i, "input": value}]}, IDS, VALUES
    ),
    st.builds(
        lambda i, text: {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": text}]},
        IDS,
        TEXTS,
    ),
)
URLS = st.sampled_from(
    [
        CHAT,
        RESPONSES,
        MESSAGES,
        "https://a/v1/embeddings",
        "https://a/v1/completions",
        "https://a/x",
        "https://a/api/chat",
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A body for any endpoint, sensible or not."""
    turns = draw(st.lists(TURNS, max_size=5))
    return {
        "model": "m",
        "messages": turns,
        "input": draw(st.sampled_from([turns, "hi", None])),
        "extra": draw(VALUES),
        draw(st.sampled_from(["temperature", "tools", "stream", "store", "id", "metadata"])): draw(VALUES),
    }


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same JSON with all keys in another order and whole numbers the other way."""
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(value[name], rng) for name in names}
    if isinstance(value, list):
        return [shuffled(one, rng) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


@given(URLS, bodies())
def test_the_canonical_form_is_its_own(url: str, body: dict[str, Any]) -> None:
    """The form of the form is the form, and neither call nor request is changed."""
    request = post(url, body)
    assert isinstance(request.body, JsonBody)
    before = copy.deepcopy(request.body.value)
    once = canonical(request)
    again = HttpRequest(once["method"], once["path"], body=JsonBody(once["body"]["json"]))
    assert canonical(again) == once
    assert key(again) == key(request)
    assert request.body.value == before


@given(URLS, bodies(), st.randoms(use_true_random=False))
def test_spelling_does_not_matter(url: str, body: dict[str, Any], rng: random.Random) -> None:
    """Order of keys at any depth, spelling of numbers, blanks and nulls at the top change nothing."""
    other = shuffled({**body, "nothing": None}, rng)
    assert keyed(url, json.dumps(other, indent=2).encode()) == keyed(url, body)


@given(URLS, bodies(), st.sampled_from(["model", "extra"]))
def test_other_values_matter(url: str, body: dict[str, Any], name: str) -> None:
    """Another model, and another value of a field that no table knows, is another request."""
    assert keyed(url, {**body, name: ["something", "else"]}) != keyed(url, body)


AGENT: dict[str, Any] = {
    "model": "gpt",
    "temperature": 0.2,
    "messages": [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "What is the weather in Paris today"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}},
        }
    ],
}
RESPONSE: dict[str, Any] = {
    "model": "gpt",
    "temperature": 0.2,
    "instructions": "You are helpful.",
    "input": AGENT["messages"][1:],
    "tools": [{"type": "function", "name": "weather", "description": "Tells it.", "parameters": {"type": "object"}}],
}
MESSAGE: dict[str, Any] = {**RESPONSE, "messages": RESPONSE["input"], "system": "You are helpful."}
CHANGES = [
    ("You are helpful.", "You are helpful!"),
    ('"temperature": 0.2', '"temperature": 0.3'),
    ('"temperature": 0.2', '"temperature": null'),
    ("Tells it.", "Tells it"),
    ("today", "tomorrow"),
    ('"type": "object"', '"type": "string"'),
    ('"model": "gpt"', '"model": "gpt2"'),
    ('"model": "gpt"', '"model": "gpt", "stream": true'),
    ('"role": "user"', '"role": "assistant"'),
]


@pytest.mark.parametrize(("url", "body"), [(CHAT, AGENT), (RESPONSES, RESPONSE), (MESSAGES, MESSAGE)])
@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_nothing_that_matters_is_overlooked(url: str, body: dict[str, Any], old: str, new: str) -> None:
    """System prompt, temperature, one description, the last word: each makes another request."""
    text = json.dumps(body)
    assert old in text
    assert keyed(url, text.replace(old, new).encode()) != keyed(url, body)


def recorded() -> list[tuple[str, str, Any]]:
    """File, URL and body of each call that was recorded."""
    out = []
    for path in sorted((SHARED / "recordings").rglob("*.json")):
        file = json.loads(path.read_text("utf-8"))
        request = file.get("request") or {}
        if "url" in request:
            out.append((str(path.relative_to(SHARED)), request["url"], request.get("body", request.get("payload"))))
    return out


def test_every_recorded_request_has_a_stable_key() -> None:
    """Every request of the corpus parses, keeps its key under another spelling, and changes it with its content."""
    calls = recorded()
    if not calls:
        pytest.skip("the shared recordings are not beside this checkout")
    rng = random.Random(3)
    for name, url, body in calls:
        request = post(url, body)
        assert isinstance(request.body, JsonBody), name
        once = canonical(request)
        assert canonical(HttpRequest("POST", once["path"], body=JsonBody(once["body"]["json"]))) == once, name
        assert keyed(url.replace("/v1/v1/", "/v1/"), shuffled({**body, "n": None}, rng)) == key(request), name
        for changed in ({"model": "another"}, {"temperature": 0.123}, {"something": 1}):
            assert keyed(url, {**body, **changed}) != key(request), name


def test_recorded_requests_that_share_a_key_are_one_request() -> None:
    """In the corpus only nulls, defaults and ids are between requests of one key."""
    groups: dict[str, list[Any]] = {}
    for _, url, body in recorded():
        groups.setdefault(keyed(url, body), []).append(body)
    for bodies_of_one in groups.values():
        assert len({words(body) for body in bodies_of_one}) == 1


def words(body: Any) -> str:
    """What is said in a request, as plain text."""
    turns = body.get("messages") or body.get("input") or body.get("prompt") or body.get("contents") or []
    turns = turns if isinstance(turns, list) else [turns]
    return json.dumps([one.get("content", one.get("parts")) if isinstance(one, dict) else one for one in turns])
