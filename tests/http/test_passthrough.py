"""The pass-through routes, as the official SDK and a plain socket see them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config import Config, StorageConfig, UpstreamConfig
from antiphon.errors import InvalidRequest, UpstreamError
from antiphon.http.exchange import ClientGone, Exchange
from antiphon.http.passthrough import Passthrough, read_model
from antiphon.upstream.door import Door
from antiphon.upstream.routing import Router
from tests.http.backends import Backend, Handler
from tests.server import Server
from tests.upstream.conftest import door
from tests.upstream.loopback import Peer, upstream
from tests.upstreams import PATIENCE

__all__ = ["door"]

KEY = "sk-ours-0123456789"
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CHUNK = (
    b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"%b"}}]}'
)
COMPLETION = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m", "choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"yes"}}],"x":1.50}'
)


@pytest.fixture(scope="module")
def back() -> Iterator[Backend]:
    """The back end ``local`` of this module's server."""
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def module_server(back: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one back end, which needs a key, and the demo model."""
    local = UpstreamConfig(url=back.url, key=KEY, read_seconds=0.5)
    folder = str(tmp_path_factory.mktemp("data"))
    server = Server(Config(upstreams={"local": local}, discover=False, storage=StorageConfig(data_dir=folder)))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def backend(back: Backend) -> Backend:
    """The back end, with nothing scripted."""
    back.reset()
    return back


@pytest.fixture
def server(module_server: Server, backend: Backend) -> Server:
    """The server."""
    return module_server


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def answering(body: bytes, status: str = "200 OK", more: str = "") -> Handler:
    """A back end with one JSON answer."""

    async def handler(peer: Peer) -> None:
        await peer.answer(body, status, more)

    return handler


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


# -- breaks


def breaking(*parts: bytes, kind: str = "text/event-stream", length: int | None = None) -> Handler:
    """A back end that drops the connection after these reads."""

    async def handler(peer: Peer) -> None:
        if length is None:
            await peer.begin(kind)
        else:
            await peer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode())
        for part in parts:
            await (peer.chunk(part) if length is None else peer.write(part))

    return handler


def test_a_stream_that_breaks_between_events(server: Server, backend: Backend) -> None:
    """The SDK gets what came, and then raises with the reason."""
    backend.handler = breaking(event(CHUNK % b"some"))
    chunks = iter(server.client.chat.completions.create(**CHAT, stream=True))
    assert next(chunks).choices[0].delta.content == "some"
    with pytest.raises(openai.APIError, match="before the answer was complete") as caught:
        next(chunks)
    assert caught.value.code == "upstream_disconnected"


def test_a_stream_that_breaks_before_its_first_event(server: Server, backend: Backend) -> None:
    """It has begun with a 200, so the reason comes as its only event."""
    backend.handler = breaking()
    with pytest.raises(openai.APIError, match="before the answer was complete"):
        list(server.client.chat.completions.create(**CHAT, stream=True))


@pytest.mark.parametrize(
    ("parts", "tells"),
    [
        ([event(CHUNK % b"a")], True),
        ([b"data: {}\r\n\r", b"\n"], True),
        ([event(CHUNK % b"a"), b'data: {"choi'], False),
        ([b"data: {}\n"], False),
    ],
)
def test_a_broken_stream_has_no_clean_end(server: Server, backend: Backend, parts: list[bytes], tells: bool) -> None:
    """Bytes that came are kept; the body never ends as a whole one does; an error event only where one can stand."""
    backend.handler = breaking(*parts)
    got = bytearray()
    with server.http.stream("POST", "/v1/chat/completions", json=CHAT) as reply:
        body = reply.iter_raw()
        with pytest.raises(httpx2.RemoteProtocolError):
            got.extend(b"".join(got.extend(data) or b"" for data in body))
    sent = b"".join(parts)
    assert got.startswith(sent)
    assert (b'data: {"error":' in got[len(sent) :]) is tells
    if not tells:
        assert got == sent


def test_a_body_that_breaks(server: Server, backend: Backend) -> None:
    """A JSON body cut short is no answer to anybody, whether or not its length was told."""
    for length in (None, len(COMPLETION)):
        backend.handler = breaking(COMPLETION[:40], kind="application/json", length=length)
        with pytest.raises(openai.APIConnectionError):
            server.client.chat.completions.create(**CHAT)


def test_a_body_that_breaks_at_once(server: Server, backend: Backend) -> None:
    """While nothing was sent, the failure still is an HTTP error."""
    backend.handler = breaking(kind="application/json")
    with pytest.raises(openai.InternalServerError) as caught:
        server.client.chat.completions.create(**CHAT)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_disconnected")


def test_a_silent_back_end(server: Server, backend: Backend) -> None:
    """Silence before the status line is a 504; in the middle of a stream it is an error event."""

    async def silent(peer: Peer) -> None:
        await asyncio.Event().wait()

    async def falling_silent(peer: Peer) -> None:
        await peer.begin()
        await peer.chunk(event(CHUNK % b"a"))
        await asyncio.Event().wait()

    backend.handler = silent
    with pytest.raises(openai.InternalServerError) as caught:
        server.client.chat.completions.create(**CHAT)
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
    backend.handler = falling_silent
    with pytest.raises(openai.APIError, match="silent"):
        list(server.client.chat.completions.create(**CHAT, stream=True))


# -- hang-up and back-pressure


def dial(server: Server, body: dict[str, Any]) -> socket.socket:
    """A plain connection with a request on it."""
    host, port = server.root.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), PATIENCE)
    data = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    sock.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    return sock


def test_a_hang_up_reaches_the_back_end(server: Server, backend: Backend) -> None:
    """Within 100 ms its connection is cut: in a stream, in a body, and while it is still thinking."""
    started = threading.Event()

    def begun(kind: str | None) -> Handler:
        async def handler(peer: Peer) -> None:
            if kind is not None:
                await peer.begin(kind)
                await peer.chunk(event(CHUNK % b"a"))
            started.set()
            await asyncio.Event().wait()

        return handler

    for kind in ("text/event-stream", "application/json", None):
        started.clear()
        backend.gone.clear()
        backend.handler = begun(kind)
        sock = dial(server, CHAT)
        assert started.wait(PATIENCE)
        if kind is not None:
            assert b"200 OK" in sock.recv(65536)
        sock.close()
        at = time.monotonic()
        assert backend.gone.wait(PATIENCE)
        assert time.monotonic() - at < 0.1


def test_a_client_that_does_not_read_stops_the_back_end(server: Server, backend: Backend) -> None:
    """The back end can write only what the sockets hold; when the client reads again, it goes on."""
    paused, written = threading.Event(), [0]
    size = 256 * 1024

    async def handler(peer: Peer) -> None:
        await peer.begin()
        while not paused.is_set() and written[0] < 512 * 1024 * 1024:
            piece = asyncio.ensure_future(peer.chunk(b"x" * size))
            written[0] += size
            if not (await asyncio.wait([piece], timeout=0.3))[0]:
                paused.set()
            await piece
        await peer.end()

    backend.handler = handler
    with dial(server, CHAT) as sock:
        assert paused.wait(PATIENCE)
        assert written[0] < 64 * 1024 * 1024
        got, tail = 0, b""
        while not tail.endswith(b"0\r\n\r\n"):
            data = sock.recv(1 << 20)
            got, tail = got + len(data), (tail + data)[-5:]
    assert got > written[0]


# -- other servers than ours: plain ASGI, without the connection


class Client:
    """The other side of an ASGI application."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.begun = asyncio.Event()
        self.leave = asyncio.Event()
        self._reads = reads
        self._asked = False

    async def receive(self) -> MutableMapping[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": json.dumps(CHAT).encode(), "more_body": False}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.begun.set()
            if not self._reads:
                await asyncio.Event().wait()

    def exchange(self) -> Exchange:
        scope = {"type": "http", "method": "POST", "headers": [], "query_string": b"", "path_params": {}}
        return Exchange(scope, self.receive, self.send, max_body_bytes=1 << 20)


def passthrough(url: str, door: Door, **more: Any) -> Passthrough:
    return Passthrough(Router({"local": upstream(url, door)}, "local", None), **more)


async def endless(peer: Peer) -> None:
    await peer.request()
    await peer.begin()
    await peer.chunk(event(CHUNK % b"a"))
    await peer.gone()


@pytest.fixture
def over(door: Door) -> Callable[..., Any]:
    """Runs a check against a pass-through over one handler of a back end."""
    from tests.upstream.loopback import serving

    async def run(handler: Handler, client: Client, act: Callable[[], Any] = lambda: None, **more: Any) -> None:
        async with serving(handler) as url:
            task = asyncio.ensure_future(passthrough(url, door, **more).chat(client.exchange()))
            await asyncio.wait([task, asyncio.ensure_future(client.begun.wait())], return_when="FIRST_COMPLETED")
            act()
            async with asyncio.timeout(PATIENCE):
                await task

    return run


@pytest.mark.anyio
async def test_a_hang_up_elsewhere(over: Callable[..., Any]) -> None:
    """Under any ASGI server a disconnect ends the exchange, and the back end's connection with it."""
    client = Client()
    await over(endless, client, client.leave.set)
    assert client.sent[-1]["more_body"] is True


@pytest.mark.anyio
async def test_a_stalled_client_is_let_go(over: Callable[..., Any]) -> None:
    """A client that takes nothing is not waited for without end, and the back end is cut."""
    with pytest.raises(ClientGone):
        await over(endless, Client(reads=False), stall_seconds=0.05)


@pytest.mark.anyio
async def test_a_break_elsewhere(over: Callable[..., Any]) -> None:
    """Under any ASGI server a broken answer is an error of the application, so that the connection breaks too."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(event(CHUNK % b"a"))

    client = Client()
    with pytest.raises(UpstreamError, match="before the answer was complete"):
        await over(handler, client)
    assert client.sent[-1]["body"].startswith(b'data: {"error":')
    assert client.sent[-1]["more_body"] is True
