"""How the tape gets under the libraries: without importing them, whenever they come, and leaving nothing behind."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import aiohttp
import httpx2
import pytest

from antiphon.tape.clients import install, passing
from antiphon.tape.clients.call import boundary_of
from antiphon.tape.clients.coding import decoder
from antiphon.tape.clients.endings import of_exception, words_of
from tests.tape.clients.conftest import OnTape
from tests.tape.clients.drivers import Driver, drivers
from tests.tape.clients.far_side import FarSide


def test_undo_leaves_the_libraries_as_they_were() -> None:
    """The very same functions, and no finder of ours."""
    before = _functions()
    paths = list(sys.meta_path)
    installed = install(lambda url: None)
    assert all(now is not then for now, then in zip(_functions(), before, strict=True))
    installed.undo()
    installed.undo()
    assert _functions() == before
    assert sys.meta_path == paths


def _functions() -> list[Any]:
    return [
        httpx2.HTTPTransport.__dict__["handle_request"],
        httpx2.AsyncHTTPTransport.__dict__["handle_async_request"],
        aiohttp.ClientSession.__dict__["_request"],
    ]


def test_a_library_that_is_imported_later_is_caught_and_none_is_imported_before() -> None:
    """What nobody uses costs nothing, and an import within a test is not missed."""
    program = """
import sys
from antiphon.tape.clients import install
installed = install(lambda url: None)
assert not {"httpx", "httpx2", "aiohttp"} & set(sys.modules), "imported too early"
import httpx2, aiohttp
import importlib
assert "handle_request" in httpx2.HTTPTransport.handle_request.__qualname__
assert httpx2.HTTPTransport.handle_request.__module__.startswith("antiphon")
assert aiohttp.ClientSession._request.__module__.startswith("antiphon")
assert "antiphon" not in type(httpx2.__spec__.loader).__module__
installed.undo()
assert httpx2.HTTPTransport.handle_request.__module__.startswith("httpx2")
httpx2.alias_httpx()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("client", drivers())
def test_calls_that_no_tape_wants_pass_untouched(client: Driver, far: FarSide) -> None:
    """They are marked, so that a guard of the network lets them through."""
    installed = install(lambda url: None)
    try:
        assert client.ask(far.url, {"a": 1}).status == 200
    finally:
        installed.undo()
    assert far.asked[0].headers.get("accept-encoding") != "identity"
    assert passing.get() is False


def test_transports_that_are_no_network_are_left_alone(on_tape: OnTape) -> None:
    """A mock, an app in this process: nobody's recording."""
    mock = httpx2.MockTransport(lambda request: httpx2.Response(200, text="mock"))
    with on_tape("replay") as tape, httpx2.Client(transport=mock) as client:
        assert client.post("http://example.test/v1/chat/completions", json={}).text == "mock"
        assert tape.misses == []


async def _redirected(far: FarSide) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{far.root}/old") as response:
        return response.status, str(response.url.path)


@pytest.mark.anyio
async def test_each_hop_of_a_redirect_is_a_call(far: FarSide, on_tape: OnTape) -> None:
    """And is played hop by hop, with the location of each."""
    from tests.tape.clients.far_side import Answer

    far.answers(Answer(status="302 Found", headers={"location": "/new"}, body=b""))
    for mode in ("record", "replay"):
        with on_tape(mode):
            assert await _redirected(far) == (200, "/new")
            assert len(on_tape.outcomes) == 2
    assert far.hits == 2


@pytest.mark.anyio
async def test_all_ways_of_reading_of_aiohttp_work_on_both_sides(far: FarSide, on_tape: OnTape) -> None:
    """By line, by size, by chunk, whole and as JSON: the same while recording and on replay."""
    from tests.tape.clients.far_side import Answer

    lines = [b"a\nbb", b"b\n", b'{"c": 1}\n']
    heard = []
    for mode in ("record", "replay"):
        with on_tape(mode):
            found: list[Any] = []
            async with aiohttp.ClientSession() as session:
                for how in ("lines", "sized", "chunks", "whole", "json"):
                    body = (b'{"c": 1}',) if how == "json" else lines
                    far.answers(Answer(body))
                    async with session.post(f"{far.root}/{how}", data=b"x") as response:
                        found.append(await _read(response, how))
            heard.append(found)
    assert heard[0] == heard[1]
    assert heard[0][0] == [b"a\n", b"bbb\n", b'{"c": 1}\n']
    assert heard[0][2] == [(line, True) for line in lines]
    assert far.hits == 5


async def _read(response: aiohttp.ClientResponse, how: str) -> Any:
    content = response.content
    if how == "lines":
        return [line async for line in content]
    if how == "sized":
        return [piece async for piece in content.iter_chunked(3)]
    if how == "chunks":
        return [pair async for pair in content.iter_chunks()]
    return await (response.json() if how == "json" else response.text())


@pytest.mark.anyio
async def test_bodies_of_aiohttp_are_read_before_they_are_matched(far: FarSide, on_tape: OnTape) -> None:
    """Forms with a random boundary, generators, JSON, compressed ones: each arrives whole and is found again."""

    async def generated() -> Any:
        yield b'{"a"'
        yield b": 1}"

    for mode in ("record", "replay"):
        with on_tape(mode):
            async with aiohttp.ClientSession() as session:
                form = aiohttp.FormData()
                form.add_field("file", b"content", filename="a.txt", content_type="text/plain")
                for options in (
                    {"data": form},
                    {"data": generated()},
                    {"json": {"b": 2}},
                    {"json": {"c": 3}, "compress": "deflate"},
                    {},
                ):
                    async with session.post(f"{far.root}/v1/x", **options) as response:
                        assert response.status == 200, await response.text()
    assert far.hits == 5
    assert b"content" in far.asked[0].body
    assert far.asked[1].body == b'{"a": 1}'


def test_boundaries() -> None:
    """Embeddings by path, tools by MCP's protocol or headers, the rest is inference."""
    assert boundary_of("http://h/v1/embeddings/?x=1", (), b"{}") == "embeddings"
    assert boundary_of("http://h/mcp", (), b'[{"jsonrpc":"2.0","method":"ping"}]') == "tools"
    assert boundary_of("http://h/mcp", (("Mcp-Session-Id", "1"),), b"") == "tools"
    assert boundary_of("http://h/v1/chat/completions", (), b'{"messages":[{"content":"\\"jsonrpc\\""}]}') == "inference"
    assert boundary_of("http://h/v1/chat/completions", (), b'not json "jsonrpc"') == "inference"


def test_endings_keep_the_class_and_the_words() -> None:
    """Of the exception that told them."""
    assert of_exception(httpx2.ReadError("gone")) == ("reset", "ReadError: gone")
    assert of_exception(httpx2.ReadTimeout("")) == ("error", "ReadTimeout")
    assert words_of("ReadError: a: b") == ("ReadError", "a: b")
    assert words_of("the peer went away") == ("", "the peer went away")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
def test_coded_bodies_are_decoded_wherever_they_are_cut(coding: str) -> None:
    """A byte at a time gives the same text; deflate comes with and without its head."""
    import gzip
    import zlib

    text = b"the text of the answer, the text of the answer"
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    coded = {"gzip": gzip.compress(text), "deflate": zlib.compress(text), "raw": raw.compress(text) + raw.flush()}
    found = decoder((("Content-Encoding", "gzip" if coding == "gzip" else "deflate"),))
    assert found is not None
    data = coded[coding]
    assert found.feed(data) + found.flush() == text
    assert decoder((("content-encoding", "br"),)) is None
    assert decoder(()) is None
