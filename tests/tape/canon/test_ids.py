"""Ids that only need to correspond."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.canon import canonical, ids, key, parse
from antiphon.tape.model import ToolCall
from tests.tape.canon.calls import CHAT, MESSAGES, RESPONSES, keyed, post

A, B = "0f9e4a52-1c1d-4a0b-9b57-3d5a9c1f0e11", "7a1b2c3d-0000-4fff-8abc-123456789abc"


def chat(*messages: dict[str, Any]) -> str:
    """The key of a conversation."""
    return keyed(CHAT, {"model": "m", "messages": list(messages)})


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def result(text: Any, call: str = "c") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": text if isinstance(text, str) else json.dumps(text)}


def calls(*ids: str, arguments: str = "{}") -> dict[str, Any]:
    made = [{"id": one, "type": "function", "function": {"name": "f", "arguments": arguments}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


ROOT = random.Random(7)


def minted(rng: random.Random, kind: str) -> str:
    """An id as tools draw them."""
    raw = uuid.UUID(int=rng.getrandbits(128), version=4)
    letters = "".join(rng.choices("abcdefghijkABCDEFGHIJK", k=8))
    return {
        "uuid": str(raw),
        "upper": str(raw).upper(),
        "hex": raw.hex,
        "short": f"ord_{raw.hex[:7]}a1",
        "digits": f"{rng.randrange(30_000_000, 90_000_000)}",
        "nano": f"{letters}42x7{letters[:4]}",
    }[kind]


@st.composite
def agents(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One conversation twice: as it was recorded, and as it is replayed to tools that draw other ids.

    The model's own words are the recorded ones both times.
    """
    seeds = draw(st.tuples(st.integers(0, 999), st.integers(1000, 1999)))
    old, new = random.Random(seeds[0]), random.Random(seeds[1])
    recorded, replayed = [user("book it")], [user("book it")]
    known: list[tuple[str, str]] = []
    for turn in range(draw(st.integers(1, 6))):
        call = f"call_{turn}"
        about = draw(st.sampled_from([one for one, _ in known] or ["nothing"]))
        step = calls(call, arguments=json.dumps({"order_id": about, "n": turn}))
        recorded.append(step)
        replayed.append(step)
        kind = draw(st.sampled_from(["uuid", "upper", "hex", "short", "digits", "nano"]))
        pair = minted(old, kind), minted(new, kind)
        known.append(pair)
        for messages, one in ((recorded, pair[0]), (replayed, pair[1])):
            # The tool repeats what it was called with, which is the recorded id both times.
            messages.append(result({"order_id": one, "note": f"made {one}", "for": {"order_id": about}}, call))
    if draw(st.booleans()):
        recorded.append(said(f"Booked as {known[-1][0]}."))
        replayed.append(recorded[-1])
    return recorded, replayed


