"""The sockets behind the door: peers that speak badly, old, compressed or not at all, proxies and limits."""

from __future__ import annotations

import gc
import gzip
import warnings
from typing import cast

import pytest

from antiphon.upstream.door import Door, ExchangeFailed, Request, header, read_all
from antiphon.upstream.network import Network, NetworkReply
from tests.upstream.loopback import Peer, body_of, post, serving

pytestmark = pytest.mark.anyio


async def test_a_body_cut_short_is_broken(network: Network) -> None:
    """A length that is not kept, or a chunked body without its end, raises after what came."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(b"half")

    async with serving(handler) as url:
        reply = await network.send(post(url))
        assert await anext(reply.reads) == b"half"
        with pytest.raises(ExchangeFailed) as caught:
            await anext(reply.reads)
        await reply.aclose()
    assert caught.value.kind == "broken"


async def test_what_is_not_http_is_broken(network: Network) -> None:
    """A peer of another tongue is a failure, not a hang."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"220 smtp.example ESMTP\r\n\r\n")

    async with serving(handler) as url:
        with pytest.raises(ExchangeFailed) as caught:
            await network.send(post(url))
    assert caught.value.kind == "broken"


async def test_a_compressed_answer_is_opened(network: Network) -> None:
    """A peer that compresses unasked is understood, and the headers no longer claim it."""
    packed = gzip.compress(b"hello" * 100)

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.answer(packed, more="Content-Encoding: gzip\r\n")

    async with serving(handler) as url:
        reply = await network.send(post(url))
        assert header(reply.headers, "content-encoding") is None
        assert header(reply.headers, "content-length") is None
        assert await body_of(reply) == b"hello" * 100


async def test_an_old_server_that_ends_by_closing(network: Network) -> None:
    """HTTP/1.0 without a length: the body ends with the connection."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")

    async with serving(handler) as url:
        assert await body_of(await network.send(post(url))) == b"hello"


async def test_early_hints_are_passed_over(network: Network) -> None:
    """1xx answers come before the real one."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        await peer.answer(b"ok")

    async with serving(handler) as url:
        assert await body_of(await network.send(post(url))) == b"ok"


async def test_redirects_are_not_followed(network: Network) -> None:
    """The key in our headers goes nowhere else."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"", "307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n")

    async with serving(handler) as url:
        reply = await network.send(post(url))
        assert reply.status == 307
        await reply.aclose()


async def test_a_proxy_of_the_environment_is_used() -> None:
    """Plain HTTP goes to the proxy with the whole URL and the proxy's password, and local hosts go past it."""
    heads: list[str] = []

    async def handler(peer: Peer) -> None:
        while await peer.request():
            heads.append(peer.head)
            await peer.answer(b"ok")

    async with serving(handler) as url:
        proxy = url.removesuffix("/v1").replace("//", "//u:p@")
        network = Network(proxies={"http": proxy})
        await body_of(await network.send(Request("GET", "http://model.example/v1/models?a=b")))
        await body_of(await network.send(Request("GET", url + "/models")))
        await network.aclose()
    assert heads[0].startswith("GET http://model.example/v1/models?a=b HTTP/1.1\r\nHost: model.example\r\n")
    assert "Proxy-Authorization: Basic dTpw\r\n" in heads[0]
    assert heads[1].startswith("GET /v1/models HTTP/1.1\r\n")


async def test_connections_to_one_origin_are_bounded(network: Network) -> None:
    """Over the limit a request waits for a connection, and gives up after the connect time."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.begin()
            await peer.chunk(b"x")
            await peer.gone()

    async with serving(handler) as url:
        held = await network.send(post(url, max_connections=1))
        with pytest.raises(ExchangeFailed) as caught:
            await network.send(post(url, max_connections=1, connect_seconds=0.1))
        await held.aclose()
        next_one = await network.send(post(url, max_connections=1, connect_seconds=2.0))
        await next_one.aclose()
    assert caught.value.kind == "timeout"


async def test_a_closed_door_lets_nothing_out() -> None:
    """After closing, nothing begins."""
    door = Door({"http": Network(proxies={})})
    await door.aclose()
    with pytest.raises(ExchangeFailed):
        await door.send(Request("GET", "http://127.0.0.1:1/"))
    with pytest.raises(ExchangeFailed):
        await door.send(Request("GET", "gopher://x/"))


async def test_an_answer_over_the_limit_is_not_read(network: Network) -> None:
    """``read_all`` stops at its limit."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"x" * 5000)

    async with serving(handler) as url:
        with pytest.raises(ExchangeFailed):
            await read_all(await network.send(post(url)), 1000)


async def test_a_finished_reply_whose_end_is_outstanding_closes_with_the_door() -> None:
    """The connection that still waits for its last bytes is let go with the rest, and never by the collector."""
    network = Network(proxies={})

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(b"all there is to say")
        await peer.reader.read()  # until the other side closes; the end of the body never comes

    async with serving(handler) as url:
        reply = await network.send(post(url))
        assert await anext(reply.reads) == b"all there is to say"
        await reply.aclose(complete=True)
        await network.aclose()
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            connection = reply._connection  # whose finaliser would complain
            connection.__del__()
    assert not heard


async def test_a_reply_without_a_body(network: Network) -> None:
    """204, and the answer to HEAD: the reads are over before they begin, pulled or pushed."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(handler) as url:
        for method in ("POST", "HEAD", "DELETE"):
            reply = await network.send(Request(method, url))
            assert reply.status == 204
            assert [data async for data in reply.reads] == []


@pytest.mark.parametrize("pushed", [True, False])
async def test_a_reply_that_was_cut_leaves_nothing(network: Network, pushed: bool) -> None:
    """It goes when its reader lets it go, not when the garbage collector comes."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(b"half")
        await peer.gone()

    gc.collect()
    gc.disable()
    try:
        async with serving(handler) as url:
            for _ in range(3):
                reply = cast("NetworkReply", await network.send(post(url)))
                if pushed:
                    reply.push(Deaf())
                else:
                    assert await anext(reply.reads) == b"half"
                await reply.aclose()
                del reply
        assert not [one for one in gc.get_objects() if type(one) is NetworkReply]
    finally:
        gc.enable()


class Deaf:
    """A sink that does nothing."""

    def read(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def fail(self, failure: ExchangeFailed) -> None: ...
