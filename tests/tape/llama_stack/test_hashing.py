"""Their key is theirs: the rules, one by one, against values worked out from their description."""

from __future__ import annotations

import hashlib
import json

import pytest

from antiphon.tape.llama_stack import file_key, their_key
from antiphon.tape.llama_stack.hashing import normalised
from antiphon.tape.model import HttpRequest, Json, JsonBody, TextBody, ToolRequest

UUID = "0f0e0d0c-0b0a-0908-0706-050403020100"


def sha(**material: Json) -> str:
    return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()


def test_inference_is_hashed_with_the_doubled_path_and_the_test() -> None:
    """The hash is of method, doubled path, body and test id; no test is null."""
    request = HttpRequest("POST", "/v1/chat/completions", body=JsonBody({"model": "m"}))
    body = {"model": "m"}
    assert their_key(request, "t") == sha(method="POST", endpoint="/v1/v1/chat/completions", body=body, test_id="t")
    assert their_key(request, "") == sha(method="POST", endpoint="/v1/v1/chat/completions", body=body, test_id=None)


def test_models_are_a_post_of_nothing() -> None:
    """A list of models is hashed as a POST with an empty body."""
    expected = sha(method="POST", endpoint="/v1/v1/models", body={}, test_id="t")
    assert their_key(HttpRequest("GET", "/v1/models"), "t") == expected


def test_tools_are_hashed_without_the_test() -> None:
    """A tool's hash is the same in every test."""
    request = ToolRequest("tavily", "web_search", {"query": "q"})
    expected = sha(provider="tavily", tool_name="web_search", kwargs={"query": "q"})
    assert their_key(request, "t") == their_key(request, "u") == expected


def test_other_http_is_hashed_with_its_url() -> None:
    """The host counts for messages, so the URL of the live call is used where there is one."""
    request = HttpRequest("POST", "/v1/messages", body=JsonBody({"x": 0.1234567}))
    expected = sha(test_id="t", url="http://h:1/v1/messages", method="POST", payload={"x": 0.12346})
    assert their_key(request, "t", url="http://h:1/v1/messages") == expected
    ollama = sha(test_id="t", url="http://0.0.0.0:11434/v1/messages", method="POST", payload={"x": 0.12346})
    assert their_key(request, "t", provider="ollama") == ollama


def test_bedrock_leaves_out_stream_options() -> None:
    """Only there, and only at the top."""
    body = {"model": "m", "stream_options": {}, "metadata": {"stream_options": 1}}
    request = HttpRequest("POST", "/openai/v1/chat/completions", body=JsonBody(body))
    kept = {"model": "m", "metadata": {"stream_options": 1}}
    endpoint = "/openai/v1/v1/chat/completions"
    assert their_key(request, "", provider="bedrock") == sha(method="POST", endpoint=endpoint, body=kept, test_id=None)
    assert their_key(request, "") == sha(method="POST", endpoint=endpoint, body=body, test_id=None)


def test_what_is_no_argument_of_the_sdk_is_extra() -> None:
    """A member the SDK's method does not know was passed as ``extra_body``, and completions always pass one."""
    request = HttpRequest("POST", "/v1/chat/completions", body=JsonBody({"model": "m", "top_k": 5}))
    extra = {"model": "m", "extra_body": {"top_k": 5}}
    assert their_key(request, "t") == sha(method="POST", endpoint="/v1/v1/chat/completions", body=extra, test_id="t")
    plain = HttpRequest("POST", "/v1/completions", body=JsonBody({"model": "m"}))
    empty = {"model": "m", "extra_body": {}}
    assert their_key(plain, "t") == sha(method="POST", endpoint="/v1/v1/completions", body=empty, test_id="t")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1234567, 0.12346),
        (7, 7),
        ("pi 3.14159265, -2.71828182, 1.234", "pi 3.14159, -2.71828, 1.234"),
        ("a, score: 0.9871e-3 b", "a, score: __NORMALIZED__ b"),
        ("x, attributes: {'a': 'b'} y", "x y"),
        (f"document_id: {UUID}, cite <|{UUID}|>", "document_id: __NORMALIZED__, cite <|__NORMALIZED__|>"),
        ("document_id: file-1 <|file-1|>", "document_id: file-1 <|file-1|>"),
        ({"extra_body": {"project_id": 1, "k": 2}}, {"extra_body": {"k": 2}}),
        ({"a": {"extra_body": {"project_id": 1}}}, {"a": {"extra_body": {"project_id": 1}}}),
        ([{"extra_query": {"project_id": 1}}], [{"extra_query": {}}]),
    ],
)
def test_what_is_evened_out(value: Json, expected: Json) -> None:
    """Floats, decimals in text, search noise and project ids are evened out, and nothing else."""
    assert normalised(value) == expected


def test_what_they_cannot_have_recorded_has_no_key() -> None:
    """A body that is not JSON has no key of theirs."""
    assert their_key(HttpRequest("POST", "/v1/chat/completions", body=TextBody("x")), "t") == ""


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (f"a/recordings/{'ab' * 32}.json", "ab" * 32),
        (f"models-{'cd' * 32}-01234567.json", "cd" * 32),
        ("1d82e9439ae3.json", "1d82e9439ae3"),
        ("gpt-4o-hello--0123456789ab.json", ""),
    ],
)
def test_names(path: str, key: str) -> None:
    """The hash is read from every shape of name they have used."""
    assert file_key(path) == key
