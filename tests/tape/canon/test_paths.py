"""Where a request goes, without host and base path."""

from __future__ import annotations

import pytest

from antiphon.tape.canon import endpoint
from tests.tape.canon.calls import keyed

ENDPOINTS = [
    ("/v1/chat/completions", "/chat/completions"),
    ("/chat/completions", "/chat/completions"),
    ("//chat/completions/", "/chat/completions"),
    ("/v1/v1/chat/completions", "/chat/completions"),
    ("/openai/v1/v1/chat/completions", "/chat/completions"),
    ("/v1/openai/v1/chat/completions", "/chat/completions"),
    ("/api/v1/chat/completions", "/chat/completions"),
    ("/v1beta/openai/chat/completions", "/chat/completions"),
    ("/ml/v1/v1/models", "/models"),
    ("/openai/deployments/gpt/chat/completions", "/deployments/gpt/chat/completions"),
    ("/team/openai/deployments/gpt/chat/completions", "/deployments/gpt/chat/completions"),
    ("/v1/models/openai/gpt", "/models/openai/gpt"),
    ("/models/openai/gpt", "/models/openai/gpt"),
    ("/v1/models/v1", "/models/v1"),
    ("/v1beta/models/gemini:generateContent", "/v1beta/models/gemini:generateContent"),
    ("/api/paas/v4/chat/completions", "/v4/chat/completions"),
    ("/v2/chat", "/v2/chat"),
    ("/mcp/", "/mcp"),
    ("/v1", "/v1"),
    ("/", "/"),
    ("/v1/models/a%2fb%7E", "/models/a%2Fb~"),
]


@pytest.mark.parametrize(("path", "expected"), ENDPOINTS)
def test_endpoints(path: str, expected: str) -> None:
    """A base path is folded, and an endpoint is its own endpoint."""
    assert endpoint(path) == expected
    assert endpoint(expected) == expected


SAME = [
    ("https://a.example/v1/files", "http://127.0.0.1:99/openai/v1/files"),
    ("https://a/v1/files?limit=2&after=x", "https://a/v1/files?after=x&limit=2"),
    ("https://a/v1/files?limit=2&key=abc&sig=1&X-Amz-Date=2&api_key=x", "https://a/v1/files?limit=2&access_token=z"),
    ("https://a/v1/files#x", "https://a/v1/files"),
    ("vertexai:///generate", "https://a/generate"),
]
DIFFERENT = [
    ("https://a/v1/files", "https://a/v1/models"),
    ("https://a/v1/files?limit=2", "https://a/v1/files?limit=3"),
    ("https://a/v1/files?page_token=2", "https://a/v1/files?page_token=3"),
    ("https://a/v1/files?a=1&a=2", "https://a/v1/files?a=2&a=1"),
    ("https://a/v1/files?a=", "https://a/v1/files"),
    ("https://a/v1/models/x/1", "https://a/v1/models/x%2F1"),
    ("https://a/v1/files/file-1", "https://a/v1/files/file-2"),
    ("https://a/v1/x", "https://a/v2/x"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_place(one: str, other: str) -> None:
    """Host, base path, order of the query and credentials in it do not matter."""
    assert keyed(one, b"") == keyed(other, b"")


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_place(one: str, other: str) -> None:
    """What is asked for does."""
    assert keyed(one, b"") != keyed(other, b"")
