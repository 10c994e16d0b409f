"""The sockets behind the door: reuse, silence, cuts, and what a peer may do wrong."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from antiphon.upstream import shelf
from antiphon.upstream.door import ExchangeFailed, Request, header
from antiphon.upstream.network import Network, NetworkReply
from tests.upstream.loopback import Peer, body_of, post, serving

pytestmark = pytest.mark.anyio


async def test_a_read_is_an_item(network: Network) -> None:
    """Each network read is one item, the moment it is there."""
    step = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        for word in (b"one", b"two", b"three"):
            await peer.chunk(word)
            await step.wait()
            step.clear()
        await peer.end()

    async with serving(handler) as url:
        reply = await network.send(post(url))
        assert (reply.status, header(reply.headers, "content-type")) == (200, "text/event-stream")
        got = []
        async for data in reply.reads:
            got.append(data)
            step.set()
        await reply.aclose()
    assert got == [b"one", b"two", b"three"]


async def test_the_request_arrives_as_given(network: Network) -> None:
    """Method, path with query, host, headers and body are ours, and nothing else is sent."""
    seen: list[tuple[str, bytes]] = []

    async def handler(peer: Peer) -> None:
        while await peer.request():
            seen.append((peer.head, peer.body))
            await peer.answer(b"{}")

    async with serving(handler) as url:
        await body_of(await network.send(Request("POST", url + "/a/b%20c?d=e", (("X-One", "ü"),), b"\x00\xff")))
        await body_of(await network.send(Request("GET", url + "/models")))
        port = url.split(":")[2].partition("/")[0]
    assert seen[0][0].split("\r\n")[:4] == [
        "POST /v1/a/b%20c?d=e HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "X-One: ü",
        "Content-Length: 2",
    ]
    assert seen[0][1] == b"\x00\xff"
    assert seen[1][0] == f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"


async def test_a_finished_exchange_gives_its_connection_back(network: Network) -> None:
    """Request after request goes over one connection."""
    connections = 0

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        while await peer.request():
            await peer.begin()
            await peer.chunk(b"x")
            await peer.end()

    async with serving(handler) as url:
        for _ in range(4):
            assert await body_of(await network.send(post(url))) == b"x"
    assert connections == 1


async def test_what_nobody_asked_for_answers_no_request(network: Network) -> None:
    """A peer that says more on a kept connection, as some do before they close it: the next request has another one,
    and nobody gets the answer to somebody else."""
    connections = 0

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        while await peer.request():
            await peer.answer(peer.body)
            if connections == 1:
                await asyncio.sleep(0.01)
                await peer.answer(b"late", "408 Request Timeout")

    async with serving(handler) as url:
        for asked in (b"1", b"2", b"3"):
            reply = await network.send(post(url, asked))
            assert (reply.status, await body_of(reply)) == (200, asked)
            await asyncio.sleep(0.05)
    assert connections == 2


async def test_what_nobody_asked_for_answers_none_who_waits(network: Network) -> None:
    """The same where the connection goes to the next through the pool."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.begin()
            await peer.chunk(peer.body)
            await asyncio.sleep(0.02)
            if peer.body == b"1":
                await peer.write(b"0\r\n\r\n" + b"HTTP/1.1 408 Late\r\nContent-Length: 4\r\n\r\nlate")
            else:
                await peer.end()

    async def asking(asked: bytes) -> tuple[int, bytes]:
        reply = await network.send(post(url, asked, max_connections=1))
        return reply.status, await body_of(reply)

    async with serving(handler) as url:
        assert await asyncio.gather(asking(b"1"), asking(b"2")) == [(200, b"1"), (200, b"2")]


async def test_a_complete_answer_keeps_its_connection_though_its_end_is_late(network: Network) -> None:
    """A reader that has all it wants does not cost the connection: the last bytes may follow."""
    connections = 0
    late = asyncio.Event()

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        while await peer.request():
            await peer.begin()
            await peer.chunk(b"all")
            await late.wait()
            await peer.end()

    async with serving(handler) as url:
        reply = await network.send(post(url))
        assert await anext(reply.reads) == b"all"
        await reply.aclose(complete=True)
        late.set()
        await asyncio.sleep(0.05)  # the peer's last bytes have no event on our side
        assert await body_of(await network.send(post(url))) == b"all"
    assert connections == 1


