"""A miss says why, against what, where and what to do."""

from __future__ import annotations

import gc
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.tape.miss import Asked, Candidate, Miss, explain, sketch
from antiphon.tape.model import HttpRequest, JsonBody, Request, ToolRequest
from tests.tape.miss.requests import called, chat, prose, recorded, result, system, tool

COMMAND = "antiphon tape accept --dir recordings --scope 'a'"


def missed(request: Request, *candidates: Candidate, scope: str = "a", **fields: Any) -> Miss:
    miss = explain(request, scope, candidates, command=COMMAND, **fields)
    lines = miss.report.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 110
    assert json.loads(msgspec.json.encode(miss)) == json.loads(msgspec.json.encode(miss.as_json()))
    return miss


def test_one_word_of_twenty_kilobytes() -> None:
    """The report shows exactly the pair of words, its path, the recording and the command, in under 100 ms."""
    words = prose(20_000).split(" ")
    words[1500] = "brown"
    old = " ".join(words)
    words[1500] = "red"
    start = time.process_time()
    miss = missed(chat(" ".join(words)), recorded(chat(old)))
    assert time.process_time() - start < 0.1
    assert miss.reason == "prompt"
    assert (miss.pointer, miss.nearest) == ("$.messages[0].content", "a/one.json")
    assert [(one.recorded, one.asked) for one in miss.differences[0].words] == [("brown", "red")]
    assert all(part in miss.report for part in ("[-brown-]{+red+}", "$.messages[0].content", "a/one.json", COMMAND))


TWO = "$.tools[1].function.description"
BASE = chat(system("Be kind."), "Say hello.", tools=[tool("one"), tool("two")], temperature=0.5)


def said(instructions: str, text: str) -> dict[str, Any]:
    return {"messages": [system(instructions), {"role": "user", "content": text}]}


def changed(**fields: Any) -> HttpRequest:
    assert isinstance(BASE.body, JsonBody)
    return HttpRequest("POST", BASE.path, body=JsonBody({**BASE.body.value, **fields}))


@pytest.mark.parametrize(
    ("request_", "reason", "pointer", "shown"),
    [
        (changed(**said("Be kind.", "Say goodbye.")), "prompt", "$.messages[1].content", "[-hello-]{+goodbye+}"),
        (changed(**said("Be rude.", "Say hello.")), "system", "$.messages[0].content", "[-kind-]{+rude+}"),
        (changed(tools=[tool("one"), tool("two", "Undoes it.")]), "tools", TWO, "[-Does-]{+Undoes+}"),
        (changed(temperature=0.7), "params", "$.temperature", "recorded: 0.5, asked: 0.7"),
        (changed(seed=4), "params", "$.seed", "was not recorded: 4"),
        (changed(tools=[tool("two"), tool("one")]), "order", "$.tools[0]", "another order"),
        (changed(tools=[tool("one")]), "tools", "$.tools[1]", "was recorded and is missing"),
        (changed(model="large"), "params", "$.model", "[-small-]{+large+}"),
    ],
)
def test_the_reason(request_: Request, reason: str, pointer: str, shown: str) -> None:
    """Each kind of change is named, with its path and both sides of it."""
    miss = missed(request_, recorded(BASE))
    assert (miss.reason, miss.reasons, miss.pointer) == (reason, (reason,), pointer)
    assert shown in miss.report


def test_what_does_not_count_is_not_shown() -> None:
    """Ids that only correspond, and defaults, are no differences."""
    old = chat("Go.", called("call_1"), result("call_1", "rain"), n=1)
    new = chat("Go.", called("toolu_9"), result("toolu_9", "sun"))
    assert [one.pointer for one in missed(new, recorded(old)).differences] == ["$.messages[2].content"]


def test_the_query_and_the_headers_count_too() -> None:
    """A difference beside the body is named by its place."""
    old = msgspec.structs.replace(BASE, headers=(("anthropic-version", "2023-06-01"),))
    miss = missed(msgspec.structs.replace(BASE, headers=(("anthropic-version", "2024-01-01"),)), recorded(old))
    assert miss.reason == "params"
    assert "headers" in miss.report
    assert "2024" in miss.report


