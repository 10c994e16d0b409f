"""No planted secret is left in a request or a response, wherever it stands and however the body was cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest

from antiphon.tape.model import (
    FormBody,
    HttpRequest,
    HttpResponse,
    JsonBody,
    Part,
    TextBody,
    ToolFailure,
    ToolRequest,
    ToolResponse,
)
from antiphon.tape.secrets import Redactor, request_headers, response_headers
from tests.tape.secrets.planted import AROUND, BODIES, ENVIRON, HUNTER, OPENAI, PASSWORD, SK, TOKENS, content

REDACTOR = Redactor(ENVIRON)


def spelled(secret: str) -> set[str]:
    """The secret as it is, and as JSON and JSON in JSON spell it."""
    once = json.dumps(secret)[1:-1]
    return {secret, once, json.dumps(once)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def absent(secret: str, data: bytes) -> bool:
    """Whether no spelling of the secret is in the bytes."""
    return not any(each.encode() in data for each in spelled(secret))


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("body", BODIES)
def test_tokens_cut_at_every_byte(kind: str, body: Callable[[str], bytes]) -> None:
    """A token in a body is gone wherever one read ends and the next begins, and the two reads say the same as one."""
    secret = TOKENS[kind]
    data = body(f"look: {secret} there")
    whole = REDACTOR.response(HttpResponse(200, reads=(data,)))
    assert isinstance(whole, HttpResponse)
    assert absent(secret, whole.content)
    if data.startswith(b"{"):
        json.loads(whole.content)
    assert b"look: " in whole.content
    assert b" there" in whole.content
    for at in range(1, len(data)):
        cut = REDACTOR.response(HttpResponse(200, reads=(data[:at], data[at:])))
        assert isinstance(cut, HttpResponse)
        assert len(cut.reads) == 2
        assert all(cut.reads)
        assert cut.content == whole.content


@pytest.mark.parametrize("place", AROUND)
@pytest.mark.parametrize("body", BODIES)
def test_secrets_known_by_what_is_around_them(place: str, body: Callable[[str], bytes]) -> None:
    """A secret that only its surroundings give away is gone from every kind of body."""
    text, secret = AROUND[place]
    data = body(text)
    done = REDACTOR.response(HttpResponse(401, reads=(data[:40], data[40:])))
    assert isinstance(done, HttpResponse)
    assert absent(secret, done.content)
    if data.startswith(b"{"):
        json.loads(done.content)


@pytest.mark.parametrize("secret", [*TOKENS.values()], ids=[*TOKENS])
def test_every_place_of_a_request(secret: str) -> None:
    """A token is gone from the path, the query, the headers, the prompt, the tools and the parts of a form."""
    request = HttpRequest(
        "POST",
        f"/v1/{quote(secret, safe='')}/x",
        query=(("q", f"is {secret}"), ("api_key", secret)),
        headers=(("authorization", f"Bearer {secret}"), ("OpenAI-Beta", f"x={secret}")),
        body=JsonBody(
            {
                "messages": [
                    {"role": "user", "content": f"my key is {secret}, use it"},
                    {"role": "user", "content": [{"type": "text", "text": secret}]},
                    {"role": "assistant", "tool_calls": [{"function": {"arguments": json.dumps({"k": secret})}}]},
                ],
                "tools": [{"type": "mcp", "authorization": secret, "headers": {"Authorization": f"Bearer {secret}"}}],
                "metadata": {secret: "as a name"},
            }
        ),
    )
    form = FormBody(
        (Part("note", TextBody(f"say {secret}")), Part("token", TextBody(secret)), Part("f", TextBody("x")))
    )
    for each in (request, msgspec.structs.replace(request, body=form), ToolRequest("mcp", "t", {"a": [f"x {secret}"]})):
        done = REDACTOR.call(each)
        data = msgspec.json.encode(done)
        assert absent(secret, data)
        assert quote(secret, safe="").encode() not in data


def test_secret_names_of_a_request() -> None:
    """What stands under a secret's name is gone, whatever it looks like, and from the rest of the call too."""
    request = HttpRequest(
        "POST",
        "/v1/login",
        query=(("key", HUNTER), ("sig", "ab12cd34ef56"), ("page", "2")),
        body=JsonBody({"user": "me", "password": HUNTER, "apiKey": "k", "prompt": f"I told you: {HUNTER}!"}),
    )
    done = REDACTOR.call(request)
    assert isinstance(done, HttpRequest)
    assert done.query == (("key", "<secret:1>"), ("sig", "<secret:2>"), ("page", "2"))
    assert done.body == JsonBody(
        {"user": "me", "password": "<secret:1>", "apiKey": "<secret:3>", "prompt": "I told you: <secret:1>!"}
    )
    answer = REDACTOR.response(HttpResponse(200, reads=(content(f"Hm, {HUNTER}?"),)), request)
    assert isinstance(answer, HttpResponse)
    assert b"Hm, <secret:1>?" in answer.content


def test_tool_results() -> None:
    """A tool's result and its failure lose their secrets."""
    result = {"text": f"key {SK}", "list": [OPENAI, 1, None], "password": "x1"}
    assert REDACTOR.response(ToolResponse(result)) == ToolResponse(
        {"text": "key <secret:2>", "list": ["{{env:OPENAI_API_KEY}}", 1, None], "password": "<secret:1>"}
    )
    failed = ToolResponse(error=ToolFailure("ToolError", f"401 for {PASSWORD}"))
    assert REDACTOR.response(failed) == ToolResponse(error=ToolFailure("ToolError", "401 for {{env:DB_PASSWORD}}"))


def test_headers_that_stay() -> None:
    """Only listed headers stay; a session's id is the same in every recording; what stays has no secret."""
    given = (
        ("Content-Type", "text/event-stream"),
        ("set-cookie", "sid=1"),
        ("X-RateLimit-Remaining-Tokens", "9"),
        ("Retry-After", "2"),
        ("openai-organization", "org-1"),
        ("Mcp-Session-Id", "5f2c"),
        ("Location", f"https://u:{HUNTER}@x.example/?sig={HUNTER}"),
    )
    done = REDACTOR.response(HttpResponse(200, given))
    assert isinstance(done, HttpResponse)
    assert done.headers == (
        ("Content-Type", "text/event-stream"),
        ("X-RateLimit-Remaining-Tokens", "9"),
        ("Retry-After", "2"),
        ("Mcp-Session-Id", "recorded"),
        ("Location", "https://u:<secret:1>@x.example/?sig=<secret:1>"),
    )
    assert response_headers(response_headers(given)) == response_headers(given)
    assert request_headers((("Authorization", "Bearer x"), ("OpenAI-Beta", "a=1"), ("Cookie", "b"))) == (
        ("openai-beta", "a=1"),
    )


@pytest.mark.parametrize("text", [text for text, _ in AROUND.values()] + [f"x {t} y" for t in TOKENS.values()])
def test_text_for_logs(text: str) -> None:
    """A text that is shown has no secret, and showing it twice changes nothing."""
    shown = REDACTOR.text(text)
    assert shown != text
    assert REDACTOR.text(shown) == shown
    assert "<secret:" in shown or "{{env:" in shown
