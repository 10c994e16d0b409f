"""Every failure in OpenAI's body, with the right status, the SDK's typed exception and a request id."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx2
import openai
import pytest

from tests.api.talk import ask, refused, stream
from tests.server import Server, Servers
from tests.upstreams import Break, FakeBackend, Gate, delta, text

JSON = {"content-type": "application/json"}


def error_of(reply: httpx2.Response, status: int) -> dict[str, Any]:
    """The error of a reply, which has all four fields, a media type and a request id."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"].startswith("req_")
    body = reply.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    found: dict[str, Any] = body["error"]
    return found


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "could not parse"),
        (b"{", "line 1"),
        (b'{"model": "m",\n  "input": }', "line 2, column 12"),
        (b'{"model": "m"} x', "could not parse"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"m"', "must be a JSON object"),
        (b'{"model": "\xff"}', "UTF-8"),
        (b'{"model": "m", "input": "\\ud800"}', "could not parse"),
        (b'{"model": "m", "temperature": NaN}', "could not parse"),
        (b"[" * 100_000, "deeper"),
        (b'{"input":' + b"[" * 300 + b"]" * 300 + b"}", "deeper"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/input_tokens"])
def test_malformed_json(server: Server, path: str, body: bytes, says: str) -> None:
    """A 400 that says where; nothing a body can hold is a 500."""
    error = error_of(server.http.post(path, content=body, headers=JSON), 400)
    assert says in error["message"]
    assert error["type"] == "invalid_request_error"


CALL = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}


@pytest.mark.parametrize("odd", [["a"], {"a": 1}, 5, True])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/input_tokens"])
def test_a_type_is_a_string(server: Server, path: str, odd: Any) -> None:
    """Also where any object may stand: it is looked up, and what is no string names its place."""
    for body, param in (
        ({"input": "x", "tool_choice": {"type": odd}}, "tool_choice.type"),
        ({"input": "x", "tools": [{"type": odd}]}, "tools[0].type"),
        (
            {"input": [CALL, {"type": "shell_call_output", "call_id": "c", "output": [{}, {"type": odd}]}]},
            "input[1].output[1].type",
        ),
    ):
        error = error_of(server.http.post(path, json={"model": "m", **body}), 400)
        assert error["param"] == param
        assert error["type"] == "invalid_request_error"


def test_a_type_of_an_item_of_a_conversation_is_a_string(server: Server) -> None:
    """The same where items are put into a conversation."""
    output = {"type": "shell_call_output", "call_id": "c", "output": [{"type": ["a"]}]}
    error = error_of(server.http.post("/v1/conversations", json={"items": [CALL, output]}), 400)
    assert error["param"] == "items[1].output[0].type"


def test_numbers_beyond_numbers(server: Server) -> None:
    """Too large to be one is a 400 as well."""
    for number in (b"1e999", b"9" * 5000):
        body = b'{"model": "m", "input": "x", "temperature": ' + number + b"}"
        error_of(server.http.post("/v1/responses", content=body, headers=JSON), 400)


def test_media_types(server: Server) -> None:
    """Anything but JSON is a 415, and so is a compressed body; JSON by any of its names, or unnamed, is read."""
    body = json.dumps({"model": "m", "input": "x"}).encode()
    for media in ("text/plain", "multipart/form-data; boundary=x", "application/xml", "application/jsonp"):
        error_of(server.http.post("/v1/responses", content=body, headers={"content-type": media}), 415)
    error_of(server.http.post("/v1/responses", content=body, headers={**JSON, "content-encoding": "gzip"}), 415)
    for media in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"):
        assert server.http.post("/v1/responses", content=body, headers={"content-type": media}).status_code == 200
    assert server.http.post("/v1/responses", content=body).status_code == 200


def test_too_large(servers: Servers, backend: FakeBackend) -> None:
    """413, whether the length is declared or the body just goes on; the setting is named. At the limit it is read."""
    server = servers(server={"max_body_bytes": 1000})
    body = json.dumps({"model": "m", "input": "x" * 2000}).encode()
    assert "max_body_bytes" in error_of(server.http.post("/v1/responses", content=body, headers=JSON), 413)["message"]
    pieces = (body[n : n + 100] for n in range(0, len(body), 100))
    error_of(server.http.post("/v1/responses", content=pieces, headers=JSON), 413)
    start = json.dumps({"model": "m", "input": ""}).encode()
    fits = start[:-2] + b"x" * (1000 - len(start)) + start[-2:]
    assert server.http.post("/v1/responses", content=fits, headers=JSON).status_code == 200
    with pytest.raises(openai.APIStatusError) as caught:
        ask(server.client, "x" * 2000)
    assert caught.value.status_code == 413
    assert len(backend.calls) == 1


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/responses", "/v1/nothing", "/v1/responses/a/b", "/v1/responses/a/cancel/b", "/responses"]
)
def test_unknown_routes(server: Server, path: str) -> None:
    """A 404 in OpenAI's body that names the path, for any method."""
    for method in ("GET", "POST", "DELETE"):
        error = error_of(server.http.request(method, path), 404)
        assert path in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/responses", {"POST"}),
        ("DELETE", "/v1/responses", {"POST"}),
        ("PUT", "/v1/responses/resp_1", {"GET", "DELETE"}),
        ("POST", "/v1/responses/resp_1", {"GET", "DELETE"}),
        ("GET", "/v1/responses/resp_1/cancel", {"POST"}),
        ("POST", "/v1/responses/resp_1/input_items", {"GET"}),
        ("GET", "/v1/chat/completions", {"POST"}),
        ("POST", "/v1/models", {"GET"}),
        ("POST", "/health", {"GET"}),
        ("PATCH", "/openapi.json", {"GET"}),
    ],
)
def test_wrong_methods(server: Server, method: str, path: str, allowed: set[str]) -> None:
    """A 405 that lists every method the path has."""
    reply = server.http.request(method, path)
    error_of(reply, 405)
    assert {name.strip() for name in reply.headers["allow"].split(",")} - {"HEAD"} == allowed


