"""What back ends say when they refuse, and what of it a client sees."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.upstream.door import ExchangeFailed
from antiphon.upstream.errors import ContextLengthExceeded, refusal, scrub, unreachable

#: Refusals for length as back ends word them: status, body, the limit they tell.
TOO_LONG = [
    (400, {"error": {"message": "Please shorten it.", "code": "context_length_exceeded"}}, None),
    (400, {"error": {"message": "This model's maximum context length is 128000 tokens. However, ..."}}, 128000),
    (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}, 4096),
    (400, {"error": {"message": "decoder prompt (length 900) is longer than the maximum model length of 512."}}, 512),
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "too big", "n_ctx": 2048}}, 2048),
    (500, {"error": {"message": "the request exceeds the available context size. try increasing it"}}, None),
    (
        400,
        {"error": "Trying to keep the first 9 tokens; context length of 4096 tokens is not enough (n_ctx: 4096)"},
        4096,
    ),
    (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 1512. Given: 1600"}, 1512),
    (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, 200000),
    (413, {"error": {"message": "Please reduce the length of the messages or completion."}}, None),
    (400, [{"error": {"message": "The input exceeds the maximum number of input tokens allowed (1048576)."}}], 1048576),
]

#: Refusals that are about something else.
OTHER = [
    (400, {"error": {"message": "Invalid value for temperature: must be <= 2"}}),
    (401, {"error": {"message": "maximum context length is 3 tokens"}}),
    (429, {"error": {"message": "Too many tokens per minute, reduce the length of the messages"}}),
    (400, {"error": {"message": "tools[0].function.name is too long"}}),
]


@pytest.mark.parametrize(("status", "body", "limit"), TOO_LONG)
def test_length_is_recognised_in_any_wording(status: int, body: object, limit: int | None) -> None:
    """A refusal for length is a 400 context_length_exceeded with the limit where it was told."""
    found = refusal("local", status, (), msgspec.json.encode(body))
    assert isinstance(found, ContextLengthExceeded)
    assert (found.status, found.code, found.context_window) == (400, "context_length_exceeded", limit)


@pytest.mark.parametrize(("status", "body"), OTHER)
def test_other_refusals_are_left_alone(status: int, body: object) -> None:
    """Words about tokens alone do not make it a matter of length."""
    found = refusal("local", status, (), msgspec.json.encode(body))
    assert not isinstance(found, ContextLengthExceeded)
    assert found.status == status


def test_the_back_ends_own_words_reach_the_client() -> None:
    """Status, message, type, param, code and the retry headers are the back end's."""
    body = b'{"error":{"message":"Slow down","type":"requests","param":"model","code":"rate_limit_exceeded"}}'
    headers = (("Retry-After", "7"), ("retry-after-ms", "6500"), ("x-secret", "1"))
    found = refusal("local", 429, headers, body)
    assert found.body()["error"] == {
        "message": "Slow down",
        "type": "requests",
        "param": "model",
        "code": "rate_limit_exceeded",
    }
    assert (found.status, found.headers) == (429, {"retry-after": "7", "retry-after-ms": "6500"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"plain"}', "plain"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"detail":[{"loc":["body"],"msg":"bad"}]}', "bad"),
        (b'{"message":"top"}', "top"),
        (b"<html>Bad Gateway</html>", "Bad Gateway"),
        (b"", "answered 502"),
        (b"null", "answered 502"),
        (b"\xff\xfe", ""),
    ],
)
def test_bodies_of_every_shape(body: bytes, words: str) -> None:
    """Whatever the body is, there is a sentence in the error."""
    found = refusal("local", 502, (), body)
    assert found.message
    assert words in found.message
    assert found.type == "server_error"


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists).map(msgspec.json.encode),
    st.integers(300, 599),
)
def test_no_body_can_break_it(body: bytes, status: int) -> None:
    """Any bytes under any status make an error with a message and a status."""
    found = refusal("local", status, (), body)
    assert found.message
    assert 400 <= found.status <= 599


def test_our_key_never_shows() -> None:
    """The configured key, and anything shaped like a key, is masked."""
    body = b'{"error":{"message":"Incorrect API key provided: tiny, or sk-abcdef123456, Bearer xyz."}}'
    found = refusal("local", 401, (), body, ("tiny",))
    assert "abcdef" not in found.message
    assert "xyz" not in found.message
    assert "tiny" not in found.message


def test_long_texts_are_cut() -> None:
    """An error does not carry a page."""
    assert len(scrub("x" * 100_000)) < 9000


def test_a_redirect_is_named_and_not_followed() -> None:
    """A 3xx is our 502 with the place it pointed to."""
    found = refusal("local", 307, (("Location", "https://elsewhere.example/v1"),), b"")
    assert (found.status, found.code) == (502, "upstream_redirect")
    assert "elsewhere.example" in found.message


@pytest.mark.parametrize(("kind", "status"), [("connect", 502), ("timeout", 504), ("broken", 502), ("refused", 502)])
def test_an_exchange_that_never_began(kind: str, status: int) -> None:
    """Each way to fail has its status, and names the back end and its host."""
    found = unreachable("local", "127.0.0.1:9", ExchangeFailed(kind, "why."))  # type: ignore[arg-type]
    assert found.status == status
    assert "local" in found.message
    assert "127.0.0.1:9" in found.message
