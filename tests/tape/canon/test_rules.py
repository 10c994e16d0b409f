"""Rules: what somebody declared not to matter, own matchers, and versions."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest

from antiphon.tape.canon import EXACT, VERSION, VERSIONS, BadRuleError, Rules, canonical, key, parse
from antiphon.tape.model import HttpRequest, Json, JsonBody, Request, ToolCall
from tests.tape.canon.calls import CHAT, MESSAGES, RESPONSES, keyed, post

ANY = "https://a/anything"
BODY: dict[str, Any] = {
    "metadata": {"run": 1, "kept": 2},
    "messages": [{"name": "a", "content": "run-17 of tests"}, {"name": "b", "content": "x"}],
    "deep": {"list": [{"trace": 1}, {"in": {"trace": 2}}]},
    "odd key": 1,
}


def without(*rules: str) -> Any:
    """The body as it is matched under these volatile rules."""
    return canonical(post(ANY, BODY), Rules(volatile=rules))["body"]["json"]


def test_fields_and_entries() -> None:
    """A path takes away a field; an entry of a list is blank, so that the others keep their places."""
    assert without("$.metadata.run")["metadata"] == {"kept": 2}
    assert without("$.metadata.*")["metadata"] == {}
    assert [one.get("name") for one in without("$.messages[*].name")["messages"]] == [None, None]
    assert [one.get("name") for one in without("$.messages[-1].name")["messages"]] == ["a", None]
    assert without("$.messages[0]")["messages"][0] == "<volatile>"
    assert without("$['odd key']", '$["deep"]').keys() == {"metadata", "messages"}
    assert without("$..trace")["deep"] == {"list": [{}, {"in": {}}]}


def test_paths_that_lead_nowhere_change_nothing() -> None:
    """A path may name what is not there."""
    for path in ("$.nothing", "$.metadata.run.more", "$.messages[9]", "$.messages.name", "$.metadata[0]", "$..none"):
        assert without(path) == without()


def test_patterns_blank_strings() -> None:
    """A regular expression is blanked in bodies, forms, arguments, paths and queries."""
    rules = Rules(volatile=(r"re:run-\d+",))
    assert without(*rules.volatile)["messages"][0]["content"] == "<volatile> of tests"
    assert keyed(f"{ANY}/run-1?q=run-2", b"text run-3", rules) == keyed(f"{ANY}/run-4?q=run-5", b"text run-6", rules)
    assert keyed(ANY, b"text run-3") != keyed(ANY, b"text run-4")
    kind = (("content-type", "application/x-www-form-urlencoded"),)
    assert keyed(ANY, b"a=run-1", rules, kind) == keyed(ANY, b"a=run-2", rules, kind)
    assert key(parse(ToolCall("p", "t", ["run-1"])), rules) == key(parse(ToolCall("p", "t", ["run-2"])), rules)


def test_a_volatile_field_may_be_absent() -> None:
    """Absent is one of the values a volatile field may have."""
    rules = Rules(volatile=("$.user",))
    assert keyed(CHAT, {"messages": [], "user": "a"}, rules) == keyed(CHAT, {"messages": []}, rules)


@pytest.mark.parametrize("rule", ["", "$", "metadata", "$metadata", "$.", "$.a[", "$.a[x]", "$.a b", "re:("])
def test_rules_that_cannot_be_read_are_refused(rule: str) -> None:
    """A wrong rule is named at once."""
    with pytest.raises(BadRuleError, match="volatile"):
        Rules(volatile=(rule,))
    with pytest.raises(BadRuleError, match="everything"):
        Rules(relax=("everything",))


SYSTEM = [
    (CHAT, {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}),
    (CHAT, {"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": "u"}]}),
    (RESPONSES, {"instructions": "s", "input": [{"role": "user", "content": "u"}]}),
    (RESPONSES, {"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}),
    (MESSAGES, {"system": "s", "messages": [{"role": "user", "content": "u"}]}),
    (ANY, {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user"}]}),
    (ANY, {"config": {"system_instruction": "s"}, "contents": [{"role": "user"}]}),
]


@pytest.mark.parametrize(("url", "body"), SYSTEM)
def test_a_system_prompt_can_be_left_out(url: str, body: Any) -> None:
    """With the relaxation another system prompt does not matter, another question does; without it both do."""
    other = json.loads(json.dumps(body).replace('"s"', '"other"'))
    asked = json.loads(json.dumps(body).replace('"user"', '"model"'))
    rules = Rules(relax=("system_prompt",))
    assert keyed(url, body) != keyed(url, other)
    assert keyed(url, body, rules) == keyed(url, other, rules)
    assert keyed(url, body, rules) != keyed(url, asked, rules)


def test_descriptions_of_tools_can_be_left_out() -> None:
    """With the relaxation their words do not matter; a parameter called description does."""

    def offered(text: str, **parameters: Any) -> Any:
        schema = {
            "type": "object",
            "properties": {"description": {"type": "string", "description": text}, **parameters},
        }
        return {
            "messages": [],
            "tools": [{"type": "function", "function": {"name": "f", "description": text, "parameters": schema}}],
        }

    rules = Rules(relax=("tools.description",))
    assert keyed(CHAT, offered("a")) != keyed(CHAT, offered("b"))
    assert keyed(CHAT, offered("a"), rules) == keyed(CHAT, offered("b"), rules)
    assert keyed(CHAT, offered("a"), rules) != keyed(CHAT, offered("a", more={"type": "string"}), rules)
    kept = canonical(post(CHAT, offered("a")), rules)["body"]["json"]["tools"][0]["function"]["parameters"]
    assert kept == {"type": "object", "properties": {"description": {"type": "string"}}}


def test_a_matcher_of_ones_own() -> None:
    """``rewrite`` sees the request before anything else does."""

    def lower(request: Request) -> Request:
        assert isinstance(request, HttpRequest)
        assert isinstance(request.body, JsonBody)
        return msgspec.structs.replace(
            request, body=JsonBody({**request.body.value, "prompt": request.body.value["prompt"].lower()})
        )

    one, other = post(ANY, {"prompt": "Hi"}), post(ANY, {"prompt": "HI"})
    assert key(one) != key(other)
    assert key(one, rewrite=lower) == key(other, rewrite=lower)
    assert canonical(one, rewrite=lower)["body"]["json"] == {"prompt": "hi"}


def test_a_new_version_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version lives beside the first, and requests on which both agree keep their keys."""

    def second(request: Request, rules: Rules) -> Json:
        form = VERSIONS[1](request, rules)
        if isinstance(form.get("body", {}).get("json"), dict):
            form["body"]["json"].pop("user", None)
        return form

    two = Rules(version=2)
    with pytest.raises(BadRuleError, match="version 2"):
        keyed(CHAT, {}, two)
    monkeypatch.setitem(VERSIONS, 2, second)
    with_user, without_user = ({"messages": [], **more} for more in ({"user": "u"}, {}))
    assert keyed(CHAT, with_user) != keyed(CHAT, without_user)
    assert keyed(CHAT, with_user, two) == keyed(CHAT, without_user, two) == keyed(CHAT, without_user)


