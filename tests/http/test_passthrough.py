"""The pass-through routes, as the official SDK sees them: what goes out, what comes back, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config import Config, StorageConfig
from antiphon.errors import InvalidRequest
from antiphon.http.passthrough import read_model
from tests.http.backends import (
    CHAT,
    CHUNK,
    COMPLETION,
    KEY,
    Backend,
    answering,
    back,
    backend,
    event,
    module_server,
    server,
)
from tests.server import Server
from tests.upstream.loopback import Peer
from tests.upstreams import PATIENCE

__all__ = ["back", "backend", "module_server", "server"]


# -- the demo model through the SDK


def test_chat(server: Server) -> None:
    """A whole chat completion of the demo model arrives typed."""
    done = server.client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hello"}])
    assert done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None


def test_chat_streamed(server: Server) -> None:
    """Its chunks add up to the same text, and the usage comes when asked for."""
    ask: dict[str, Any] = {"model": "demo", "messages": [{"role": "user", "content": "hello you"}]}
    whole = server.client.chat.completions.create(**ask).choices[0].message.content
    chunks = list(server.client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    assert chunks[-1].usage is not None


def test_completions(server: Server) -> None:
    """The older API, whole and in pieces."""
    whole = server.client.completions.create(model="demo", prompt="hello").choices[0].text
    parts = [c.choices[0].text for c in server.client.completions.create(model="demo", prompt="hello", stream=True)]
    assert whole
    assert "".join(parts) == whole


def test_embeddings(server: Server) -> None:
    """The SDK asks for base64 by itself and reads numbers too; both say the same."""
    create = server.client.embeddings.create
    packed = create(model="demo", input=["a cat", "a dog"]).data
    numbers = create(model="demo", input=["a cat", "a dog"], encoding_format="float").data
    assert [len(e.embedding) for e in packed] == [256, 256]
    for one, other in zip(packed, numbers, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)


# -- what goes out


def test_bytes_go_out_as_they_came(server: Server, backend: Backend) -> None:
    """Where the model keeps its name the back end gets the client's very bytes, and our key instead of its own."""
    backend.handler = answering(COMPLETION)
    sent = b'{ "messages" : [], "x": 1.0, "u": "\\u00e9\xc3\xa9", "model" :"m",\n "n": 12345678901234567890123 }'
    headers = {"content-type": "application/json", "authorization": "Bearer client", "cookie": "a=b", "x-mine": "1"}
    reply = server.http.post("/v1/chat/completions?key=secret", content=sent, headers=headers)
    assert reply.content == COMPLETION
    assert backend.last.body == sent
    head = backend.last.head
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}" in head
    for private in ("client", "cookie", "x-mine", "secret"):
        assert private not in head.lower().replace(KEY, "")


def test_bytes_that_speak_of_files(server: Server, backend: Backend) -> None:
    """A body whose text holds what would be looked for, and one with a file of the back end's own, keep their bytes."""
    backend.handler = answering(COMPLETION)
    for content in (rb'"\"file_id\" 1.0"', b'[{"type":"file","file":{"file_id" : "file-theirs"}}]', b"7"):
        sent = b'{ "model":"m","messages" : [{"role":"user","content":' + content + b'}], "n": 1.50, "file_id" : 1}'
        server.http.post("/v1/chat/completions", content=sent, headers={"content-type": "application/json"})
        assert backend.last.body == sent


def test_only_the_model_is_rewritten(server: Server, backend: Backend) -> None:
    """A prefix that names the back end is taken off; every other value keeps its bytes and its place."""
    backend.handler = answering(COMPLETION)
    sent = b'{"a": {"model" : "local/m"},"model":"local/some/m","n": 1.0e2,"u":"\\u00e9"}'
    server.http.post("/v1/chat/completions", content=sent, headers={"content-type": "application/json"})
    assert backend.last.body == b'{"a":{"model" : "local/m"},"model":"some/m","n":1.0e2,"u":"\\u00e9"}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.text(min_size=1), st.integers(0, 3))
def test_every_body_with_a_model_is_read(fields: dict[str, Any], model: str, indent: int) -> None:
    """Whatever else a body holds, and however it is laid out, its model is found and the rest is not touched."""
    body = {**fields, "model": model}
    kept, found = read_model(json.dumps(body, indent=indent or None).encode())
    assert found == model
    assert {name: json.loads(bytes(value)) for name, value in kept.items()} == body