def test_request_ids(server: Server, client: openai.OpenAI, caplog: pytest.LogCaptureFixture) -> None:
    """Each reply has its own, good or bad, streamed or not, and the log line of the request has it too."""
    with caplog.at_level(logging.INFO, logger="antiphon.access"):
        replies = [
            server.http.get("/health"),
            server.http.get("/nothing"),
            server.http.get("/v1/models"),
            server.http.post("/v1/responses", json={"model": "m", "input": "x"}),
            server.http.post("/v1/responses", json={"model": "m", "input": "x", "stream": True}),
            server.http.post("/v1/chat/completions", json={"model": "demo", "messages": []}),
        ]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert len(set(ids)) == len(ids)
    assert all(one.startswith("req_") and len(one) == 52 for one in ids)
    assert all(len(reply.headers.get_list("x-request-id")) == 1 for reply in replies)
    assert ask(client)._request_id is not None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_refusals_of_the_back_end(
    client: openai.OpenAI, backend: FakeBackend, status: int, error: type[openai.APIStatusError], streamed: bool
) -> None:
    """Before the first byte they are HTTP errors: its status, code, words and ``retry-after``."""
    told = {"error": {"message": "not like this", "type": "odd", "code": "because", "param": "messages"}}
    backend.refuse(status, told, headers="Retry-After: 7\r\n")
    with pytest.raises(error) as caught:
        client.responses.create(model="m", input="hi", stream=streamed)
    assert "not like this" in caught.value.message
    assert caught.value.code == "because"
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_back_end_that_is_not_there(servers: Servers, streamed: bool) -> None:
    """A 502 that says which, not where its key is."""
    server = servers(upstream={"url": "http://127.0.0.1:9/v1", "key": "sk-very-secret"})
    with pytest.raises(openai.InternalServerError) as caught:
        server.client.responses.create(model="m", input="hi", stream=streamed)
    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_unreachable"
    assert "local" in caught.value.message
    assert "secret" not in str(caught.value.body)


def test_honest_status_waits_so_long(servers: Servers, backend: FakeBackend) -> None:
    """The 200 waits for the back end's status as long as is configured; later a refusal ends the stream instead."""
    server = servers(responses={"status_wait_seconds": 0.05})
    gate = Gate()
    backend.refuse(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, before=gate)
    with server.client.responses.with_streaming_response.create(model="m", input="hi", stream=True) as reply:
        assert reply.status_code == 200
        lines = reply.iter_lines()
        assert next(lines) == "event: response.created"
        gate.open()
        rest = [line for line in lines if line.startswith("event: ")]
    assert rest == ["event: response.in_progress", "event: error", "event: response.failed"]
    gate = Gate()
    gate.open()
    backend.answer(*text("ok"), before=gate)
    assert stream(server.client)[-1].response.output_text == "ok"


def test_a_break_before_the_first_token(client: openai.OpenAI, backend: FakeBackend) -> None:
    """After a 200 of the back end a break ends the Response as failed, never as completed, streamed or not."""
    backend.answer(Break())
    response = ask(client)
    assert (response.status, response.output) == ("failed", [])
    backend.answer(delta(content="half"), b"data: {broken\n\n")
    assert ask(client).status == "failed"


def test_unknown_models(servers: Servers, backend: FakeBackend, client: openai.OpenAI) -> None:
    """A name no list knows goes to the default; its 404 is relayed. Without a default it is our own."""
    told = {"error": {"message": "no such model", "code": "model_not_found", "param": "model"}}
    backend.refuse(404, told)
    refused(lambda: ask(client, model="nobody"), param="model", code="model_not_found", error=openai.NotFoundError)
    alone = servers.without_upstreams()
    refused(
        lambda: ask(alone.client, model="nobody"), param="model", code="model_not_found", error=openai.NotFoundError
    )
    assert ask(alone.client, "hello", model="demo").status == "completed"


def test_a_response_that_grows_too_large(servers: Servers, backend: FakeBackend) -> None:
    """It ends as failed and says which setting it met."""
    server = servers(responses={"max_response_bytes": 8000})
    backend.answer(*text(*["x" * 500] * 20))
    response = ask(server.client)
    assert response.status == "failed"
    assert response.error is not None
    assert "max_response_bytes" in response.error.message


def test_redirects_are_not_followed(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A back end that points elsewhere would get our key sent there."""
    backend.refuse(307, {}, headers=f"Location: {backend.url}/elsewhere\r\n")
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.code == "upstream_redirect"
    assert len(backend.calls) == 1


def test_the_clients_key_stays_here(servers: Servers, server: Server, backend: FakeBackend) -> None:
    """No header of the client goes to a back end unless the configuration names it."""
    ask(server.client, extra_headers={"x-mine": "1"})
    assert "authorization" not in backend.calls[-1].headers
    assert "x-mine" not in backend.calls[-1].headers
    keyed = servers(upstream={"key": "ours"})
    ask(keyed.client)
    assert backend.calls[-1].headers["authorization"] == "Bearer ours"
    open_handed = servers(upstream={"key": "ours", "forward_auth": True, "forward_headers": ("x-mine",)})
    ask(open_handed.client, extra_headers={"x-mine": "1"})
    assert backend.calls[-1].headers["authorization"] == "Bearer test"
    assert backend.calls[-1].headers["x-mine"] == "1"
