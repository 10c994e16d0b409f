"""The proxy between the official SDK and a back end, over real sockets."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from antiphon.tape.last import LastEvent
from antiphon.tape.outbound import Outbound, OutboundFailed
from antiphon.tape.proxy.relay import Way
from tests.tape.proxy.raw import RawUpstream
from tests.tape.proxy.support import MESSAGES, proxy, stored, text_of
from tests.upstreams import PATIENCE, Break, FakeBackend, Gate, delta, text

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeBackend]:
    """One back end for the module."""
    with FakeBackend() as backend:
        yield backend


@pytest.fixture
def backend(fake: FakeBackend) -> FakeBackend:
    """It, with nothing scripted."""
    fake.reset()
    return fake


def ask(client: openai.OpenAI, words: str = "Say it.", **more: Any) -> Any:
    """A streamed chat completion."""
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}], stream=True, **more)


def test_what_was_recorded_is_replayed_without_the_upstream(backend: FakeBackend, tmp_path: Path) -> None:
    """The same chunks come again, and the back end is asked once."""
    backend.answer(*text("one ", "two ", "three"))
    with proxy(tmp_path, backend.url) as running:
        live = text_of(ask(running.sdk("a")))
        running.files()
        running.control("POST", "scopes/start", {"scope": "a"})
        assert text_of(ask(running.sdk("a"))) == live == ["one ", "two ", "three"]
    with proxy(tmp_path, "http://127.0.0.1:9/v1", "replay") as running:
        assert text_of(ask(running.sdk("a"))) == live
    assert len(backend.calls) == 1


def test_the_first_token_is_not_held_back_while_recording(backend: FakeBackend, tmp_path: Path) -> None:
    """The client has the first piece while the back end has not yet sent the second."""
    gate = Gate()
    backend.answer(delta(content="first"), gate, *text("second"))
    with proxy(tmp_path, backend.url, "record") as running:
        stream = ask(running.sdk())
        assert next(stream).choices[0].delta.content == "first"
        gate.open()
        assert text_of(stream) == ["second"]


def test_a_client_that_hangs_up_cuts_the_upstream(backend: FakeBackend, tmp_path: Path) -> None:
    """The back end sees it go, the file says so, and a reader who goes on later is told."""
    gate = Gate()
    backend.answer(delta(content="first"), gate, *text("never"))
    with proxy(tmp_path, backend.url) as running:
        stream = ask(running.sdk("a"))
        next(stream)
        stream.response.close()
        assert backend.call().gone.wait(PATIENCE)
        running.control("POST", "scopes/stop", {"scope": "a"})
        (file,) = running.files()
        assert stored(file)["response"]["end"] == "closed"
        running.control("PUT", "mode", {"mode": "replay"})
        with pytest.raises(openai.APIError, match="hung up"):
            text_of(ask(running.sdk("a")))
    gate.open()


def test_the_credentials_go_to_the_upstream_and_into_no_file(backend: FakeBackend, tmp_path: Path) -> None:
    """The back end gets the client's key; nothing below the directory holds it."""
    with proxy(tmp_path, backend.url) as running:
        text_of(ask(running.sdk("a"), extra_headers={"X-Antiphon-Scope": "b"}))
        running.files()
    assert backend.call().headers["authorization"] == "Bearer sk-of-the-client-0123456789"
    assert not [name for name in backend.call().headers if name.startswith("x-antiphon")]
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"sk-of-the-client" not in file.read_bytes(), file


def test_scopes_count_their_repeats_by_themselves(backend: FakeBackend, tmp_path: Path) -> None:
    """Two scopes that ask the same get their own answers in their own order, by prefix or by header."""
    for word in ("a1", "a2", "b1"):
        backend.answer(*text(word))
    with proxy(tmp_path, backend.url) as running:
        header = running.sdk(default_headers={"X-Antiphon-Scope": "b"})
        assert [text_of(ask(running.sdk("a"))), text_of(ask(running.sdk("a")))] == [["a1"], ["a2"]]
        assert text_of(ask(header)) == ["b1"]
    with proxy(tmp_path, backend.url, "replay") as running:
        assert text_of(ask(running.sdk("b"))) == ["b1"]
        header = running.sdk(default_headers={"X-Antiphon-Scope": "a"})
        assert [text_of(ask(header)), text_of(ask(header))] == [["a1"], ["a2"]]


def test_a_miss_is_424_and_is_not_tried_again(backend: FakeBackend, tmp_path: Path) -> None:
    """The SDK with its default retries asks once, and shows the report."""
    backend.answer(*text("yes"))
    with proxy(tmp_path, backend.url) as running:
        text_of(ask(running.sdk("a"), "What is the capital of France?"))
        running.files()
        running.control("PUT", "mode", {"mode": "replay"})
        client = running.sdk("a", max_retries=2)
        with pytest.raises(openai.APIStatusError) as caught:
            ask(client, "What is the capital of Spain?")
        assert caught.value.status_code == 424
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert caught.value.code == "recording_miss"
        assert "France" in str(caught.value)
        assert "Spain" in str(caught.value)
        assert len(running.control("GET", "misses")["misses"]) == 1
    assert len(backend.calls) == 1