def test_exhausted_other_scope_closed_and_none() -> None:
    """What is recorded but cannot be had, and what is not there at all."""
    played = recorded(BASE, played=True)
    assert missed(BASE, played, exhausted=True).reason == "exhausted"
    assert missed(BASE, played).reason == "exhausted"
    assert missed(BASE, recorded(BASE, scope="")).reason == "exhausted"
    other = missed(BASE, recorded(BASE, "b/one.json", "test_b"))
    assert (other.reason, other.nearest) == ("other_scope", "b/one.json")
    assert "'test_b'" in other.report
    assert missed(BASE, recorded(BASE, scope=""), exhausted=True).reason == "exhausted"
    closed = missed(BASE, played, closed="a/one.json")
    assert (closed.reason, closed.nearest) == ("closed", "a/one.json")
    assert "hung up" in closed.report
    nothing = missed(BASE, recorded(chat("Say hello.", path="/v1/responses")))
    assert (nothing.reason, nothing.nearest) == ("none", None)
    assert all(COMMAND in miss.report for miss in (other, closed, nothing))


def test_the_nearest_is_the_one_that_was_meant() -> None:
    """Of recordings with the same instructions, tools and length, the one that shares most words; the model first."""
    prompts = [f"Summarise chapter {n} of the book about {prose(400, n)}" for n in range(50)]
    candidates = [recorded(chat(system("Be kind."), text), f"a/{n}.json") for n, text in enumerate(prompts)]
    near = chat(system("Be kind."), prompts[31].replace("chapter 31", "chapter 99"))
    candidates.append(recorded(msgspec.structs.replace(near, body=JsonBody({**near.body.value, "model": "x"}))))  # type: ignore[union-attr]
    assert missed(near, *candidates).nearest == "a/31.json"


def test_the_model_weighs_more_than_the_words() -> None:
    """Another question to the same model is nearer than the same question to another model."""
    question = said("Be kind.", "Who are you?")
    other = recorded(changed(model="large", **question), "a/large.json")
    assert missed(changed(**question), other, recorded(BASE)).nearest == "a/one.json"


def test_many_differences_are_counted() -> None:
    """What does not fit is counted, in the report; true is not 1."""
    many = {f"field_{n}": n for n in range(60)}
    miss = missed(changed(**many), recorded(changed(**{key: value + 1 for key, value in many.items()})))
    assert "and 46 more differences" in miss.report
    assert len(miss.differences) == 60
    assert missed(changed(flag=True), recorded(changed(flag=1))).pointer == "$.flag"


def test_a_tool() -> None:
    """A tool's call is compared by its arguments."""
    miss = missed(
        ToolRequest("web", "search", {"query": "red fox"}), recorded(ToolRequest("web", "search", {"query": "red hen"}))
    )
    assert (miss.reason, miss.pointer) == ("arguments", "$.query")
    assert "[-hen-]{+fox+}" in miss.report
    assert missed(ToolRequest("web", "fetch"), recorded(ToolRequest("web", "search"))).reason == "none"


def conversation(*results: str) -> list[HttpRequest]:
    """The requests of an agent that asked its tool so often, and the next one."""
    messages: list[Any] = ["What is the weather?"]
    found = [chat(*messages)]
    for n, text in enumerate(results):
        messages += [called(f"c{n}", f"tool_{n}"), result(f"c{n}", text)]
        found.append(chat(*messages))
    return found


@pytest.mark.parametrize("known", [True, False])
def test_the_turn_at_which_the_run_left(known: bool) -> None:
    """A miss at turn 5 that began at turn 3 says so, and which tool's result differs."""
    old, new = conversation("a", "b", "c", "d"), conversation("a", "B", "c", "d")
    history = [Asked(one, f"{n}.json") for n, one in enumerate(new[:-1])] if known else []
    miss = missed(new[-1], *[recorded(one, f"a/{n}.json") for n, one in enumerate(old)], history=history)
    assert (miss.nearest, miss.turn, miss.first_divergent_turn) == ("a/4.json", 5, 3)
    assert miss.divergence == "the result of tool tool_1"
    assert "turn 3 of 5: the result of tool tool_1" in miss.report


def test_an_answer_of_the_model_that_differs() -> None:
    """A message is of the turn that first sent it: another answer of the first turn shows in the second."""
    old, new = ([{"role": "assistant", "content": said}, "And now?"] for said in ("Rain.", "Snow."))
    miss = missed(chat("Hello", *new), recorded(chat("Hello", *old)), history=[Asked(chat("Hello"), "0.json")])
    assert (miss.turn, miss.first_divergent_turn, miss.divergence) == (2, 2, "the model's answer")


