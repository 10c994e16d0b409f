"""Files at URLs that clients name: what is fetched, and everything that is not."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest
from antiphon.upstream.addresses import objection
from antiphon.upstream.door import Door, Request
from antiphon.upstream.fetch import MAX_REDIRECTS, Fetcher
from antiphon.upstream.network import Network
from tests.upstream.loopback import Peer, serving

pytestmark = pytest.mark.anyio

SECRET = "key=hunter2"


def file(content: bytes, kind: str = "text/plain", status: str = "200 OK") -> Callable[[Peer], Awaitable[None]]:
    """A back end that always answers with this file."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
            await peer.write(head.encode() + content)

    return handler


def redirect(*to: str, status: str = "302 Found") -> Callable[[Peer], Awaitable[None]]:
    """A back end that sends everybody on, to each place in turn."""
    places = list(to)

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(b"", status, f"Location: {places.pop(0) if len(places) > 1 else places[0]}\r\n")

    return handler


def names(*answers: str | Sequence[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name server whose answer changes with each question; the last one stays."""
    queue = [[a] if isinstance(a, str) else list(a) for a in answers]

    async def resolve(host: str, port: int) -> list[str]:
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return resolve


async def refusal(fetcher: Fetcher, url: str) -> str:
    """The sentence with which a URL is refused."""
    with pytest.raises(InvalidRequest) as caught:
        await fetcher.fetch(url)
    assert (caught.value.param, caught.value.code, caught.value.status) == ("input", "invalid_file_url", 400)
    assert SECRET not in caught.value.message
    return caught.value.message


def local(url: str) -> str:
    """The address of a loopback server under a name that only our resolvers know."""
    return url.replace("127.0.0.1", "files.example").removesuffix("/v1")


async def test_a_file_becomes_a_data_url(door: Door) -> None:
    """Content and media type arrive; parameters of the type do not."""
    async with serving(file(b"\x00hello", "Text/Markdown; charset=utf-8")) as url:
        got = await Fetcher(door, allow_private=True).fetch(url + "/a.md?" + SECRET)
    assert got == "data:text/markdown;base64," + base64.b64encode(b"\x00hello").decode()


async def test_the_server_is_asked_by_its_name(door: Door) -> None:
    """The Host header is the URL's, the path and query too, and no header tells more of us."""
    heads = []

    async def handler(peer: Peer) -> None:
        await peer.request()
        heads.append(peer.head)
        await peer.answer(b"x")

    async with serving(handler) as url:
        await Fetcher(door, allow_private=True, resolve=names("127.0.0.1")).fetch(local(url) + "/a%20b?c=d&e")
        port = url.split(":")[2].split("/")[0]
    lines = heads[0].strip().split("\r\n")
    assert lines == [
        "GET /a%20b?c=d&e HTTP/1.1",
        f"Host: files.example:{port}",
        "Accept: */*",
        "User-Agent: antiphon",
    ]


LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.01",
    "0177.0.0x0.1",
    "127.255.255.254",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
]
PRIVATE = ["10.0.0.1", "0x0a000001", "172.16.0.1", "192.168.1.1", "3232235777", "100.64.0.1", "[fc00::1]", "[fd12::1]"]
NEVER = [
    "0.0.0.0",
    "0",
    "[::]",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fe80::1]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "[fd00:ec2::254]",
    "224.0.0.1",
    "[ff02::1]",
    "255.255.255.255",
    "240.0.0.1",
]


@pytest.mark.parametrize("host", LOOPBACK + PRIVATE + NEVER)
async def test_no_spelling_reaches_inside(host: str) -> None:
    """No way to write an inner address gets past the check of a public server, and nothing is connected to."""
    message = await refusal(Fetcher(NoDoor(), allow_private=False), f"http://{host}/?{SECRET}")
    assert "address is" in message or "cannot be resolved" in message


@pytest.mark.parametrize("host", NEVER)
async def test_metadata_is_never_reached(host: str) -> None:
    """Link-local and metadata addresses are out of bounds even where private ones are not."""
    message = await refusal(Fetcher(NoDoor(), allow_private=True), f"http://{host}/latest?{SECRET}")
    assert "address is" in message


