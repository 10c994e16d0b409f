"""What is no secret is not touched."""

from __future__ import annotations

import json

import msgspec
import pytest

from antiphon.tape.model import HttpRequest, HttpResponse, JsonBody
from antiphon.tape.secrets import Redactor
from tests.shared import shared

REDACTOR = Redactor(
    {
        "PATH": "/usr/local/bin",
        "TOKENIZERS_PARALLELISM": "disabled-1",
        "PWD": "/srv/somewhere",
        "A_TOKEN_FILE": "/run/token/1",
    }
)

INNOCENT = {
    "news": "https://news.example.com/2025/asia/sk-hynix-profit-2025-samsung-memory-chips-1234/index.html",
    "news of a day": "https://en.yna.example.com/view/sk-hynix-to-expand-its-plant-in-icheon-20251106",
    "more news": "https://news.example.com/business/sk-innovation-battery-unit-merger-explained",
    "words": "a task-force-on-the-desk-of-the-risk-management-department, sk-hynix and sk-learn-contrib",
    "classes": '<div class="sk-toggleable__content sk-estimator-id-12 sk-parallel-item">',
    "stand-ins": 'client = OpenAI(api_key="<your api key>")\nKEY=YOUR_API_KEY Bearer YOUR_API_KEY sk-xxxxxxxxxxxxxxxx',
    "bearer in prose": "the bearer of good-tidings-and-authentication-requirements said basic authentication",
    "port and package": "https://cdn.example.com:8443/npm/left-pad@1.3.0 and ssh://git@example.com/x",
    "variables": "/usr/local/bin disabled-1 /srv/somewhere /run/token/1",
    "hashes": "0123456789abcdef0123456789abcdef01234567 4bf92f3577b34da6a3ce929d0e0e4736",
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "begin": "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq7\n-----END PUBLIC KEY-----",
    "query": "https://shop.example.com/?token_count=12&page_token=abc123def456&max_tokens=100&keyword=x",
}
FIELDS = {
    "max_tokens": 4096,
    "token_count": "1234567890ab",
    "tokens": ["abcdefgh1", "b"],
    "next_page_token": "CAUQAA12345678",
    "prompt_tokens_details": {"cached_tokens": 0},
    "token": "internationalization",
    "secret": "The butler did it in 1999",
    "key": "value-12345678",
    "auth": "oauth2",
    "password": {"type": "string", "description": "Your password"},
    "api_key": None,
    "properties": {"authorization": {"type": "string"}, "password": "string"},
    "signature": "EqoBCkgIARABGAIiQL8x1234567890abcdef",
    "encrypted_content": "gAAAAABm1234567890abcdefghijklmnop",
    "logprobs": {"content": [{"token": "deadbeef1234", "logprob": -0.1, "bytes": [1], "top_logprobs": []}]},
}


@pytest.mark.parametrize("text", INNOCENT.values(), ids=[*INNOCENT])
def test_innocent_texts(text: str) -> None:
    """Slugs, stand-ins, hashes and prose stay as they are: in a log, in a request and in a response."""
    assert REDACTOR.text(text) == text
    request = HttpRequest("POST", "/v1/x", body=JsonBody({"input": text, "nested": json.dumps({"a": text})}))
    assert REDACTOR.call(request) is request
    response = HttpResponse(200, reads=(json.dumps({"a": text}).encode(), text.encode()))
    assert REDACTOR.response(response) is response


def test_innocent_fields() -> None:
    """Names that only resemble a secret's, and secret names over values that are none, stay as they are."""
    request = HttpRequest("POST", "/v1/x", query=(("page_token", "abc123def456"),), body=JsonBody(FIELDS))
    assert REDACTOR.call(request) is request
    response = HttpResponse(200, reads=(json.dumps(FIELDS).encode(),))
    assert REDACTOR.response(response) is response


def test_no_real_recording_is_altered() -> None:
    """Nothing at all in the real recordings counts as a secret: as requests, as responses, as files, as streams."""
    for path in sorted(shared("recordings").rglob("*.json")):
        data = path.read_bytes()
        value = msgspec.json.decode(data)
        response = HttpResponse(200, reads=(data,))
        request = HttpRequest("POST", "/v1/x", body=JsonBody(value))
        assert REDACTOR.suspects(data) == [], path.name
        assert REDACTOR.response(response) is response, path.name
        assert REDACTOR.call(request) is request, path.name
        chunks = value.get("response", {}).get("body") if isinstance(value, dict) else None
        if isinstance(chunks, list):
            stream = HttpResponse(
                200, reads=tuple(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)
            )
            assert REDACTOR.response(stream) is stream, path.name


def test_what_is_allowed() -> None:
    """A value that is allowed, exactly or by a pattern, stays; others go."""
    redactor = Redactor({"A_KEY": "0123456789ab"}, allow=["sk-proj-abc123def456", "re:ghp_F{30}1", "0123456789ab"])
    text = f"sk-proj-abc123def456 ghp_{'F' * 30}1 0123456789ab"
    assert redactor.text(text) == text
    assert redactor.text(text + " sk-proj-abc123def457") == text + " <secret:1>"
