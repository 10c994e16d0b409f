"""Where a request may send us: nowhere inside the house, unless the operator says so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon.config import McpConfig, McpServerConfig
from antiphon.upstream.door import Door, ExchangeFailed, Reply, Request
from antiphon.upstream.egress import BadTarget, Egress, target
from antiphon.upstream.network import Network
from tests.tools.mcp.things import things
from tests.tools.mcp.world import Watched, item, serving, world
from tests.upstream.test_fetch import LOOPBACK, NEVER, PRIVATE

pytestmark = pytest.mark.anyio


async def test_this_machine_is_out_of_bounds() -> None:
    """For a server that others use: not a byte is sent."""
    app = Watched(things().streamable_http_app())
    async with serving(app) as root, world(allow_private=False) as one:
        for url in (root, root.replace("127.0.0.1", "localhost"), root.replace("127.0.0.1", "[::ffff:127.0.0.1]")):
            whole = item((await one.opened(one.toolset(url + "/mcp")))[0])
            assert "its address is not public" in whole["error"]
        assert app.seen == []


async def test_what_the_operator_allows() -> None:
    """All private addresses, those of some names, or the server that is configured."""
    async with serving(things().streamable_http_app()) as root:
        url = root.replace("127.0.0.1", "localhost") + "/mcp"
        for config in (
            McpConfig(allow_private=True),
            McpConfig(allow_hosts=("Localhost",)),
        ):
            async with world(config, allow_private=False) as one:
                assert "add" in await one.tools(url)
        config = McpConfig(servers={"things": McpServerConfig(url=root + "/mcp")})
        async with world(config, allow_private=False) as one:
            assert "add" in await one.tools()
            assert await one.tools(root + "/mcp") == {}


@pytest.mark.parametrize(("hosts", "allowed"), [(LOOPBACK + PRIVATE + NEVER, False), (NEVER, True)])
async def test_no_spelling_reaches_inside(hosts: list[str], *, allowed: bool) -> None:
    """However it is written; and metadata services are out of bounds whatever is allowed."""
    assert len(LOOPBACK + PRIVATE + NEVER) > 30
    dialled: list[Request] = []

    async def out(request: Request) -> Reply:
        dialled.append(request)
        raise ExchangeFailed("connect", "nobody.")

    async with world(McpConfig(allow_private=allowed, connect_seconds=5), allow_private=allowed) as one:
        one.door.send = out  # type: ignore[method-assign]
        for host in hosts:
            whole = item((await one.opened(one.toolset(f"http://{host}/mcp")))[0])
            assert whole["error"], host
            assert dialled == [], host


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("http://EXAMPLE.com", "http://example.com/"),
        ("https://example.com:8443/a?b=c#d", "https://example.com:8443/a?b=c"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ],
)
def test_a_url_is_spelled_in_one_way(url: str, whole: str) -> None:
    """Host in small letters and ASCII, no fragment."""
    assert target(url).url == whole


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "http://a\\b/",
        "http://u:p@h/",
        "http://h:x/",
        "http://%61/",
    ],
)
def test_odd_urls(url: str) -> None:
    """They are refused, not repaired."""
    with pytest.raises(BadTarget):
        target(url)


async def test_addresses_are_tried_in_turn() -> None:
    """The next is dialled when one cannot be connected to; one bad address forbids them all."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return {"two": ["127.0.0.2", "127.0.0.1"], "mixed": ["127.0.0.1", "169.254.0.1"]}.get(host, [])

    async with serving(Watched(things().streamable_http_app())) as root:
        network = Network(proxies={})
        egress = Egress(Door({"http": network}), allow_private=True, resolve=resolve)
        port = int(root.rpartition(":")[2])
        addresses = await egress.addresses("two", port)
        reply = await egress.dial(Request("GET", f"http://two:{port}/nothing"), addresses)
        assert reply.status in (404, 421)
        await reply.aclose()
        for host, kind in (("mixed", "refused"), ("none", "connect")):
            with pytest.raises(ExchangeFailed) as caught:
                await egress.addresses(host, port)
            assert caught.value.kind == kind
        await network.aclose()