class NoDoor:
    """Way out for nobody."""

    async def send(self, request: Request) -> object:
        raise AssertionError(f"connected to {request.address}")

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1"])
def test_public_addresses_pass(address: str) -> None:
    """What is public may be reached by everybody, in whatever wrapping."""
    assert objection(address, allow_private=False) is None


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_a_wrapping_changes_nothing(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address in IPv6 clothes is judged as itself."""
    number = int(address)
    wrapped = [ipaddress.IPv6Address((0xFFFF << 32) | number), ipaddress.IPv6Address((0x0064FF9B << 96) | number)]
    wrapped.append(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))
    for allow in (True, False):
        plain = objection(str(address), allow_private=allow)
        assert [objection(str(w), allow_private=allow) for w in wrapped] == [plain] * 3


@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_public_is_a_part_of_what_is_allowed(address: ipaddress.IPv6Address) -> None:
    """Whatever a public server may reach, a local one may reach too; and public IPv6 begins with 2 or 3."""
    if objection(str(address), allow_private=False) is None:
        assert objection(str(address), allow_private=True) is None
        inner = address.ipv4_mapped or address.sixtofour or address in ipaddress.ip_network("64:ff9b::/96")
        assert inner or address.exploded[0] in "023"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/a", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("gopher://127.0.0.1:70/_x", "only http and https"),
        ("//example.com/a", "only http and https"),
        ("a.txt", "only http and https"),
        ("", "only http and https"),
        ("http://user@example.com/", "user name"),
        ("http://user:pass@example.com/", "user name"),
        ("http://@example.com/", "user name"),
        ("http:///a", "names no host"),
        ("http://%31%32%37.0.0.1/", "names no host"),
        ("http://[fe80::1%25lo]/", "names no host"),
        ("http://exa mple.com/", "blanks"),
        ("http://example.com\\@127.0.0.1/", "backslashes"),
        ("http://example.com/\r\nX: y", "control characters"),
        ("http://[::1/", "not a URL"),
        ("http://a:99999/", "not a URL"),
        ("http://" + "é" * 70 + "/", "not a URL"),
    ],
)
async def test_odd_urls_are_refused(url: str, reason: str) -> None:
    """What is no plain http(s) URL is refused before anything is looked up."""
    assert reason in await refusal(Fetcher(NoDoor(), allow_private=True, resolve=names("127.0.0.1")), url)


async def test_a_name_is_looked_up_once(door: Door) -> None:
    """A name server that answers differently the second time is never asked a second time."""
    async with serving(file(b"one")) as url:
        fetcher = Fetcher(door, allow_private=True, resolve=names("127.0.0.1", "169.254.169.254"))
        assert (await fetcher.fetch(local(url))).startswith("data:text/plain;")
        assert "link-local" in await refusal(fetcher, local(url))


async def test_one_bad_address_spoils_the_name() -> None:
    """A name with a public and an inner address is refused, whichever would have been taken."""
    for answer in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"]):
        fetcher = Fetcher(NoDoor(), allow_private=False, resolve=names(answer))
        assert "files.example" in await refusal(fetcher, f"https://files.example/x?{SECRET}")


async def test_the_next_address_is_tried(door: Door) -> None:
    """A host whose first address does not answer is reached at its second."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))  # bound, but nobody listens
        async with serving(file(b"two")) as url:
            fetcher = Fetcher(door, allow_private=True, resolve=names(["127.0.0.2", "127.0.0.1"]))
            assert (await fetcher.fetch(local(url))).endswith(base64.b64encode(b"two").decode())


async def test_redirects_are_followed(door: Door) -> None:
    """To another path, and to another host, up to five of them."""
    async with serving(file(b"there", "application/pdf")) as url:
        steps = ["/next", f"{url}/x", f"{url}/final.pdf?{SECRET}"]
        async with serving(redirect(*steps[:2], steps[2])) as first:
            got = await Fetcher(door, allow_private=True).fetch(first)
    assert got.startswith("data:application/pdf;base64,")


async def test_redirects_end(door: Door) -> None:
    """A circle is left after five rounds."""
    async with serving(redirect("/again")) as url:
        assert f"more than {MAX_REDIRECTS}" in await refusal(Fetcher(door, allow_private=True), f"{url}?{SECRET}")


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("//169.254.169.254/", "link-local"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://inner.example/", "not public"),
        ("ftp://files.example/", "only http"),
        ("http://user@files.example/", "user name"),
        ("http://[", "not a URL"),
    ],
)
async def test_redirects_do_not_lead_inside(to: str, reason: str) -> None:
    """Each target of a redirect is judged like the first URL."""

    async def resolve(host: str, port: int) -> list[str]:
        return {"files.example": ["8.8.8.8"], "inner.example": ["10.0.0.1"]}.get(host, [host])

    class Once(NoDoor):
        async def send(self, request: Request) -> object:
            assert request.address == "8.8.8.8"
            return Moved(to)

    fetcher = Fetcher(Once(), allow_private=False, resolve=resolve)  # type: ignore[arg-type]
    assert reason in await refusal(fetcher, f"http://files.example/?{SECRET}")


