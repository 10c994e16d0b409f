"""What the back end refuses before the stream begins is an HTTP error with its own status; later the stream says it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import openai
import pytest

from tests.behaviour.hosts import Hosts
from tests.behaviour.wire import Caller
from tests.responses import grammar
from tests.server import Server
from tests.upstreams import Break, FakeBackend, Gate, delta

SOON = {"status_wait_seconds": 0.05}

REFUSALS: list[tuple[int, dict[str, Any], type[openai.APIStatusError]]] = [
    (400, {"type": "invalid_request_error", "code": "bad_thing", "param": "messages"}, openai.BadRequestError),
    (401, {"type": "authentication_error", "code": "invalid_api_key"}, openai.AuthenticationError),
    (403, {"type": "permission_error", "code": "forbidden"}, openai.PermissionDeniedError),
    (404, {"type": "invalid_request_error", "code": "model_not_found"}, openai.NotFoundError),
    (429, {"type": "rate_limit_error", "code": "rate_limit_exceeded"}, openai.RateLimitError),
    (500, {"type": "server_error", "code": "boom"}, openai.InternalServerError),
    (503, {"type": "server_error", "code": "overloaded"}, openai.InternalServerError),
]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("status", "error", "raised"), REFUSALS)
def test_a_refusal(
    server: Server,
    backend: FakeBackend,
    status: int,
    error: dict[str, Any],
    raised: type[openai.APIStatusError],
    streamed: bool,
) -> None:
    """Status, code, type, param, words and the headers about retrying are the back end's own; nothing is stored."""
    backend.refuse(
        status,
        {"error": {"message": "because", **error}},
        headers="Retry-After: 7\r\nRetry-After-Ms: 6500\r\nX-Should-Retry: false\r\nX-Inner: 1\r\n",
    )
    with pytest.raises(raised) as caught:
        server.client.responses.create(model="m", input="hi", stream=streamed)
    told = caught.value
    assert told.status_code == status
    assert (told.code, told.type, told.param) == (error["code"], error["type"], error.get("param"))
    assert "because" in told.message
    headers = told.response.headers
    assert headers["content-type"] == "application/json"
    assert (headers["retry-after"], headers["retry-after-ms"], headers["x-should-retry"]) == ("7", "6500", "false")
    assert "x-inner" not in headers


@pytest.mark.parametrize("streamed", [True, False])
def test_nobody_there(hosts: Hosts, streamed: bool) -> None:
    """A back end that does not listen is a 502."""
    with socket.socket() as nobody:  # holds the port, which nobody else can have, and does not listen
        nobody.bind(("127.0.0.1", 0))
        server = hosts(upstream={"url": f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"})
        with pytest.raises(openai.InternalServerError) as caught:
            server.client.responses.create(model="m", input="hi", stream=streamed)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")


@pytest.mark.parametrize("streamed", [True, False])
def test_it_hangs_up_without_an_answer(hosts: Hosts, streamed: bool) -> None:
    """A connection that is closed instead of answered is a 502 too."""
    with socket.create_server(("127.0.0.1", 0)) as rude:
        server = hosts(upstream={"url": f"http://127.0.0.1:{rude.getsockname()[1]}/v1", "models": ("m",)})
        with Caller(server.root).create(stream=streamed) as caller:
            while not caller.readable(0.02):
                with contextlib.suppress(TimeoutError):
                    rude.settimeout(0.02)
                    connection, _ = rude.accept()
                    connection.close()
            assert caller.json()["error"]["code"] == "upstream_disconnected"
            assert caller.status == 502


def failed(events: list[dict[str, Any]], response: dict[str, Any], code: str) -> None:
    """The stream has ended as it must, and what is stored says the same."""
    grammar.check(events)
    error, last = events[-2:]
    assert (error["type"], last["type"]) == ("error", "response.failed")
    for key in ("message", "code", "param"):
        assert error[key] == error["error"][key]
    assert error["code"] == code
    assert last["response"]["error"]["message"] == error["message"]
    assert response == last["response"]
    assert response["status"] == "failed"


@pytest.mark.parametrize(
    ("status", "code", "kept"),
    [(429, "rate_limit_exceeded", "rate_limit_exceeded"), (401, "invalid_api_key", "server_error")],
)
def test_too_late_for_a_status(hosts: Hosts, backend: FakeBackend, status: int, code: str, kept: str) -> None:
    """A back end that thinks for longer than the 200 can wait: its refusal ends the stream, and is stored."""
    server = hosts(responses=SOON)
    gate = Gate()
    backend.refuse(status, {"error": {"message": "no", "code": code}}, before=gate)
    with Caller(server.root).create(stream=True) as caller:
        events = [caller.until("response.created")]
        gate.open()
        events += caller.events()
    response = server.ended(events[0]["response"]["id"])
    failed(events, response, code)
    assert response["error"]["code"] == kept
    assert server.read_events("GET", f"/v1/responses/{response['id']}?stream=true") == events


def test_without_a_stream_it_is_never_too_late(hosts: Hosts, backend: FakeBackend) -> None:
    """Who waits for the whole answer gets the status whenever it comes."""
    server = hosts(responses={"status_wait_seconds": 0})
    gate = Gate()
    backend.refuse(429, {"error": {"message": "no", "code": "rate_limit_exceeded"}}, before=gate)
    with Caller(server.root).create() as caller:
        gate.reached()
        gate.open()
        assert caller.json()["error"]["code"] == "rate_limit_exceeded"
        assert caller.status == 429


BREAKS = {
    "cut": ([delta(content="half"), Break()], "upstream_stream_cut"),
    "told": ([delta(content="half"), {"error": {"message": "no memory", "code": 503}}], "server_error"),
    "nonsense": ([delta(content="half"), b"data: {nonsense\n\n"], "upstream_bad_data"),
    "empty": ([Break()], "upstream_stream_cut"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_break_in_the_stream(server: Server, backend: FakeBackend, kind: str) -> None:
    """Whatever breaks it: what came is closed as incomplete, then the error, then ``response.failed``; all stored."""
    steps, code = BREAKS[kind]
    backend.answer(*steps)
    with Caller(server.root).create(stream=True) as caller:
        events = list(caller.events())
    response = server.ended(events[0]["response"]["id"])
    failed(events, response, code)
    assert [item["status"] for item in response["output"]] == ([] if kind == "empty" else ["incomplete"])
    assert server.read_events("GET", f"/v1/responses/{response['id']}?stream=true") == events


@pytest.mark.parametrize("kind", BREAKS)
def test_a_break_of_an_answer_that_is_not_streamed(server: Server, backend: FakeBackend, kind: str) -> None:
    """It is a Response that failed, not one that is complete; it is stored as it was told."""
    backend.answer(*BREAKS[kind][0])
    response = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).raise_for_status().json()
    assert response["status"] == "failed"
    assert response["error"]["message"]
    assert server.ended(response["id"]) == response


def test_silence(hosts: Hosts, backend: FakeBackend) -> None:
    """A back end that says nothing for too long is given up: 504 before the stream, in the stream as it ends there."""
    server = hosts(upstream={"read_seconds": 0.2})
    backend.answer(before=Gate())
    with Caller(server.root).create(stream=True) as caller:
        assert caller.json()["error"]["code"] == "upstream_timeout"
        assert caller.status == 504
    backend.answer(delta(content="half"), Gate())
    with Caller(server.root).create(stream=True) as caller:
        events = list(caller.events())
    failed(events, server.ended(events[0]["response"]["id"]), "upstream_timeout")
