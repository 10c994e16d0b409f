"""Counting offline, with the published ranks."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.upstream.tokens import count_request, count_text, estimate, ranks

#: What tiktoken itself demands of ``o200k_base.tiktoken``.
PUBLISHED = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def test_the_ranks_are_the_published_ones() -> None:
    """Unpacked, the ranks are byte for byte the file that tiktoken would download."""
    _, tokens = ranks()
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))
    assert hashlib.sha256(b"".join(lines)).hexdigest() == PUBLISHED


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("a" * 200_000, 25_000)]
)
def test_known_counts(text: str, count: int) -> None:
    """Texts have the size that the encoding gives them; special tokens in a text are text."""
    assert count_text(text) == count


@given(st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=30)
def test_more_text_is_not_fewer_tokens(first: str, second: str) -> None:
    """A request grows with its messages, and counts the same each time."""
    one = {"messages": [{"role": "user", "content": first}]}
    two = {"messages": [*one["messages"], {"role": "user", "content": [{"type": "text", "text": second}]}]}
    assert count_request(one) == count_request(one)
    assert count_request(two) > count_request(one)


@pytest.mark.anyio
async def test_everything_that_is_rendered_counts() -> None:
    """Tools, calls, schemas and images add to the size."""
    base = {"messages": [{"role": "user", "content": "hi"}]}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    image = {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}
    more = [
        {**base, "tools": [{"type": "function", "function": {"name": "f"}}]},
        {**base, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        {"messages": [*base["messages"], {"role": "assistant", "content": "", "tool_calls": [call]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, image]}]},
    ]
    small = await estimate(base)
    for request in more:
        assert await estimate(request) > small