@given(st.binary(max_size=60))
def test_every_other_body_is_refused(body: bytes) -> None:
    """No bytes make the reader fail in any way but by a 400."""
    with contextlib.suppress(InvalidRequest):
        read_model(body)


@pytest.mark.parametrize(
    ("body", "param", "code", "says"),
    [
        (b'{"model": "m",\n "x": [1,}', None, "invalid_json", "line 2"),
        (b"", None, "invalid_json", "byte 0"),
        (b'{"model":"m","x":"\xff"}', None, "invalid_json", "UTF-8"),
        (b'{"model":"m","x":' + b"[" * 5000 + b"]" * 5000 + b"}", None, "invalid_json", "deeper"),
        (b"[1]", None, "invalid_type", "object"),
        (b"{}", "model", "missing_required_parameter", "model"),
        (b'{"model":null}', "model", "missing_required_parameter", "model"),
        (b'{"model":""}', "model", "missing_required_parameter", "model"),
        (b'{"model":7}', "model", "invalid_type", "expected string"),
        (b'{"model":["m"]}', "model", "invalid_type", "expected string"),
    ],
)
def test_bad_bodies(server: Server, body: bytes, param: str | None, code: str, says: str) -> None:
    """A body that cannot be routed is a 400 that says what is wrong with it, and where."""
    for path in ("chat/completions", "completions", "embeddings"):
        reply = server.http.post(f"/v1/{path}", content=body, headers={"content-type": "application/json"})
        error = reply.json()["error"]
        assert (reply.status_code, error["param"], error["code"]) == (400, param, code)
        assert says in error["message"]


# -- what comes back


def test_headers_come_back_sifted(server: Server, backend: Backend) -> None:
    """Headers that clients act on pass; those of the back end's own house do not."""
    more = (
        "X-RateLimit-Remaining-Requests: 5\r\nOpenAI-Version: 2020-10-01\r\nSet-Cookie: a=b\r\nServer: nginx\r\n"
        "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nX-Internal-Host: gpu7\r\nVia: 1.1 x\r\nOpenAI-Processing-Ms: 99999\r\n"
        "X-Request-Id: theirs\r\nOpenAI-Organization: acme\r\n"
    )
    backend.handler = answering(COMPLETION, more=more)
    reply = server.http.post("/v1/chat/completions", json=CHAT)
    assert reply.headers.pop("x-request-id").startswith("req_")
    assert int(reply.headers.pop("openai-processing-ms")) < 20_000
    assert dict(reply.headers) == {
        "content-type": "application/json",
        "content-length": str(len(COMPLETION)),
        "x-ratelimit-remaining-requests": "5",
        "openai-version": "2020-10-01",
    }


def test_a_compressed_answer_arrives_plain(server: Server, backend: Backend) -> None:
    """A back end that compresses unasked is understood; no header claims what is no longer so."""
    import gzip

    packed = gzip.compress(COMPLETION)

    async def handler(peer: Peer) -> None:
        more = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n"
        await peer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}\r\n".encode() + packed)

    backend.handler = handler
    reply = server.http.post("/v1/chat/completions", json=CHAT)
    assert reply.content == COMPLETION
    assert "content-encoding" not in reply.headers


def test_a_stream_is_not_gathered(server: Server, backend: Backend) -> None:
    """Each event is with the client before the back end writes the next one."""
    seen = [threading.Event() for _ in range(3)]

    async def handler(peer: Peer) -> None:
        await peer.begin()
        for n, arrived in enumerate(seen):
            await peer.chunk(event(CHUNK % str(n).encode()))
            assert await asyncio.to_thread(arrived.wait, PATIENCE)
        await peer.chunk(event(b"[DONE]"))
        await peer.end()

    backend.handler = handler
    got = []
    for n, chunk in enumerate(server.client.chat.completions.create(**CHAT, stream=True)):
        got.append(chunk.choices[0].delta.content)
        seen[n].set()
    assert got == ["0", "1", "2"]