async def test_closing_cuts_within_100_ms(network: Network) -> None:
    """The peer sees the end of an abandoned exchange at once."""
    gone = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(b"x")
        await peer.gone()
        gone.set()

    async with serving(handler) as url:
        reply = await network.send(post(url))
        await anext(reply.reads)
        start = time.monotonic()
        await reply.aclose()
        await asyncio.wait_for(gone.wait(), 5)
        assert time.monotonic() - start < 0.1


async def test_cancelling_cuts_within_100_ms_before_the_status_line(network: Network) -> None:
    """A request that is cancelled while it waits is gone for the peer, too."""
    gone, asked = asyncio.Event(), asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    async with serving(handler) as url:
        task = asyncio.create_task(network.send(post(url)))
        await asyncio.wait_for(asked.wait(), 5)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)
        assert time.monotonic() - start < 0.1


async def test_a_kept_connection_that_the_peer_closed_is_replaced(network: Network) -> None:
    """The race for a connection that is just being closed costs a new connection, not the request."""
    connections = 0

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        first = connections == 1
        while await peer.request():
            if first and peer.body == b"2":
                return  # closes instead of answering: what a keep-alive timeout looks like to the client
            await peer.answer(b"ok")

    async with serving(handler) as url:
        assert await body_of(await network.send(post(url, b"1"))) == b"ok"
        assert await body_of(await network.send(post(url, b"2"))) == b"ok"
    assert connections == 2


async def test_what_may_have_arrived_is_not_sent_again(network: Network) -> None:
    """A request that must not be had twice goes out once, also on a connection that was kept."""
    requests: list[bytes] = []

    async def handler(peer: Peer) -> None:
        while await peer.request():
            requests.append(peer.body)
            if peer.body == b"2":
                return
            await peer.answer(b"ok")

    async with serving(handler) as url:
        await body_of(await network.send(post(url, b"1")))
        with pytest.raises(ExchangeFailed) as caught:
            await network.send(post(url, b"2", repeatable=False))
    assert (caught.value.kind, requests) == ("broken", [b"1", b"2"])


async def test_a_peer_that_goes_away_was_there(network: Network) -> None:
    """Where a kept connection breaks and there is no other, what is told is that it broke: the request was sent."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        await peer.request()
        await peer.answer(b"ok")
        await peer.request()
        server.close()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    await body_of(await network.send(post(url)))
    with pytest.raises(ExchangeFailed) as caught:
        await network.send(post(url))
    assert caught.value.kind == "broken"
    await server.wait_closed()


async def test_a_fresh_connection_that_closes_is_a_failure(network: Network) -> None:
    """A request is not repeated where it may have been the cause."""
    requests = 0

    async def handler(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        requests += 1

    async with serving(handler) as url:
        with pytest.raises(ExchangeFailed) as caught:
            await network.send(post(url))
    assert (caught.value.kind, requests) == ("broken", 1)


@pytest.mark.parametrize("begun", [False, True])
async def test_silence_is_given_up(network: Network, begun: bool) -> None:
    """A peer that says nothing for the time allowed is a timeout, before the status line and after."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        if begun:
            await peer.begin()
            await peer.chunk(b"x")
        await peer.gone()

    async def exchange(url: str) -> None:
        reply = await network.send(post(url, read_seconds=0.15))
        async for _ in reply.reads:
            pass

    async with serving(handler) as url:
        start = time.monotonic()
        with pytest.raises(ExchangeFailed) as caught:
            await exchange(url)
        assert caught.value.kind == "timeout"
        assert 0.1 < time.monotonic() - start < 2


async def test_our_own_slowness_is_not_the_peers_silence(network: Network) -> None:
    """A reader that pauses longer than the time allowed loses nothing."""

    awake = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin()
        await peer.chunk(b"one")
        await awake.wait()
        await peer.chunk(b"two")
        await peer.end()

    async with serving(handler) as url:
        reply = await network.send(post(url, read_seconds=0.1))
        first = await anext(reply.reads)
        await asyncio.sleep(0.3)
        awake.set()
        rest = b"".join([data async for data in reply.reads])
        await reply.aclose()
    assert first + rest == b"onetwo"


async def test_nobody_there(network: Network) -> None:
    """A refused connection says so, and does not repeat the URL."""

    async def handler(peer: Peer) -> None:
        raise AssertionError

    async with serving(handler) as url:
        pass
    with pytest.raises(ExchangeFailed) as caught:
        await network.send(post(url.replace("//", "//user:pass@")))
    assert caught.value.kind == "connect"
    assert "pass" not in str(caught.value)


