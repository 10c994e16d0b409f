"""Their files become what went over the wire."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from antiphon.tape import llama_stack
from antiphon.tape.model import (
    NO_SCOPE,
    Exchange,
    HttpRequest,
    HttpResponse,
    JsonBody,
    ToolRequest,
    ToolResponse,
)
from tests.tape.llama_stack.files import QUESTION, TEST, asked, chat, file, labelled, raised, said


def read(data: bytes) -> Exchange:
    (exchange,) = llama_stack.load(data)
    return exchange


def answer(data: bytes) -> HttpResponse:
    response = read(data).response
    assert isinstance(response, HttpResponse)
    return response


def request(data: bytes) -> HttpRequest:
    found = read(data).request
    assert isinstance(found, HttpRequest)
    return found


def test_a_streamed_chat_is_one_read_an_event() -> None:
    """Each chunk is a data event of exactly its JSON, and [DONE] follows."""
    response = answer(chat("Sat", "urn \u2603", None))
    assert response.headers == (("content-type", "text/event-stream"),)
    assert response.end == "complete"
    assert response.reads[-1] == b"data: [DONE]\n\n"
    frames = [read.decode() for read in response.reads[:-1]]
    assert all(frame.startswith("data: ") and frame.endswith("\n\n") for frame in frames)
    assert [json.loads(frame[6:]) for frame in frames] == [said("Sat"), said("urn \u2603"), said(None)]


def test_the_request_is_the_one_that_was_sent() -> None:
    """The doubled version goes, the body and the test stay, the host becomes a provider's name."""
    exchange = read(chat("x"))
    assert exchange.request == HttpRequest("POST", "/v1/chat/completions", body=JsonBody(QUESTION["body"]))
    assert (exchange.scope, exchange.provider, exchange.boundary) == (TEST, "openai", "inference")


def test_arguments_of_the_sdk_become_body_and_query() -> None:
    """``extra_body`` was merged into the body by the SDK, ``extra_query`` went into the URL."""
    theirs = asked(
        "/v1/completions", model="m", prompt="p", extra_body={"guided_choice": ["a"]}, extra_query={"v": "1"}
    )
    found = request(file(theirs, {"body": labelled("x.Completion", {"choices": []}), "is_streaming": False}))
    assert found.body == JsonBody({"model": "m", "prompt": "p", "guided_choice": ["a"]})
    assert found.query == (("v", "1"),)


def test_chats_filed_as_completions_are_chats() -> None:
    """For a while the recorder filed chats under the endpoint of completions."""
    theirs = asked("/v1/completions", model="m", messages=[], stream=True)
    assert request(file(theirs, {"body": [], "is_streaming": True})).path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("base", "path", "provider"),
    [
        ("https://team.openai.azure.com/openai/v1", "/openai/v1/chat/completions", "azure"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "/v1beta/openai/chat/completions", "gemini"),
        ("__databricks__/serving-endpoints", "/serving-endpoints/chat/completions", "databricks"),
        ("http://10.0.0.7:9000/v1", "/v1/chat/completions", ""),
    ],
)
def test_bases(base: str, path: str, provider: str) -> None:
    """The path is the base's with the SDK's own; no host is kept."""
    exchange = read(file(asked(base=base, model="m"), {"body": {}, "is_streaming": False}))
    assert isinstance(exchange.request, HttpRequest)
    assert (exchange.request.path, exchange.provider) == (path, provider)


@pytest.mark.parametrize(
    ("data", "scope"),
    [
        (file(QUESTION, {"body": {}, "is_streaming": False}, test_id=...), NO_SCOPE),
        (file(QUESTION, {"body": {}, "is_streaming": False}, test_id=None), NO_SCOPE),
        (file(QUESTION, {"body": {}, "is_streaming": False}, id_normalization_mapping=...), TEST),
        (file(QUESTION, {"body": {}, "is_streaming": False}, id_normalization_mapping=None), TEST),
    ],
)
def test_every_era_of_the_envelope(data: bytes, scope: str) -> None:
    """Files without a test id, without a mapping and with null for either load."""
    assert llama_stack.is_recording(data)
    assert read(data).scope == scope == llama_stack.head(data).scope