@given(agents())
def test_ids_that_tools_draw_do_not_matter(agent: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """A conversation with tools whose ids are drawn anew is the same at every turn."""
    recorded, replayed = agent
    for end in range(1, len(recorded) + 1):
        assert chat(*recorded[:end]) == chat(*replayed[:end])


@given(st.data())
def test_ids_of_one_voice_are_never_made_one(data: st.DataObject) -> None:
    """Where two places hold two ids, they are not the places that hold one."""
    kind = data.draw(st.sampled_from(["uuid", "hex", "short"]))
    rng = random.Random(data.draw(st.integers(0, 999)))
    one, other = minted(rng, kind), minted(rng, kind)
    shape = data.draw(st.sampled_from([result] if kind == "short" else [result, said, user]))
    texts = [shape(f"see {place}") for place in (one, other, one)]
    assert chat(*texts) != chat(texts[0], texts[1], texts[1])
    assert chat(*texts) != chat(texts[0], texts[0], texts[0])
    assert chat(*texts) == chat(texts[1], texts[0], texts[1])


def test_an_application_may_repeat_an_id_of_a_tool() -> None:
    """A later question that names the id of a result stays tied to it."""
    assert chat(result({"id": A}), user(f"and {A}?")) == chat(result({"id": B}), user(f"and {B}?"))
    assert chat(result({"id": A}), result({"id": B}), user(f"and {A}?")) != chat(
        result({"id": A}), result({"id": B}), user(f"and {B}?")
    )


def test_spellings_of_a_uuid_are_one_id() -> None:
    """Dashes and case do not make another id."""
    assert chat(user(A), user(A.upper()), user(A.replace("-", ""))) == chat(user(B), user(B), user(B))


def test_a_lone_uuid_is_renamed() -> None:
    """A UUID says nothing by itself, not even in a question."""
    assert chat(user(f"Session {A}.")) == chat(user(f"Session {B}."))
    assert chat(user(f"Session {A}.")) != chat(user("Session x."))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SKU-12ab34cd", "SKU-99ff00aa"),
        ("order 3f9a1c2e", "order 4f9a1c2e"),
        ("file-abc1234567", "file-xyz7654321"),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "ea39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ],
)
def test_what_is_asked_for_is_no_mere_id(one: str, other: str) -> None:
    """What a question spells out stays, and so does it in what comes back."""
    assert chat(user(one)) != chat(user(other))
    assert chat(user(one), result({"id": one})) != chat(user(one), result({"id": other}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"total": "12345678"}, {"total": "12345679"}),
        ({"value": "0.2345678901e-05"}, {"value": "0.2345678902e-05"}),
        ({"sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}, {"sha1": "ea39a3ee5e6b4b0d3255bfef95601890afd80709"}),
        ({"sha256": "ab1" * 21 + "a"}, {"sha256": "ab2" * 21 + "a"}),
        ({"template_id": "user_profile_v2"}, {"template_id": "user_profile_v3"}),
        ({"report_id": "20250101"}, {"report_id": "20250102"}),
        ({"id": 12345678}, {"id": 12345679}),
        ({"isbn_id": "080442957X"}, {"isbn_id": "097522980X"}),
    ],
)
def test_results_that_differ_differ(one: Any, other: Any) -> None:
    """Numbers, digests, dates and names in a result are no ids."""
    assert chat(result(one)) != chat(result(other))


@pytest.mark.parametrize("drawn", ["ord_deadbeef", "ord_19858345", "ord_00000000", "ord_12345e67"])
def test_odd_draws_are_ids_all_the_same(drawn: str) -> None:
    """Hex digits drawn at random may be letters alone, or figures that no calendar knows."""
    assert chat(result({"order_id": drawn})) == chat(result({"order_id": "ord_9f3a2b1c"}))


def test_linkage_counts() -> None:
    """Two results that change places make another request; other call ids do not, in texts neither."""
    one, two = "call_Sf7aaaaaaaaaaaa1", "call_Qx9bbbbbbbbbbbb2"

    def talk(a: str, b: str, first: str, second: str) -> str:
        return chat(calls(a, b), result(f"of {first}: 1", first), result(f"of {second}: 2", second))

    assert (
        talk(one, two, one, two)
        == talk(two, one, two, one)
        == talk("call_xxxxxx1", "call_yyyyyy2", *("call_xxxxxx1", "call_yyyyyy2"))
    )
    assert talk(one, two, one, two) != talk(one, two, two, one)
    assert talk("call_1", "call_0", "call_1", "call_0") == talk("call_0", "call_1", "call_0", "call_1")
    assert talk("call_1", "call_0", "call_1", "call_0") != talk("call_0", "call_1", "call_1", "call_0")


def items(a: str, b: str, first: str, second: str) -> str:
    """A Responses request with two calls and their outputs."""
    made = [
        {"type": "function_call", "id": f"fc_{one}", "call_id": one, "name": "f", "arguments": "{}"} for one in (a, b)
    ]
    outputs = [
        {"type": "function_call_output", "call_id": one, "output": str(at)} for at, one in enumerate((first, second))
    ]
    return keyed(RESPONSES, {"model": "m", "input": [*made, *outputs]})


