"""One back end: live against the scripted one, and against sockets that behave as no scripted one does."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from antiphon.errors import UpstreamError
from antiphon.upstream.door import Door, header, read_all
from antiphon.upstream.errors import ContextLengthExceeded
from tests.scripted import Scripted
from tests.upstream.loopback import Peer, ask, collect, serving, text_of, upstream

pytestmark = pytest.mark.anyio

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
ANSWER = b'data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def script(text: str, **more: object) -> dict[str, object]:
    return ask(text, model="scripted", **more)


async def streaming(peer: Peer) -> None:
    """Answers every request with a short stream."""
    while await peer.request():
        await peer.begin()
        await peer.chunk(ANSWER)
        await peer.end()


async def test_text_and_usage(scripted: Scripted, door: Door) -> None:
    """A plain answer arrives whole, with its usage."""
    chunks = await collect(await upstream(scripted.url, door).stream(script("<<say hello $user there>> dear")))
    assert text_of(chunks) == "hello dear there"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens


QUIRKS = ["whole-call", "index0", "null-id", "empty-first", "null-content", "role-each", "usage-each", "no-usage"]
QUIRKS += ["finish-stop", "no-done", "no-finish", "crlf", "ping", "empty-tools"]


@pytest.mark.parametrize("quirk", QUIRKS)
async def test_quirks_of_back_ends(scripted: Scripted, door: Door, quirk: str) -> None:
    """Whatever the quirk, the text and the call come through."""
    local = upstream(scripted.url, door)
    assert text_of(await collect(await local.stream(script(f"<<quirk {quirk}>> <<say a b c>>")))) == "a b c"
    called = await collect(await local.stream(script(f'<<quirk {quirk}>> <<call look {{"q": 1}}>>', tools=[TOOL])))
    calls = [c for k in called for o in k.choices or [] if o.delta is not None for c in o.delta.tool_calls or []]
    functions = [c.function for c in calls if c.function is not None]
    assert [f.name for f in functions if f.name] == ["look"]
    assert "".join(str(f.arguments or "") for f in functions) == '{"q": 1}'


async def test_a_refusal_has_the_back_ends_words(scripted: Scripted, door: Door) -> None:
    """Status, code and retry-after are the back end's own."""
    with pytest.raises(UpstreamError) as caught:
        await upstream(scripted.url, door).stream(script("<<error 429 retry-after=3>>"))
    assert (caught.value.status, caught.value.code, caught.value.type) == (
        429,
        "rate_limit_exceeded",
        "rate_limit_error",
    )
    assert caught.value.headers == {"retry-after": "3"}


async def test_a_bad_key_is_named_without_being_shown(scripted: Scripted, door: Door) -> None:
    """401 stays 401, and the key is nowhere."""
    with pytest.raises(UpstreamError) as caught:
        await upstream(scripted.url, door, key="bad-hunter2").stream(script("hi"))
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert "hunter2" not in str(caught.value.body())


@pytest.mark.parametrize("marker", ["<<cut 3>>", "<<cut 0>>"])
async def test_a_cut_stream(scripted: Scripted, door: Door, marker: str) -> None:
    """A stream that breaks off raises after its chunks."""
    stream = await upstream(scripted.url, door).stream(script(f"{marker} <<long 9>>"))
    with pytest.raises(UpstreamError) as caught:
        await collect(stream)
    assert caught.value.code == "upstream_stream_cut"


async def test_an_error_in_the_stream(scripted: Scripted, door: Door) -> None:
    """An error object in the stream raises with its code."""
    stream = await upstream(scripted.url, door).stream(script("<<stream-error 2>> <<long 9>>"))
    with pytest.raises(UpstreamError) as caught:
        await collect(stream)
    assert caught.value.code == "server_error"


async def test_hanging_up_reaches_the_back_end_at_once(door: Door) -> None:
    """Closing a stream in the middle is seen by the back end within 100 ms."""
    gone = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
        await peer.gone()
        gone.set()

    async with serving(handler) as url:
        stream = await upstream(url, door).stream(ask("hi"))
        await anext(stream)
        start = time.monotonic()
        await stream.aclose()
        await asyncio.wait_for(gone.wait(), 5)
        assert time.monotonic() - start < 0.1