def test_the_mapping_is_applied_to_the_text() -> None:
    """The name replaces the recorded id wherever it stands, in request and response."""
    theirs = asked(model="m", messages=[{"role": "tool", "content": "made file-99."}])
    data = file(
        theirs, {"body": {"seen": "file-99"}, "is_streaming": False}, id_normalization_mapping={"file-1": "file-99"}
    )
    assert request(data).body == JsonBody({"model": "m", "messages": [{"role": "tool", "content": "made file-1."}]})
    assert json.loads(answer(data).content) == {"seen": "file-1"}
    assert llama_stack.head(data).request == request(data)


def test_labels_are_never_imported() -> None:
    """A class name in a file is a label, at any depth; its module is not touched."""
    inner = labelled("antiphon_no_such_module.Inner", {"a": 1})
    response = answer(file(QUESTION, {"body": labelled("this.Outer", {"deep": [inner]}), "is_streaming": False}))
    assert json.loads(response.content) == {"deep": [{"a": 1}]}
    assert "this" not in sys.modules


def test_models_are_a_get_and_a_list() -> None:
    """The SDK's list of models was GET /v1/models answered by one object."""
    theirs = asked("/v1/models")
    models = [labelled("openai.types.model.Model", {"id": "b"}), labelled("openai.types.model.Model", {"id": "a"})]
    data = file(theirs, {"body": models, "is_streaming": False}, test_id=None)
    assert read(data).request == HttpRequest("GET", "/v1/models")
    assert json.loads(answer(data).content) == {"object": "list", "data": [{"id": "b"}, {"id": "a"}]}
    assert llama_stack.head(data).models


def test_embeddings_have_their_own_boundary() -> None:
    """Embeddings leave by another door than inference."""
    vector = labelled("x.CreateEmbeddingResponse", {"data": [{"embedding": [0.25, -1e-07]}]})
    exchange = read(file(asked("/v1/embeddings", model="e", input=["x"]), {"body": vector, "is_streaming": False}))
    assert exchange.boundary == "embeddings"


def test_tools_are_tool_calls() -> None:
    """A tool's result is its data; the test of the envelope is its scope."""
    theirs = {"test_id": TEST, "provider": "tavily", "tool_name": "web_search", "kwargs": {"query": "q"}}
    exchange = read(file(theirs, {"body": labelled("ogx_api.X", {"content": "c"}), "is_streaming": False}))
    assert exchange.request == ToolRequest("tavily", "web_search", {"query": "q"})
    assert exchange.response == ToolResponse({"content": "c"})
    assert (exchange.boundary, exchange.scope) == ("tools", TEST)


def test_files_are_tool_calls() -> None:
    """A processed file is a call of the API that processed it."""
    theirs = {"test_id": TEST, "provider": "pypdf", "api": "file_processors", "file_id": "file-1"}
    exchange = read(file(theirs, {"body": labelled("x.Y", {"chunks": []}), "is_streaming": False}))
    assert exchange.request == ToolRequest("pypdf", "file_processors", {"file_id": "file-1"})


def test_raw_lines_are_events_again() -> None:
    """Recorded lines are one read an event, byte for byte as they stood between line ends."""
    theirs = {"test_id": TEST, "url": "http://0.0.0.0:11434/v1/messages?beta=1", "method": "POST", "payload": {"m": 1}}
    lines = ["event: a", "data: 1", "", "data: 2", "", "data: cut"]
    data = file(theirs, {"body": lines, "is_streaming": True})
    assert answer(data).reads == (b"event: a\ndata: 1\n\n", b"data: 2\n\n", b"data: cut\n")
    assert request(data) == HttpRequest("POST", "/v1/messages", (("beta", "1"),), body=JsonBody({"m": 1}))


def test_http_answers_keep_their_status() -> None:
    """A recorded status and error body come back as they were."""
    theirs: dict[str, Any] = {"test_id": None, "url": "http://h/v1/messages", "method": "POST", "payload": {}}
    response = answer(file(theirs, {"status": 400, "body": {"type": "error"}, "is_streaming": False}))
    assert (response.status, response.content) == (400, b'{"type":"error"}')


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"category": "provider_sdk", "type": "RateLimitError", "status_code": 429, "body": {"message": "m"}}, 429),
        ({"category": "ogx", "type": "Gone", "message": "m", "status_code": 404}, 404),
        ({"category": "builtin", "type": "PermissionError", "message": "m"}, 403),
        ({"category": "builtin", "type": "TimeoutError", "message": "m"}, 504),
        ({"category": "unknown", "type": "Odd", "message": "m"}, 500),
        ({}, 500),
    ],
)
def test_exceptions_are_http_errors(data: dict[str, Any], status: int) -> None:
    """An exception instead of an answer has a status and OpenAI's error body."""
    response = answer(raised(None, **data))
    assert response.status == status
    assert set(json.loads(response.content)) == {"error"}
    assert not data or json.loads(response.content)["error"]["message"] == "m"