def blocks(a: str, b: str, first: str, second: str) -> str:
    """A Messages request with two calls and their results."""
    made = [{"type": "tool_use", "id": one, "name": "f", "input": {}} for one in (a, b)]
    results = [
        {"type": "tool_result", "tool_use_id": one, "content": str(at)} for at, one in enumerate((first, second))
    ]
    turns = [{"role": "assistant", "content": made}, {"role": "user", "content": results}]
    return keyed(MESSAGES, {"model": "m", "messages": turns})


@pytest.mark.parametrize("talk", [items, blocks])
def test_linkage_counts_everywhere(talk: Any) -> None:
    """So it does in other APIs, whatever their ids look like."""
    assert talk("a", "b", "a", "b") == talk("toolu_1", "toolu_2", "toolu_1", "toolu_2") == talk("b", "a", "b", "a")
    assert talk("a", "b", "a", "b") != talk("a", "b", "b", "a")


def test_wire_ids_are_renamed_in_fields_and_then_in_texts() -> None:
    """A file's id, before or behind the part that holds it."""

    def asked(one: str, text: str) -> str:
        parts = [{"type": "input_text", "text": text}, {"type": "input_file", "file_id": one}]
        return keyed(RESPONSES, {"model": "m", "input": [user(parts)], "tools": [{"vector_store_ids": [f"vs_{one}"]}]})

    assert asked("file-abc", "read file-abc, vs_file-abc") == asked("file-xyz", "read file-xyz, vs_file-xyz")
    assert asked("file-abc", "read file-abc") != asked("file-abc", "read file-xyz")
    assert asked("file-abc", "profile-abc") != asked("file-xyz", "profile-xyz")


def test_ids_stay_where_they_name_what_is_asked_for() -> None:
    """Models, embedded texts, stored things and the arguments of tools."""
    for url, field in (
        (CHAT, "model"),
        ("https://a/v1/embeddings", "input"),
        ("https://a/api/embed", "input"),
        ("https://a/v1/vector_stores/x/files", "file_id"),
    ):
        assert keyed(url, {field: A}) != keyed(url, {field: B})
    assert key(parse(ToolCall("p", "t", {"id": A}))) != key(parse(ToolCall("p", "t", {"id": B})))
    assert keyed("https://a/invoke", {"session_id": A}) == keyed("https://a/invoke", {"session_id": B})


def test_data_is_not_searched() -> None:
    """A long text without blanks is data, and no id stands in it."""
    long = "ab12cd34/" * 600
    body = canonical(post(CHAT, {"messages": [result(long)]}))["body"]["json"]
    assert body["messages"][0]["content"] == long


PROGRAM = """
import sys
from antiphon.tape.canon import key, parse
from antiphon.tape.model import HttpCall
print(key(parse(HttpCall("POST", "https://a/v1/responses", (), sys.stdin.buffer.read()))))
"""


def test_keys_are_the_same_in_every_process() -> None:
    """No order of a set or a dict decides a name."""
    text = "vs_b1 msg_a2 file-c3 resp_d4 toolu_e5"
    fields = {
        "file_id": "file-c3",
        "vector_store_id": "vs_b1",
        "item_id": "msg_a2",
        "response_id": "resp_d4",
        "toolu_id": "toolu_e5",
    }
    body = json.dumps({"input": [user(text)], "metadata": fields}).encode()
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=body,
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(found) == 1


_TEXTS = st.sampled_from(
    [
        A,
        B,
        A.replace("-", ""),
        "deadbeef",
        "call_a1b2c3",
        "resp_77ab",
        '{"id": "Xy12Zw34Qa"}',
        "plain words",
        "20251106",
    ]
)
_VALUES = st.recursive(
    _TEXTS | st.none() | st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "item_id", "ids", "text", "role", "type", "call_id", "content"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["instructions", "input", "messages", "tools", "user"]), _VALUES, max_size=4))
def test_a_request_that_seems_to_hold_no_id_holds_none(value: dict[str, Any]) -> None:
    """Where the walk through a request is left out it would have changed nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_perhaps", lambda _: True)
        slowly = ids.renamed(value)
    assert ids.renamed(value) == slowly
