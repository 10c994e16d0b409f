"""What is matched is the same from run to run, whatever the secrets are."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from antiphon.tape.model import HttpRequest, HttpResponse, JsonBody, ToolRequest
from antiphon.tape.secrets import Redactor
from tests.tape.secrets.planted import GITHUB, SK, content


def asked(key: str, password: str) -> HttpRequest:
    """A request that holds two values of the environment in every spelling."""
    text = f"key {key} in https://x.example/?k={quote(password, safe='')} Basic " + base64.b64encode(
        f"someone:{key}".encode()
    ).decode("ascii")
    return HttpRequest(
        "POST",
        "/v1/chat/completions",
        query=(("api_key", key),),
        body=JsonBody({"messages": [{"role": "user", "content": text}], "extra": json.dumps({"password": password})}),
    )


def test_other_values_of_the_same_variables() -> None:
    """Two runs whose variables hold other secrets, of other lengths and other alphabets, ask the same."""
    runs = [
        ("abcdefgh1234", "hunter2-hunter2"),
        ("Zx9+/=0011223344", 'p"q\\r é ü 123'),
        ("sk-proj-Q7wK2mZx9LpTr4VbNc8Yh3Jd", "AKIAQ7WK2MZX9LPTR4VB"),
        ("plain", "x"),
    ]
    requests = [Redactor({"A_KEY": key, "B_PASSWORD": pw}).call(asked(key, pw)) for key, pw in runs]
    assert requests[0] == requests[1] == requests[2]
    assert "abcdefgh" not in repr(requests[0])
    assert requests[3].query == requests[0].query  # too short to be looked for in a text, but not in its own place


def test_a_variable_inside_base64() -> None:
    """A variable's value is found in base64 wherever it begins there; nothing of the run stays that depends on it."""
    redactor = Redactor({"A_KEY": "abcdefgh-1234"})
    for before in ("", "u", "us", "use", "user:"):
        for after in ("", "x", "\n"):
            coded = base64.b64encode(f"{before}abcdefgh-1234{after}".encode()).decode()
            assert redactor.text(f"cfg {coded} end") == "cfg {{env:A_KEY}} end"


def test_another_token_asks_the_same() -> None:
    """A token that was changed since the recording makes no difference."""
    redactor = Redactor({})
    first, second = (HttpRequest("POST", "/x", body=JsonBody({"input": f"use {t}"})) for t in (SK, SK[::-1][:12] + SK))
    assert redactor.call(first) == redactor.call(
        HttpRequest("POST", "/x", body=JsonBody({"input": f"use {SK[:-3]}xyz"}))
    )
    assert redactor.call(second) != redactor.call(first)


def test_numbers_follow_from_the_content_alone() -> None:
    """The order in which fields and parameters were sent changes no number; the same secret has one number."""
    redactor = Redactor({})
    body = {"b": f"{GITHUB} {SK}", "a": SK, "messages": [{"content": GITHUB}]}
    turned = dict(reversed(body.items()))
    one = redactor.call(HttpRequest("POST", "/x", (("x", SK), ("b", GITHUB)), body=JsonBody(body)))
    two = redactor.call(HttpRequest("POST", "/x", (("b", GITHUB), ("x", SK)), body=JsonBody(turned)))
    assert isinstance(one, HttpRequest)
    assert isinstance(two, HttpRequest)
    assert one.body == two.body
    assert dict(one.query) == dict(two.query) == {"b": "<secret:1>", "x": "<secret:2>"}
    assert one.body == JsonBody(
        {"b": "<secret:1> <secret:2>", "a": "<secret:2>", "messages": [{"content": "<secret:1>"}]}
    )


def test_a_replayed_conversation_asks_the_same() -> None:
    """In a replay the answers of earlier turns hold placeholders where the recorded run held secrets: every turn asks
    the same all the same, whether the model repeated a secret of the prompt, of the tools, or made its own."""
    redactor = Redactor({})
    own = "ghp_F6Gs1Ha0Xe5UQ7wK2mZx9LpTr4VbNc8Yh3Jd"
    prompts = [f"my key is {SK}", f"and {GITHUB}", f"again {SK} {GITHUB}"]
    answers = [f"made {own}, told {SK}", f"so {own} {GITHUB} {SK}", "done"]
    tools = [{"type": "mcp", "headers": {"x": "tvly-dev-Q7wK2mZx9LpTr4VbNc8"}}]

    def turns(answers: list[str]) -> list[HttpRequest]:
        messages: list[dict[str, Any]] = []
        out = []
        for prompt, answer in zip(prompts, answers, strict=True):
            messages.append({"role": "user", "content": prompt})
            out.append(HttpRequest("POST", "/x", body=JsonBody({"messages": [*messages], "tools": tools})))
            messages.append({"role": "assistant", "content": answer})
        return out

    recorded = turns(answers)
    replayed_answers = []
    for request, answer in zip(recorded, answers, strict=True):
        done = redactor.response(HttpResponse(200, reads=(content(answer),)), request)
        assert isinstance(done, HttpResponse)
        replayed_answers.append(json.loads(done.content)["choices"][0]["message"]["content"])
    assert replayed_answers[0] == "made <secret:3>, told <secret:2>"
    assert [redactor.call(r) for r in turns(replayed_answers)] == [redactor.call(r) for r in recorded]


def test_a_tool_called_with_a_placeholder() -> None:
    """A tool that a replayed model calls with a placeholder is asked the same as when it was recorded."""
    redactor = Redactor({})
    live = redactor.call(ToolRequest("http", "get", {"key": SK, "url": "https://x.example"}))
    replayed = redactor.call(ToolRequest("http", "get", {"key": "<secret:4>", "url": "https://x.example"}))
    assert live == replayed


def test_the_signature_tells_no_secret() -> None:
    """The signature differs when what is replaced differs, and only then."""
    one, two = Redactor({"A_KEY": "abcdefgh1234", "HOME": "/x"}), Redactor({"A_KEY": "abcdefgh1234", "HOME": "/y"})
    assert one.signature == two.signature
    assert one.signature != Redactor({"A_KEY": "abcdefgh1235"}).signature
    assert one.signature != Redactor({"A_KEY": "abcdefgh1234"}, allow=["x"]).signature
    assert "abcdefgh" not in one.signature