def test_a_stream_that_broke_breaks_again() -> None:
    """The chunks before an exception are read, then the stream ends as it did and without [DONE]."""
    chunks = [labelled("c", said("a")), labelled("c", said("b"))]
    reset = answer(raised(chunks, streaming=True, category="unknown", type="RemoteProtocolError", message="gone"))
    assert (len(reset.reads), reset.end, reset.error, reset.status) == (2, "reset", "gone", 200)
    other = answer(raised(chunks, streaming=True, category="unknown", type="Odd", message="odd"))
    assert (other.end, other.error) == ("error", "odd")
    event = answer(raised(chunks, streaming=True, category="provider_sdk", status_code=500, body={"message": "m"}))
    assert (event.end, event.reads[-1]) == ("complete", b'data: {"error":{"message":"m"}}\n\n')


def test_ollama_streams_lines() -> None:
    """Ollama's own API answers JSON by the line."""
    theirs = asked("/api/chat", "http://localhost:11434", model="m", stream=True)
    chunks = [labelled("ollama._types.ChatResponse", {"done": False}), labelled("o", {"done": True})]
    response = answer(file(theirs, {"body": chunks, "is_streaming": True}))
    assert response.reads == (b'{"done":false}\n', b'{"done":true}\n')
    assert response.headers == (("content-type", "application/x-ndjson"),)


def test_google_answers_in_its_wire_names() -> None:
    """Attribute names become member names; names that belong to the user stay; the SDK's headers go."""
    theirs = {
        **asked("/generate_content_stream", "vertexai://", model="m", contents=[]),
        "provider_metadata": {"provider": "vertexai"},
    }
    call = {"function_call": {"name": "f", "args": {"due_date": 1}}}
    chunk = {"sdk_http_response": {"headers": {}}, "usage_metadata": {"total_token_count": 3}, "candidates": [call]}
    exchange = read(file(theirs, {"body": [chunk], "is_streaming": True}))
    assert isinstance(exchange.response, HttpResponse)
    (event,) = exchange.response.reads
    wire = {
        "usageMetadata": {"totalTokenCount": 3},
        "candidates": [{"functionCall": {"name": "f", "args": {"due_date": 1}}}],
    }
    assert json.loads(event[6:]) == wire
    assert exchange.provider == "vertexai"


def test_half_a_surrogate_pair_is_read() -> None:
    """Python's JSON holds what UTF-8 cannot; the event escapes it."""
    assert b"\\ud83d" in answer(chat("\ud83d")).reads[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b'{"request": {}, "response": {}}',
        b'{"request": {"url": 3, "body": {}}, "response": {}}',
        b'{"request": {"url": "http://h/v1/x", "body": {}}, "response": {}}',
        b'{"test_id": 1, "request": {}, "response": {}}',
        chat("x")[:-40],
    ],
)
def test_damage_is_said(data: bytes) -> None:
    """What is none of their files is refused with a sentence, never half read."""
    with pytest.raises(llama_stack.Unreadable, match="recording"):
        llama_stack.load(data)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"tape": 1, "request": {}, "response": {}}', b'{"request": {}}'])
def test_what_is_no_recording(data: bytes) -> None:
    """Our own files and other JSON are told from theirs."""
    assert not llama_stack.is_recording(data)


def test_the_head_is_the_head_of_the_whole() -> None:
    """The index sees what loading gives, without decoding the response."""
    data = chat("a", "b")
    head, exchange = llama_stack.head(data), read(data)
    assert (head.scope, head.boundary, head.provider, head.request) == (
        exchange.scope,
        exchange.boundary,
        exchange.provider,
        exchange.request,
    )
    assert not head.models