def test_a_refusal_of_the_upstream_is_recorded_as_it_is(backend: FakeBackend, tmp_path: Path) -> None:
    """429 with Retry-After reaches the client while recording, and again on replay; then the 200 behind it."""
    backend.refuse(429, {"error": {"message": "slow down", "code": "rate_limit"}}, "Retry-After: 0\r\n")
    backend.answer(*text("now"))
    for mode in ("record", "replay"):
        with proxy(tmp_path, backend.url, mode) as running:
            with pytest.raises(openai.RateLimitError) as caught:
                ask(running.sdk("a"))
            assert caught.value.response.headers["retry-after"] == "0"
            assert text_of(ask(running.sdk("a"))) == ["now"]
    assert len(backend.calls) == 2


@pytest.mark.parametrize("protocol", [None, HttpToolsProtocol])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stream_that_breaks_off_does_so_again(tmp_path: Path, how: str, protocol: Any) -> None:
    """Live and on replay the client gets what came, then the same exception; under a foreign server at least none ends
    well.
    """
    with RawUpstream(lambda request: ("text/event-stream", [b'data: {"a":1}\n\n', b'data: {"a"'], how)) as upstream:
        seen = []
        for mode in ("record", "replay"):
            more = {} if protocol is None else {"protocol": protocol}
            with proxy(tmp_path, upstream.url, mode, **more) as running:
                seen.append(_broken(running.http, "/openai/v1/x"))
                if protocol is not None:
                    continue
                (file,) = running.files()
                assert stored(file)["response"]["end"] == {"close": "error", "reset": "reset"}[how]
        direct = _broken(running_client := httpx2.Client(trust_env=False), f"{upstream.url}/x")
        running_client.close()
        assert len(upstream.requests) == 2
    assert seen[0] == seen[1]
    assert seen[0][0] == b'data: {"a":1}\n\ndata: {"a"'
    if protocol is None:
        assert seen[0] == direct


def _broken(client: httpx2.Client, url: str) -> tuple[bytes, str]:
    got = b""
    with client.stream("POST", url, content=b"{}") as reply:
        try:
            for part in reply.iter_raw():
                got += part
        except httpx2.TransportError as failure:
            return got, type(failure).__name__
    return got, "ended well"


def test_a_broken_stream_is_the_same_to_the_sdk(backend: FakeBackend, tmp_path: Path) -> None:
    """Five events and then the SDK's own exception, live and replayed."""
    backend.answer(*(delta(content=str(n)) for n in range(5)), Break())
    seen = []
    for mode in ("record", "replay"):
        with proxy(tmp_path, backend.url, mode) as running:
            pieces: list[str] = []
            with pytest.raises((openai.APIError, httpx2.TransportError)) as caught:
                pieces += [chunk.choices[0].delta.content or "" for chunk in _each(ask(running.sdk("a")), pieces)]
            seen.append((list(pieces), type(caught.value)))
    assert seen[0] == seen[1]
    assert seen[0][0] == ["0", "1", "2", "3", "4"]
    assert len(backend.calls) == 1


def _each(stream: Any, pieces: list[str]) -> Iterator[Any]:
    for chunk in stream:
        pieces.append(chunk.choices[0].delta.content)
        yield chunk


def test_an_upstream_that_is_not_there_is_a_gateway_error(tmp_path: Path) -> None:
    """502 in OpenAI's form, and nothing is recorded: the next call may find it."""
    with proxy(tmp_path, "http://127.0.0.1:9/v1") as running:
        with pytest.raises(openai.InternalServerError) as caught:
            ask(running.sdk("a"))
        assert caught.value.status_code == 502
        assert caught.value.code == "upstream_connect"
        assert "openai" in str(caught.value)
        assert running.files() == []


def test_an_unknown_upstream_is_a_404_that_names_the_others(tmp_path: Path) -> None:
    """The name is in the path, so a slip is answered with the names there are."""
    upstreams = {"openai": "http://127.0.0.1:9/v1", "local": "http://127.0.0.1:9"}
    with proxy(tmp_path, "", upstreams=upstreams) as running:
        reply = running.http.get("/s/a/opnai/v1/models")
        assert reply.status_code == 404
        assert "/openai/, /local/" in reply.json()["error"]["message"]


def test_a_long_body_is_sent_whole_and_found_again(tmp_path: Path) -> None:
    """More than is kept in memory: it arrives byte for byte, is matched by its hash, and another one misses."""
    body = b"%09d" % 7 * (1 << 20)
    with RawUpstream(lambda request: ("application/json", [b'{"ok":true}'], "end")) as upstream:
        with proxy(tmp_path, upstream.url) as running:
            headers = {"content-type": "application/octet-stream"}
            for _ in range(2):
                reply = running.http.post("/s/a/openai/v1/files", content=body, headers=headers)
                assert reply.json() == {"ok": True}
                (file,) = running.files()
                running.control("POST", "scopes/start", {"scope": "a"})
            running.control("PUT", "mode", {"mode": "replay"})
            other = running.http.post("/s/a/openai/v1/files", content=body[:-1] + b"x", headers=headers)
            assert other.status_code == 424
        (sent,) = upstream.requests
        assert hashlib.sha256(sent.body).digest() == hashlib.sha256(body).digest()
        assert hashlib.sha256(body).hexdigest() in file.read_text()
        assert file.stat().st_size < 4000