@pytest.mark.parametrize("config", [{"read_seconds": 0.1}, {"connect_seconds": 0.1}])
async def test_nobody_answers(door: Door, config: dict[str, float]) -> None:
    """Silence is 504, nobody there is 502; both name the back end and its host, and no key."""

    async def handler(peer: Peer) -> None:
        await peer.gone()

    async with serving(handler) as url:
        local = upstream(url.replace("//", "//user:hunter2@"), door, key="hunter3", **config)
        if "read_seconds" in config:
            with pytest.raises(UpstreamError) as caught:
                await local.stream(ask("hi"))
            assert (caught.value.status, caught.value.code) == (504, "upstream_timeout")
    if "connect_seconds" in config:
        with pytest.raises(UpstreamError) as caught:
            await local.stream(ask("hi"))
        assert (caught.value.status, caught.value.code) == (502, "upstream_unreachable")
    assert "local" in caught.value.message
    assert "127.0.0.1:" in caught.value.message
    assert "hunter" not in caught.value.message


async def test_only_named_headers_go_upstream(door: Door) -> None:
    """Of the client's headers those that the configuration names; its Authorization only when told to."""
    heads: list[str] = []

    async def handler(peer: Peer) -> None:
        while await peer.request():
            heads.append(peer.head.lower())
            await peer.begin()
            await peer.chunk(ANSWER)
            await peer.end()

    client = [("Authorization", "Bearer client"), ("X-Trace", "7"), ("X-Other", "8"), ("Host", "evil"), ("Cookie", "c")]
    async with serving(handler) as url:
        for config in (
            {"key": "ours"},
            {"key": "ours", "forward_headers": ("x-trace", "host", "cookie")},
            {"key": "ours", "forward_auth": True},
        ):
            await collect(await upstream(url, door, **config).stream(ask("hi"), headers=client))
    plain, traced, authorised = heads
    assert "authorization: bearer ours\r\n" in plain
    assert "x-trace" not in plain + authorised
    assert "x-trace: 7\r\n" in traced
    assert "x-other" not in traced
    assert "evil" not in traced
    assert "cookie" not in traced
    assert "bearer client" in authorised
    assert "bearer ours" not in authorised


async def test_the_body_is_the_request_and_nothing_else(door: Door) -> None:
    """What goes upstream is the request's JSON, the same each time."""
    bodies: list[bytes] = []

    async def handler(peer: Peer) -> None:
        while await peer.request():
            bodies.append(peer.body)
            await peer.begin()
            await peer.chunk(ANSWER)
            await peer.end()

    request = ask("grüße", temperature=0.5)
    async with serving(handler) as url:
        local = upstream(url, door)
        for _ in range(2):
            await collect(await local.stream(request))
    assert bodies[0] == bodies[1]
    assert msgspec.json.decode(bodies[0]) == request


async def test_a_stream_returns_its_connection(door: Door) -> None:
    """After [DONE] the connection serves the next stream."""
    connections = 0

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await streaming(peer)

    async with serving(handler) as url:
        local = upstream(url, door)
        for _ in range(3):
            await collect(await local.stream(ask("hi")))
    assert connections == 1


async def test_pass_through_is_raw(scripted: Scripted, door: Door) -> None:
    """Bytes go and come unchanged, whatever the status."""
    local = upstream(scripted.url, door)
    body = b'{"model": "scripted-embed",  "input": "hi", "encoding_format": "base64"}'
    reply = await local.forward("POST", "/embeddings", body, [("Content-Type", "application/json; charset=utf-8")])
    assert reply.status == 200
    assert header(reply.headers, "content-type") == "application/json"
    assert msgspec.json.decode(await read_all(reply, 1 << 20))["object"] == "list"
    reply = await local.forward("GET", "/models/nope")
    assert reply.status == 404
    assert b"nope" in await read_all(reply, 1 << 20)