class Moved:
    """A reply that points elsewhere."""

    status = 302

    def __init__(self, to: str) -> None:
        self.headers = (("Location", to),)

    async def aclose(self, *, complete: bool = False) -> None:
        """Nothing is open."""


async def test_a_file_that_says_it_is_too_long(door: Door) -> None:
    """A length over the limit is refused without waiting for the body."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1001\r\n\r\n")
        await peer.gone()

    async with serving(handler) as url:
        message = await refusal(Fetcher(door, allow_private=True, max_bytes=1000, seconds=5), f"{url}?{SECRET}")
    assert "longer than 1000 bytes" in message


async def test_a_file_that_does_not_stop(door: Door) -> None:
    """A body without an end is cut at the limit, and the connection with it."""
    cut = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin("text/plain")
        await asyncio.gather(pour(peer), peer.gone())

    async def pour(peer: Peer) -> None:
        try:
            while True:
                await peer.chunk(b"x" * 4096)
        except ConnectionError:
            cut.set()

    async with serving(handler) as url:
        message = await refusal(Fetcher(door, allow_private=True, max_bytes=100_000), url)
        await asyncio.wait_for(cut.wait(), 5)
    assert "longer than 100000 bytes" in message


async def test_a_file_that_never_comes(door: Door) -> None:
    """The time is for all of it: bytes that trickle do not prolong it."""

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.begin("text/plain")
        while True:
            await peer.chunk(b"x")
            await asyncio.sleep(0.02)

    async with serving(handler) as url:
        began = time.monotonic()
        message = await refusal(Fetcher(door, allow_private=True, seconds=0.2), f"{url}?{SECRET}")
        assert 0.15 < time.monotonic() - began < 2
    assert "longer than 0.2 s" in message


async def test_a_lookup_that_never_ends() -> None:
    """The time is for the name server too."""

    async def resolve(host: str, port: int) -> list[str]:
        return await asyncio.get_running_loop().create_future()

    fetcher = Fetcher(NoDoor(), allow_private=False, seconds=0.05, resolve=resolve)
    assert "longer than 0.05 s" in await refusal(fetcher, "http://files.example/")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content", "302 Found"])
async def test_only_200_is_a_file(door: Door, status: str) -> None:
    """An error page is no file, nor is a redirect to nowhere."""
    async with serving(file(b"", status=status)) as url:
        message = await refusal(Fetcher(door, allow_private=True), f"{url}?{SECRET}")
    assert "127.0.0.1" in message
    assert f"answered {status[:3]}" in message


async def test_nobody_there(door: Door) -> None:
    """A host that does not answer, or has no address, is named."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        fetcher = Fetcher(door, allow_private=True)
        assert "refused" in await refusal(fetcher, f"http://127.0.0.1:{port}/?{SECRET}")
    assert "no address" in await refusal(Fetcher(door, allow_private=True, resolve=names([])), "http://files.example/")

    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror

    fetcher = Fetcher(door, allow_private=True, resolve=unknown)
    assert "cannot be resolved" in await refusal(fetcher, f"http://files.example/?{SECRET}")


async def test_tls_verifies_the_name_not_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate must be for the URL's host, although an address was dialled."""
    certificate, key = self_signed("files.example", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    network = Network(proxies={})
    try:
        fetcher = Fetcher(Door({"https": network}), allow_private=True, resolve=names("127.0.0.1"))
        port = server.sockets[0].getsockname()[1]
        assert (await fetcher.fetch(f"https://files.example:{port}/")).endswith(base64.b64encode(b"ok").decode())
        assert "certificate" in await refusal(fetcher, f"https://other.example:{port}/")
        assert asked == ["files.example", "other.example"]
    finally:
        await network.aclose()
        server.close()


def self_signed(name: str, folder: Path) -> tuple[Path, Path]:
    """A certificate for a name, and its key."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