def test_a_miss_that_was_swallowed_before() -> None:
    """When an earlier call of this conversation had no recording, that is where the run left."""
    new = conversation("a", "b", "c")
    history = [Asked(new[0], "0.json"), Asked(new[1], None), Asked(chat("Another one."), None), Asked(new[2], "2.json")]
    miss = missed(new[-1], recorded(conversation("a", "b", "C")[-1]), history=history)
    assert (miss.turn, miss.first_divergent_turn) == (4, 2)
    assert "turn 2 of 4" in miss.report


@pytest.mark.parametrize("read_later", [True, False])
def test_ten_thousand_candidates(read_later: bool) -> None:
    """The nearest of ten thousand is found in under 100 ms where the index keeps their outlines."""
    requests = [chat(system(prose(300)), f"Question {n}: {prose(300, n)}") for n in range(1000)]
    outlines = [sketch(one) for one in requests]
    candidates = [
        Candidate((lambda one=one: one) if read_later else one, "a", 1, f"a/{n}-{copy}.json", outline=outline)  # type: ignore[misc]
        for copy in range(10)
        for n, (one, outline) in enumerate(zip(requests, outlines, strict=True))
    ]
    asked = chat(system(prose(300)), f"Question 512: {prose(300, 512)}".replace("Question", "Riddle"))
    times = []
    gc.collect()
    for _ in range(3):
        start = time.process_time()
        miss = missed(asked, *candidates)
        times.append(time.process_time() - start)
    assert miss.nearest == "a/512-0.json"
    assert min(times) < 0.1


def test_a_recording_that_is_gone() -> None:
    """A candidate that was deleted meanwhile is passed over."""

    def gone() -> Request:
        raise FileNotFoundError

    assert missed(chat("Hi there"), Candidate(gone, "a", 1, "x.json", outline=sketch(chat("Hi")))).reason == "none"


def test_nothing_in_a_report_moves_the_cursor() -> None:
    """Escape sequences and line breaks of a prompt are shown, not done."""
    miss = missed(chat("one \x1b[31m two\n\r\u2028 three"), recorded(chat("one two three"), "a\x1b.json"), history=[])
    assert all(line.isprintable() for line in miss.report.split("\n"))


scalar = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=60) | st.floats(allow_nan=False, allow_infinity=False)
)
json_value = st.recursive(
    scalar, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=60), inner), max_leaves=8
)
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={"content": json_value, "tool_calls": json_value},
)
body = st.dictionaries(
    st.sampled_from(["messages", "input", "tools", "system", "model", "prompt", "x" * 90]), json_value
)
body |= st.fixed_dictionaries({"messages": st.lists(message | json_value)})
any_request = st.one_of(
    st.builds(lambda value: HttpRequest("POST", "/v1/chat/completions", body=JsonBody(value)), body | json_value),
    st.builds(lambda value: HttpRequest("POST", "/v1/responses", body=JsonBody(value)), body),
    st.builds(lambda value: ToolRequest("p" * 80, "t" * 90, value), json_value),
)


@given(any_request, st.lists(any_request, max_size=4), st.text(max_size=300), st.text(max_size=900))
@settings(max_examples=150)
def test_any_miss_is_explained_in_thirty_lines(
    request_: Request, others: list[Request], scope: str, command: str
) -> None:
    """Whatever was asked and whatever is recorded, the report keeps its measure; the equal one is always nearest."""
    candidates = [recorded(one, f"{'d' * 130}/{n}.json", scope) for n, one in enumerate(others)]
    history = [Asked(one) for one in others]
    miss = explain(request_, scope, candidates, history, command=command)
    lines = miss.report.split("\n")
    assert len(lines) <= 30
    assert all(len(line) <= 110 and line.isprintable() for line in lines)
    assert miss.reason not in ("other_scope", "closed")
    again = explain(request_, scope, [*candidates, recorded(request_, "z.json", scope)], history)
    assert again.reason == "exhausted"
    elsewhere = [recorded(request_, "z.json", scope + "x")]
    assert explain(request_, scope + "y", elsewhere, history).reason == "other_scope"