def test_a_compressed_answer_is_passed_on_readable(tmp_path: Path) -> None:
    """None is asked for; one that comes all the same is unpacked, so that the file can be read."""
    packed = gzip.compress(b'{"say":"hello"}')
    extra = {"Content-Encoding": "gzip"}
    with RawUpstream(lambda request: ("application/json", [packed], "end"), headers=extra) as upstream:
        with proxy(tmp_path, upstream.url) as running:
            reply = running.http.get("/openai/v1/x")
            assert reply.json() == {"say": "hello"}
            assert "content-encoding" not in reply.headers
            assert "hello" in running.files()[0].read_text()
        assert "Accept-Encoding: identity" in upstream.requests[0].head.title().replace("Identity", "identity")


def test_a_slow_reader_holds_back_the_upstream(tmp_path: Path) -> None:
    """Nothing piles up: while the client does not read, the back end cannot send."""
    stalled = threading.Event()
    sent: list[int] = []

    def answer(request: Any) -> Any:
        return "application/octet-stream", _Endless(stalled, sent), "end"

    with (
        RawUpstream(answer) as upstream,
        proxy(tmp_path, upstream.url, "live") as running,
        running.http.stream("GET", "/openai/v1/x") as reply,
    ):
        assert reply.status_code == 200
        assert stalled.wait(PATIENCE), f"the back end could send {sum(sent)} bytes"
        assert sum(sent) < 32 << 20


class _Endless:
    """256 MB in pieces; notes what the socket has taken, and says when it takes no more."""

    def __init__(self, stalled: threading.Event, sent: list[int]) -> None:
        self.stalled = stalled
        self.sent = sent

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(256):
            yield b"x" * (1 << 20)
            self.sent.append(1 << 20)


def test_the_transport_of_its_own_serves_as_well(backend: FakeBackend, tmp_path: Path) -> None:
    """Without the server's network the proxy records and replays the same, breaks included."""
    backend.answer(*text("one ", "two"))
    backend.answer(delta(content="x"), Break())
    way = Way(Outbound(), (OutboundFailed,))
    with proxy(tmp_path, backend.url, way=way) as running:
        assert text_of(ask(running.sdk("a"))) == ["one ", "two"]
        with pytest.raises((openai.APIError, httpx2.TransportError)):
            text_of(ask(running.sdk("b")))
    with proxy(tmp_path, "http://127.0.0.1:9", "replay", way=Way(Outbound(), (OutboundFailed,))) as running:
        assert text_of(ask(running.sdk("a"))) == ["one ", "two"]
        with pytest.raises((openai.APIError, httpx2.TransportError)):
            text_of(ask(running.sdk("b")))
    assert len(backend.calls) == 2


def test_a_client_that_stops_at_the_last_event_has_had_all(backend: FakeBackend, tmp_path: Path) -> None:
    """Some hang up at [DONE] and never see the end of the body: the recording is complete all the same."""
    gate = Gate()
    with RawUpstream(lambda request: ("text/event-stream", [b"data: 1\n\n", b"data: [DONE]\n\n", gate], "end")) as up:
        with proxy(tmp_path, up.url) as running:
            with running.http.stream("POST", "/s/a/openai/v1/x", content=b"{}") as reply:
                got = b""
                for part in reply.iter_raw():
                    got += part
                    if got.endswith(b"[DONE]\n\n"):
                        break
            _until(lambda: len(running.files()) == 1)
            assert '"closed"' not in running.files()[0].read_text()
        gate.open()


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_last_event_is_seen_wherever_it_is_cut(cut: int) -> None:
    """In whatever reads it comes."""
    for body in (b"data: 1\n\ndata: [DONE]\n\n", b"event: message_stop\r\ndata: {}\r\n\r\n"):
        end = LastEvent()
        for start in range(0, len(body), cut):
            assert not end.here
            end.feed(body[start : start + cut])
        assert end.here
    end = LastEvent()
    end.feed(b'data: {"text": "data: [DONE]"}\n\n')
    assert not end.here


def _until(true: Callable[[], bool]) -> None:
    deadline = threading.Event()
    for _ in range(500):
        if true():
            return
        deadline.wait(0.02)
    raise AssertionError("it did not happen")


def test_a_websocket_and_a_wrong_fault_are_refused(backend: FakeBackend, tmp_path: Path) -> None:
    """A fault that cannot be understood is a 400 and no call."""
    with proxy(tmp_path, backend.url) as running:
        reply = running.http.post(
            "/openai/v1/chat/completions", json={"messages": MESSAGES}, headers={"X-Antiphon-Fault": "explode=1"}
        )
        assert reply.status_code == 400
        assert json.loads(reply.content)["error"]["code"] == "invalid_fault"
    assert backend.calls == []