async def test_a_name_that_does_not_resolve(network: Network) -> None:
    """An unknown host is a failed connection."""
    with pytest.raises(ExchangeFailed) as caught:
        await network.send(post("http://no-such-host.invalid/v1", connect_seconds=5.0))
    assert caught.value.kind in ("connect", "timeout")


@pytest.mark.parametrize("url", ["http://", "ftp://x/y", "nonsense", "http://127.0.0.1:99999/v1"])
async def test_urls_that_lead_nowhere(network: Network, url: str) -> None:
    """What is no HTTP URL is refused, not crashed on."""
    with pytest.raises(ExchangeFailed) as caught:
        await network.send(Request("GET", url))
    assert caught.value.kind == "refused"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
async def test_a_header_cannot_break_out_of_its_line(network: Network, value: str) -> None:
    """A line break in a header is refused, and the connection is not left open."""

    async def handler(peer: Peer) -> None:
        assert not await peer.request()

    async with serving(handler) as url:
        with pytest.raises(ExchangeFailed) as caught:
            await network.send(Request("GET", url, (("X-A", value),)))
    assert caught.value.kind == "refused"


async def test_each_exchange_has_its_own_patience(network: Network) -> None:
    """Over one connection: what the exchange before it was allowed is neither granted nor held against the next."""
    connections = 0

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        while await peer.request():
            if peer.body == b"late":
                await asyncio.sleep(0.3)
            elif peer.body == b"never":
                await peer.gone()
            await peer.answer(b"ok")

    async with serving(handler) as url:
        assert await body_of(await network.send(post(url, b"short", read_seconds=0.1))) == b"ok"
        assert await body_of(await network.send(post(url, b"late", read_seconds=5.0))) == b"ok"
        start = time.monotonic()
        with pytest.raises(ExchangeFailed) as caught:
            await network.send(post(url, b"never", read_seconds=0.15))
        assert caught.value.kind == "timeout"
        assert 0.1 < time.monotonic() - start < 2
    assert connections == 1


async def test_who_waits_gets_the_connection_that_is_done(network: Network) -> None:
    """At the limit a connection does not rest while somebody waits for one."""
    connections, step = 0, asyncio.Event()

    async def handler(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        while await peer.request():
            await peer.begin()
            await step.wait()
            await peer.end()

    async with serving(handler) as url:
        first = await network.send(post(url, max_connections=1))
        waiting = asyncio.create_task(network.send(post(url, max_connections=1)))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        step.set()
        assert await body_of(first) == b""
        assert await body_of(await asyncio.wait_for(waiting, 5)) == b""
        assert await body_of(await network.send(post(url, max_connections=1))) == b""
    assert connections == 1


async def test_a_reply_that_is_over_leaves_its_connection_alone(network: Network) -> None:
    """It may serve another by then, which is not to be paused, nor cut."""
    step = asyncio.Event()

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.begin()
            await peer.chunk(b"x")
            await step.wait()
            await peer.end()

    async with serving(handler) as url:
        step.set()
        done = cast("NetworkReply", await network.send(post(url)))
        assert await body_of(done) == b"x"
        step.clear()
        reply = await network.send(post(url))
        done.pause()
        await done.aclose()
        step.set()
        assert await body_of(reply) == b"x"


async def test_connections_do_not_rest_for_ever(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side sees one that nobody took again close."""
    monkeypatch.setattr(shelf, "REST_SECONDS", 0.05)
    gone = asyncio.Event()

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(b"ok")
        gone.set()

    async with serving(handler) as url:
        assert await body_of(await network.send(post(url))) == b"ok"
        await asyncio.wait_for(gone.wait(), 5)


async def test_shelves_are_bounded(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many origins: all begin anew, and what is on its way comes to its end."""
    monkeypatch.setattr("antiphon.upstream.network._CACHED", 1)
    step = asyncio.Event()

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.begin()
            await step.wait()
            await peer.end()

    async with serving(handler) as one, serving(handler) as two:
        first, second = await network.send(post(one)), await network.send(post(two))
        step.set()
        assert (await body_of(first), await body_of(second)) == (b"", b"")
        assert await body_of(await network.send(post(one))) == b""
        assert len(network._shelves) == 1