#: Keys that recordings of version 1 carry. When one changes, version 1 was changed, and it never may be.
KEPT = {
    "chat": "d135ef825f3d470c0b48a65ea57f3f2d2172dd93019bd79fc034f6ed88864883",
    "responses": "0340d5cf88d73baff454bb65741a1263b89373405033df28e1dd242d6dd86e24",
    "messages": "dd8ff6d01ddd3328fd13d68a9ebee295cbac356a3befaf0988ddb5d64e5e7d5a",
    "form": "75b4b1930f9f99ad4a030fc14c0d12c26228d930ff2209841a6e250a46497e00",
    "tool": "ac63052d629b62cdd2b86e71d612fef9e4c237f473f7d22ec7a2c4ade2decca9",
}


def kept() -> dict[str, Request]:
    """A request of each kind, with something of every equivalence."""
    form = b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\nContent-Type: text/x\r\n\r\nx\r\n--b--'
    talk = [
        {"role": "system", "content": [{"type": "text", "text": "s 0f9e4a52-1c1d-4a0b-9b57-3d5a9c1f0e11"}]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_x", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_x", "content": '{"order_id": "ord_3f9a1c2e"}'},
    ]
    return {
        "chat": post(f"{CHAT}?b=2&a=1&key=k", {"model": "m", "n": 1.0, "messages": talk}, (("OpenAI-Beta", "b, a"),)),
        "responses": post(RESPONSES, {"input": "hi", "store": True, "previous_response_id": "resp_1"}),
        "messages": post(MESSAGES, {"system": [{"type": "text", "text": "s"}], "messages": []}),
        "form": post(ANY, form, (("content-type", "multipart/form-data; boundary=b"),)),
        "tool": parse(ToolCall("p", "t", {"a": 1.0})),
    }


def test_version_1_does_not_change() -> None:
    """Keys that were given out once are given out for ever."""
    assert {name: key(request, Rules(version=1)) for name, request in kept().items()} == KEPT


def test_the_key_is_the_hash_of_the_form() -> None:
    """And says nothing of the version."""
    form = canonical(post(ANY, {"b": 1, "a": "ä"}))
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert key(post(ANY, {"b": 1, "a": "ä"})) == hashlib.sha256(text.encode()).hexdigest()
    assert Rules(version=VERSION) == EXACT