def test_stream_bytes_come_back_as_they_are(server: Server, backend: Backend) -> None:
    """Line ends, comments, odd fields and characters cut in two: nothing is re-encoded."""
    parts = [b": ping\r\n\r\ndata: {", b'"a" : "\xc3', b'\xa9"}\r\n\r\nevent: x\ndata:y\n\n', b"data: [DONE]\n\n"]

    async def handler(peer: Peer) -> None:
        await peer.begin("text/event-stream; charset=utf-8")
        for part in parts:
            await peer.chunk(part)
        await peer.end()

    backend.handler = handler
    reply = server.http.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert reply.content == b"".join(parts)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["x-accel-buffering"] == "no"


# -- refusals


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "invalid_api_key", openai.AuthenticationError),
        (404, "model_not_found", openai.NotFoundError),
        (429, "rate_limit_exceeded", openai.RateLimitError),
        (500, "server_error", openai.InternalServerError),
    ],
)
def test_refusals_pass(
    server: Server, backend: Backend, status: int, code: str, error: type[openai.APIStatusError]
) -> None:
    """The back end's own error arrives to the byte, with the headers that say when to come again."""
    body = b'{ "error": {"message":"No.","type":"t","param":"p","code":"%b","extra":{"a":1.0}}}' % code.encode()
    backend.handler = answering(body, f"{status} No", "Retry-After: 7\r\nX-Should-Retry: false\r\nSet-Cookie: a=b\r\n")
    with pytest.raises(error) as caught:
        server.client.chat.completions.create(**CHAT)
    told = caught.value
    assert (told.status_code, told.code, told.param, told.type) == (status, code, "p", "t")
    assert told.response.content == body
    assert (told.response.headers["retry-after"], told.response.headers["x-should-retry"]) == ("7", "false")
    assert "set-cookie" not in told.response.headers
    assert told.request_id is not None


@pytest.mark.parametrize(
    ("status", "body", "message", "seen"),
    [
        (502, b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>", 502),
        (400, b'{"object":"error","message":"too hot","type":"BadRequest","code":400}', "too hot", 400),
        (422, b'{"detail":[{"loc":["body"],"msg":"field required"}]}', "field required", 422),
        (500, b"", "answered 500", 500),
        (429, b'{"error":"slow down"}', "slow down", 429),
        (503, b"\xff\xfe", "\N{REPLACEMENT CHARACTER}", 503),
        (302, b"", "redirects are not followed", 502),
        (400, b'{"error":{"message":"%b is wrong","code":"c"}}' % KEY.encode(), "*** is wrong", 400),
        (400, b'{"error":{"message":"Bearer abcdef is wrong"}}', "*** is wrong", 400),
    ],
)
def test_other_refusals_are_put_in_form(
    server: Server, backend: Backend, status: int, body: bytes, message: str, seen: int
) -> None:
    """What is not an error as OpenAI writes them becomes one, with the same status; no secret stands in it."""
    backend.handler = answering(body, f"{status} No", "Retry-After: 3\r\nX-RateLimit-Limit-Tokens: 9\r\n")
    reply = server.http.post("/v1/chat/completions", json=CHAT)
    error = reply.json()["error"]
    assert reply.status_code == seen
    assert set(error) == {"message", "type", "param", "code"}
    assert message in error["message"]
    assert KEY not in reply.text
    assert reply.headers["content-type"] == "application/json"
    assert (reply.headers["retry-after"], reply.headers["x-ratelimit-limit-tokens"]) == ("3", "9")


def test_an_unknown_model(server: Server, tmp_path: Path) -> None:
    """With no back end that knows it, a model is a 404; so it is when the demo model is asked for another."""
    alone = Server(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path))))
    alone.start()
    try:
        for ask in (
            lambda: alone.client.chat.completions.create(**{**CHAT, "model": "gpt-9"}),
            lambda: alone.client.embeddings.create(model="gpt-9", input="x"),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                ask()
            assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    finally:
        alone.stop()


def test_other_methods_and_bodies(server: Server) -> None:
    """A wrong method, media type or coding is refused before anything is asked."""
    assert server.http.get("/v1/chat/completions").status_code == 405
    assert server.http.post("/v1/embeddings", data={"model": "m"}).status_code == 415
    packed = {"content-type": "application/json", "content-encoding": "gzip"}
    assert server.http.post("/v1/completions", content=b"x", headers=packed).status_code == 415