async def test_models_are_asked_for_once(door: Door) -> None:
    """The list is cached, also when it cannot be had, and never raises."""
    asked = 0

    async def handler(peer: Peer) -> None:
        nonlocal asked
        while await peer.request():
            asked += 1
            await peer.answer(b'{"object":"list","data":[{"id":"a","max_model_len":4096},{"id":"b"}]}')

    async with serving(handler) as url:
        local = upstream(url, door, models=("c", "a"))
        lists = await asyncio.gather(*(local.models() for _ in range(5)))
        assert [m["id"] for m in lists[0]] == ["a", "b", "c"]
        assert all(found == lists[0] for found in lists)
    assert asked == 1
    lost = upstream(url, door, models=("c",))
    assert [m["id"] for m in await lost.models()] == ["c"]
    assert lost.listing.failure is not None
    assert lost.listing.fresh


@pytest.mark.parametrize(
    ("entry", "window"),
    [
        ({"max_model_len": 1}, 1),
        ({"meta": {"n_ctx_train": 2}}, 2),
        ({"context_length": 3}, 3),
        ({"max_context_length": 5, "loaded_context_length": 4}, 4),
        ({"context_window": "5"}, 5),
        ({"context_length": None}, None),
        ({"max_model_len": True}, None),
        ({}, None),
    ],
)
async def test_context_windows_of_lists(door: Door, entry: dict[str, object], window: int | None) -> None:
    """Where a list states how much a model reads, it is found."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(msgspec.json.encode({"data": [{"id": "m", **entry}]}))

    async with serving(handler) as url:
        local = upstream(url, door)
        assert local.context_window("m") is None
        await local.models()
        assert local.context_window("m") == window
        local.learn_context_window("m", 77)
        assert local.context_window("m") == (window or 77)
        told = upstream(url, door, context_window={"*": 10, "m": 9})
        assert (told.context_window("m"), told.context_window("x")) == (9, 10)


async def test_a_refusal_for_length_teaches(door: Door) -> None:
    """The limit in a refusal is remembered for the model."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        body = b'{"error":{"message":"This model\'s maximum context length is 4096 tokens."}}'
        await peer.answer(body, "400 Bad Request")

    async with serving(handler) as url:
        local = upstream(url, door)
        with pytest.raises(ContextLengthExceeded):
            await local.stream(ask("hi", model="m"))
        assert local.context_window("m") == 4096


async def counted(door: Door, routes: dict[str, bytes]) -> tuple[list[int | None], list[str]]:
    """Two countings against a back end with these paths; and the paths that were asked."""
    paths: list[str] = []

    async def handler(peer: Peer) -> None:
        while await peer.request():
            path = peer.head.split(" ")[1]
            paths.append(path)
            if path in routes:
                await peer.answer(routes[path])
            else:
                await peer.answer(b"{}", "404 Not Found")

    async with serving(handler) as url:
        local = upstream(url, door)
        return [await local.count_tokens(ask("hi")) for _ in range(2)], paths


async def test_counting_with_vllm(door: Door) -> None:
    """One call to /tokenize counts."""
    assert await counted(door, {"/tokenize": b'{"count": 12, "max_model_len": 99}'}) == ([12, 12], ["/tokenize"] * 2)


async def test_counting_with_llama_server(door: Door) -> None:
    """The template is applied, then counted; what was found out once is not asked again."""
    routes = {"/tokenize": b'{"tokens": [1, 2, 3]}', "/apply-template": b'{"prompt": "x"}'}
    both = ["/apply-template", "/tokenize"]
    assert await counted(door, routes) == ([3, 3], ["/tokenize", *both, *both])


async def test_counting_with_neither(door: Door) -> None:
    """A back end without a tokenizer is asked once."""
    assert await counted(door, {}) == ([None, None], ["/tokenize", "/apply-template"])


async def test_what_the_scripted_back_end_saw(scripted: Scripted, door: Door) -> None:
    """The request has the canonical form at the other side: headers of ours only."""
    scripted.reset()
    await collect(await upstream(scripted.url, door).stream(script("count me")))
    (seen,) = [r for r in scripted.requests() if r["body"]["messages"][0]["content"] == "count me"]
    assert set(seen["headers"]) == {"host", "content-type", "content-length", "accept", "user-agent"}
    assert seen["path"] == "/v1/chat/completions"
