"""What is found without being told, and what is not taken for a back end."""

from __future__ import annotations

import asyncio
import time

import pytest

from antiphon.upstream.discovery import OPENAI_URL, discover, is_own
from antiphon.upstream.door import Door
from tests.upstream.loopback import Peer, serving

pytestmark = pytest.mark.anyio

LIST = b'{"object":"list","data":[{"id":"m","object":"model"}]}'


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


async def listing(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(LIST if peer.head.startswith("GET /v1/models ") else b"{}")


async def silent(peer: Peer) -> None:
    await peer.gone()


async def other(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(b'{"hello":"world"}')


async def html(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(b"<html>", "404 Not Found")


async def dripping(peer: Peer) -> None:
    await peer.request()
    await peer.begin("application/json")
    while True:
        await peer.chunk(b" ")
        await asyncio.sleep(0.02)


async def closed_port() -> int:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    return port


async def test_local_servers_are_found_together(door: Door) -> None:
    """Only who lists models counts; a silent one costs the time allowed, once, and nobody raises."""
    async with (
        serving(listing) as one,
        serving(silent) as two,
        serving(other) as three,
        serving(html) as four,
        serving(dripping) as five,
    ):
        ports = {"ollama": port_of(two), "vllm": port_of(one), "lmstudio": port_of(three), "llama": port_of(four)}
        start = time.monotonic()
        found = await discover({}, [], door, ports={**ports, "slow": port_of(five), "gone": await closed_port()})
        assert time.monotonic() - start < 0.5
    (only,) = found
    assert only.name == "vllm"
    assert only.config is not None
    assert only.config.url == one
    assert "vLLM" in only.sentence
    assert "1 model" in only.sentence


async def test_our_own_port_is_not_probed(door: Door) -> None:
    """A port on which we listen ourselves is not a back end."""
    async with serving(listing) as url:
        own = [("127.0.0.1", port_of(url))]
        assert await discover({}, own, door, ports={"vllm": port_of(url)}) == []


async def test_the_variables_of_the_sdks(door: Door) -> None:
    """They are taken first, with the key, which is in no sentence."""
    env = {"OPENAI_BASE_URL": "http://model.example:9/v1", "OPENAI_API_KEY": "sk-hunter2"}
    (found,) = await discover(env, [("127.0.0.1", 8321)], door, ports={})
    assert found.config is not None
    assert (found.config.url, found.config.key) == ("http://model.example:9/v1", "sk-hunter2")
    assert "model.example:9" in found.sentence
    assert "hunter2" not in found.sentence


async def test_a_key_alone_means_openai(door: Door) -> None:
    """A key without a URL is for the place the SDKs would send it to."""
    (found,) = await discover({"OPENAI_API_KEY": "sk-x"}, [], door, ports={})
    assert found.config is not None
    assert found.config.url == OPENAI_URL
    assert await discover({"OPENAI_API_KEY": " "}, [], door, ports={}) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8321/v1", "http://localhost:8321/v1", "http://user:pw@localhost:8321"]
)
async def test_ourselves_are_refused(door: Door, url: str) -> None:
    """A base URL that leads back to us is refused with a sentence, and its password is not in it."""
    (found,) = await discover({"OPENAI_BASE_URL": url}, [("127.0.0.1", 8321)], door, ports={})
    assert found.config is None
    assert "itself" in found.sentence
    assert "pw" not in found.sentence


@pytest.mark.parametrize("url", ["not a url", "ftp://x", "http://"])
async def test_a_url_that_is_none(door: Door, url: str) -> None:
    """Nonsense in the variable is said, not crashed on."""
    (found,) = await discover({"OPENAI_BASE_URL": url}, [], door, ports={})
    assert found.config is None


@pytest.mark.parametrize(
    ("url", "own", "same"),
    [
        ("http://127.0.0.1:8321/v1", ("127.0.0.1", 8321), True),
        ("http://localhost:8321", ("127.0.0.1", 8321), True),
        ("http://LOCALHOST:8321", ("localhost", 8321), True),
        ("http://0.0.0.0:8321", ("127.0.0.1", 8321), True),
        ("http://127.0.0.7:8321", ("0.0.0.0", 8321), True),
        ("http://[::1]:8321", ("::", 8321), True),
        ("http://[::ffff:127.0.0.1]:8321", ("127.0.0.1", 8321), True),
        ("http://127.0.0.1:80", ("0.0.0.0", 80), True),
        ("http://127.0.0.1", ("0.0.0.0", 80), True),
        ("http://127.0.0.1:8322", ("127.0.0.1", 8321), False),
        ("http://192.0.2.7:8321", ("0.0.0.0", 8321), False),
        ("http://no-such-host.invalid:8321", ("0.0.0.0", 8321), False),
        ("http://127.0.0.1:x", ("127.0.0.1", 8321), False),
        ("demo://model/v1", ("127.0.0.1", 8321), False),
    ],
)
async def test_is_own(url: str, own: tuple[str, int], same: bool) -> None:
    """A URL is ours under every name that reaches our socket, and only then."""
    assert await is_own(url, [own]) is same
