"""Exchanges become files that their recorder plays, and come back with the same meaning."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape import llama_stack
from antiphon.tape.llama_stack import frames
from antiphon.tape.model import (
    End,
    Exchange,
    HttpRequest,
    HttpResponse,
    Json,
    JsonBody,
    TextBody,
    ToolFailure,
    ToolRequest,
    ToolResponse,
)

SSE = (("content-type", "text/event-stream"),)
JSON = (("content-type", "application/json"),)
CHAT = HttpRequest("POST", "/v1/chat/completions", body=JsonBody({"model": "m", "messages": [], "stream": True}))

words = st.text(st.characters(codec="utf-8"), max_size=12)
values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, values, max_size=4)


def answered(request: HttpRequest, body: Json, status: int = 200, **members: Any) -> Exchange:
    return Exchange(request, HttpResponse(status, JSON, (frames.dumps(body),)), **members)


def chunk(text: str, number: int = 0) -> dict[str, Json]:
    delta = {"content": text, "role": "assistant"}
    choices = [{"delta": delta, "finish_reason": None, "index": number, "logprobs": None}]
    return {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 17, "model": "m", "choices": choices}


def streamed(texts: list[str], *, end: End = "complete", error: str = "", cut: int = 0) -> Exchange:
    content = b"".join(frames.sse(chunk(text)) for text in texts) + (frames.DONE if end == "complete" else b"")
    reads = (content[:cut], content[cut:]) if 0 < cut < len(content) else (content,)
    return Exchange(CHAT, HttpResponse(200, SSE, reads, end, error), provider="openai", scope="tests/a/test_x.py::t")


def meaning(exchange: Exchange) -> Exchange:
    """The exchange without what their form does not keep: where reads were cut, timing, ids and times of chats."""
    response = exchange.response
    if not isinstance(response, HttpResponse):
        return exchange
    text = response.content.decode()
    if "event-stream" in dict(response.headers).get("content-type", ""):
        parts = list(frames.events(text, whole=response.end == "complete"))
    else:
        parts = [text]
    quiet = tuple(re.sub(r'("id":"(chatcmpl|rec)-[^"]*"|"created":\d+)', "", part).encode() for part in parts)
    response = msgspec.structs.replace(response, reads=quiet, gaps=None, summary=None)
    return msgspec.structs.replace(exchange, response=response, variant=1, usage=None)


def back(exchange: Exchange) -> Exchange:
    _, data = llama_stack.export(exchange)
    assert llama_stack.is_recording(data)
    (found,) = llama_stack.load(data)
    return found


def exported(exchange: Exchange) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(llama_stack.export(exchange)[1])
    return found


bodies = st.builds(lambda extra: JsonBody({"model": "m", **extra}), objects)
headers = st.dictionaries(st.sampled_from(["anthropic-version", "openai-beta"]), words).map(lambda h: tuple(h.items()))
queries = st.dictionaries(words.filter(bool), words, max_size=2).map(lambda query: tuple(query.items()))
inference = st.builds(
    HttpRequest,
    st.just("POST"),
    st.sampled_from(
        ["/v1/chat/completions", "/openai/v1/completions", "/v1/embeddings", "/api/chat", "/v1/messages", "/x/rerank"]
    ),
    queries,
    headers,
    bodies,
)
scopes = st.sampled_from(["", "session", "tests/integration/a/test_b.py::test_c[x/1]", "../../up", "/etc/x"])
providers = st.sampled_from(["", "openai", "azure", "bedrock", "ollama", "gemini", "my gateway"])
no_labels = objects.filter(lambda value: "id" not in value and "created" not in value)


@given(inference, no_labels, scopes, providers, st.sampled_from([200, 201]))
def test_whole_answers_come_back(request: HttpRequest, body: Json, scope: str, provider: str, status: int) -> None:
    """A JSON answer of any endpoint means the same after export and import."""
    if request.path == "/api/chat":
        body = {name: value for name, value in body.items() if name != "created_at" and "_duration" not in name}
    exchange = answered(request, body, status, scope=scope, provider=provider)
    exchange = msgspec.structs.replace(exchange, boundary=back(exchange).boundary)
    assert meaning(back(exchange)) == meaning(exchange)


@given(inference, st.sampled_from([400, 401, 429, 500, 529]), objects, st.booleans())
def test_errors_come_back(request: HttpRequest, status: int, error: Json, retry: bool) -> None:
    """An HTTP error keeps status, body and the headers a client acts on."""
    response = HttpResponse(status, (*JSON, ("retry-after", "2")) if retry else JSON, (frames.dumps({"error": error}),))
    found = back(Exchange(request, response))
    assert found.request == request
    assert isinstance(found.response, HttpResponse)
    assert (found.response.status, found.response.headers) == (response.status, response.headers)
    assert json.loads(found.response.content) == {"error": error}


@given(st.lists(words, max_size=5), st.integers(0, 400))
def test_streams_come_back_whatever_their_reads(texts: list[str], cut: int) -> None:
    """However the reads were cut, the events are the same, one a read, and [DONE] is there."""
    exchange = streamed(texts, cut=cut)
    found = back(exchange)
    assert meaning(found) == meaning(exchange)
    assert isinstance(found.response, HttpResponse)
    assert len(found.response.reads) == len(texts) + 1


@given(st.lists(words, max_size=3), st.sampled_from(["reset", "error", "closed"]), words)
def test_broken_streams_come_back_broken(texts: list[str], end: End, error: str) -> None:
    """A stream that ended early ends early again, in the same way."""
    exchange = streamed(texts, end=end, error=error)
    assert meaning(back(exchange)) == meaning(exchange)


def test_half_an_event_is_no_event() -> None:
    """What was cut inside an event is left out of the chunks."""
    whole = streamed(["a", "b"], end="reset")
    assert isinstance(whole.response, HttpResponse)
    torn = msgspec.structs.replace(
        whole, response=msgspec.structs.replace(whole.response, reads=(whole.response.content[:-5],))
    )
    assert len(exported(torn)["response"]["body"]) == 1


@given(values, values, scopes)
def test_tools_come_back(arguments: Json, result: Json, scope: str) -> None:
    """A tool call keeps arguments and result."""
    request, response = ToolRequest("tavily", "web_search", arguments), ToolResponse(result)
    exchange = Exchange(request, response, "tools", "tavily", scope)
    assert back(exchange) == exchange


def test_processed_files_come_back() -> None:
    """A processed file is written in the form that has no arguments, only the file."""
    request = ToolRequest("pypdf", "file_processors", {"file_id": "file-1"})
    exchange = Exchange(request, ToolResponse({"chunks": []}), "tools", "pypdf", "t")
    assert back(exchange) == exchange
    written = {"test_id": "t", "provider": "pypdf", "api": "file_processors", "file_id": "file-1"}
    assert exported(exchange)["request"] == written


def test_lines_come_back() -> None:
    """Streams of other APIs are kept line by line, comments and names of events with them."""
    reads = (b": hi\n\n", b"event: ping\ndata: {}\n\n")
    exchange = Exchange(HttpRequest("POST", "/v1/messages", body=JsonBody({})), HttpResponse(200, SSE, reads))
    assert back(exchange) == exchange
    assert exported(exchange)["response"]["body"] == [": hi", "", "event: ping", "data: {}", ""]


def test_google_comes_back() -> None:
    """Wire names turn into the SDK's and again into the wire's."""
    request = HttpRequest(
        "POST", "/generate_content_stream", body=JsonBody({"model": "m", "contents": [], "config": {}})
    )
    event = {"modelVersion": "v", "candidates": [{"content": {"parts": [{"functionCall": {"args": {"aB": 1}}}]}}]}
    exchange = Exchange(request, HttpResponse(200, SSE, (frames.sse(event),)), provider="vertexai")
    assert back(exchange) == exchange
    (written,) = exported(exchange)["response"]["body"]
    assert written == {
        "model_version": "v",
        "candidates": [{"content": {"parts": [{"function_call": {"args": {"aB": 1}}}]}}],
    }


def test_their_layout() -> None:
    """The file stands where their recorder looks, under the hash it looks for, in its envelope."""
    exchange = streamed(["a"])
    name, data = llama_stack.export(exchange)
    key = llama_stack.their_key(CHAT, exchange.scope)
    assert name == f"tests/a/recordings/{key}.json"
    document = json.loads(data)
    assert list(document) == ["test_id", "request", "response", "id_normalization_mapping"]
    assert document["request"]["url"] == "https://api.openai.com/v1/v1/chat/completions"
    (first,) = document["response"]["body"]
    assert first["__type__"] == "openai.types.chat.chat_completion_chunk.ChatCompletionChunk"
    assert (first["__data__"]["id"], first["__data__"]["created"]) == (f"rec-{key[:12]}", 0)
    assert data == json.dumps(document, indent=2).encode() + b"\n"


@pytest.mark.parametrize(
    ("scope", "folder"),
    [
        ("", "tests/integration/common/recordings"),
        ("session", "recordings"),
        ("../../x/test_y.py::z", "recordings"),
        ("/etc/test_y.py::z", "recordings"),
    ],
)
def test_a_scope_never_leads_outside(scope: str, folder: str) -> None:
    """Whatever a scope says, the file lands below the root."""
    assert llama_stack.export(answered(CHAT, {}, scope=scope))[0].rpartition("/")[0] == folder


def test_models_are_named_by_what_they_list() -> None:
    """A list of models carries the digest of its set, whatever the order."""
    request = HttpRequest("GET", "/v1/models")
    one = llama_stack.export(answered(request, {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}))[0]
    two = llama_stack.export(answered(request, {"object": "list", "data": [{"id": "b"}, {"id": "a"}]}))[0]
    other = llama_stack.export(answered(request, {"object": "list", "data": [{"id": "c"}]}))[0]
    assert one == two != other
    assert re.search(r"/models-[0-9a-f]{64}-[0-9a-f]{8}\.json$", one)


RESPONSE: dict[str, Json] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "output": [],
    "tools": [],
} | {
    "parallel_tool_calls": True,
    "tool_choice": "auto",
}
EVENTS: list[dict[str, Json]] = [
    {"type": "response.created", "response": RESPONSE, "sequence_number": 0},
    {
        "type": "response.output_text.delta",
        "content_index": 0,
        "delta": "x",
        "item_id": "i",
        "logprobs": [],
        "output_index": 0,
        "sequence_number": 1,
    },
    {
        "type": "response.image_generation_call.completed",
        "item_id": "i",
        "output_index": 0,
        "sequence_number": 2,
    },
    {"type": "error", "code": None, "message": "m", "param": None, "sequence_number": 3},
]
CHOICE = {"finish_reason": "stop", "index": 0, "logprobs": None}
WHOLE: list[tuple[str, Json]] = [
    (
        "/v1/chat/completions",
        {**chunk("x"), "object": "chat.completion"}
        | {"choices": [CHOICE | {"message": {"role": "assistant", "content": "x"}}]},
    ),
    (
        "/v1/completions",
        {**chunk("x"), "object": "text_completion", "choices": [CHOICE | {"text": "x"}]},
    ),
    (
        "/v1/embeddings",
        {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        },
    ),
    ("/v1/responses", RESPONSE),
]


def typed(value: Json) -> None:
    """``value`` is of the class it names, as their recorder will check."""
    module, _, name = value["__type__"].rpartition(".")
    getattr(importlib.import_module(module), name).model_validate(value["__data__"])


@pytest.mark.parametrize(("path", "body"), WHOLE)
def test_whole_answers_name_the_class_they_are(path: str, body: Json) -> None:
    """The class that is named exists in the SDK and accepts the data."""
    typed(exported(answered(HttpRequest("POST", path, body=JsonBody({"model": "m"})), body))["response"]["body"])


def test_chunks_and_events_name_the_class_they_are() -> None:
    """So do the chunks of a chat, and the events of a Response, whose classes have irregular names."""
    request = HttpRequest("POST", "/v1/responses", body=JsonBody({"model": "m", "stream": True}))
    reads = tuple(frames.sse(event, str(event["type"])) for event in EVENTS)
    for exchange in (streamed(["a"]), Exchange(request, HttpResponse(200, SSE, reads))):
        for value in exported(exchange)["response"]["body"]:
            typed(value)


def test_an_error_event_in_a_stream_is_an_exception() -> None:
    """The SDK raises when it meets one, and the recording says so."""
    reads = (frames.sse(chunk("a")), frames.sse({"error": {"message": "m", "code": 503}}))
    exchange = Exchange(CHAT, HttpResponse(200, SSE, reads))
    response = exported(exchange)["response"]
    assert response["is_exception"]
    assert response["exception_data"]["status_code"] == 503
    assert meaning(back(exchange)) == meaning(exchange)


def test_the_class_of_an_error_is_the_sdks() -> None:
    """An HTTP error is written as the exception that the SDK raised, with the inner body."""
    data = exported(answered(CHAT, {"error": {"message": "slow"}}, 429))["response"]["exception_data"]
    assert (data["category"], data["provider"], data["type"]) == ("provider_sdk", "openai", "RateLimitError")
    assert data["body"] == {"message": "slow"}


def test_a_url_says_the_host() -> None:
    """The host of a private deployment can be given; the provider's name survives it."""
    _, data = llama_stack.export(answered(CHAT, {}, provider="openai"), url="https://inside.example/v1/x")
    assert json.loads(data)["request"]["url"] == "https://inside.example/v1/v1/chat/completions"
    assert llama_stack.load(data)[0].provider == "openai"


@pytest.mark.parametrize(
    "exchange",
    [
        Exchange(HttpRequest("POST", "/v1/chat/completions", body=TextBody("x")), HttpResponse(200)),
        Exchange(CHAT, HttpResponse(200, JSON, (b"\xff",))),
        Exchange(CHAT, HttpResponse(200, JSON, (b"not json",))),
        Exchange(CHAT, HttpResponse(200, JSON, (b"{}",), "reset")),
        Exchange(CHAT, HttpResponse(200, SSE, (b"data: not json\n\n",))),
        Exchange(HttpRequest("GET", "/v1/models"), HttpResponse(200, JSON, (b'{"data":[{}]}',))),
        Exchange(ToolRequest("p", "t"), ToolResponse(error=ToolFailure("ValueError", "m")), "tools"),
    ],
)
def test_what_does_not_fit_is_refused(exchange: Exchange) -> None:
    """What their form cannot hold is refused with a sentence, never written wrongly."""
    with pytest.raises(llama_stack.Unexportable):
        llama_stack.export(exchange)
