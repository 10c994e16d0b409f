"""Forms with a file, read as they come: however a body is cut into pieces, it says the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.errors import APIError, PayloadTooLarge
from antiphon.files.contents import Incoming
from antiphon.http.exchange import ClientGone, Exchange
from antiphon.http.multipart import ROOM, Form, check_length, read_form

pytestmark = pytest.mark.anyio

BOUNDARY = "----b"
MEDIA = f"multipart/form-data; boundary={BOUNDARY}"


class Kept:
    """A draft in memory."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def size(self) -> int:
        return len(self.data)

    async def write(self, data: bytes) -> None:
        self.data += data

    async def finish(self) -> Any:
        raise NotImplementedError


def part(name: str, content: bytes, more: str = "") -> bytes:
    """One part of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def exchange(body: bytes, cuts: list[int] | None = None, *, ends: bool = True, **headers: str) -> Exchange:
    """A request with this body, in pieces."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts or ()), len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(places)]
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1 or not ends}
        for n, piece in enumerate(pieces)
    ]

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_message: MutableMapping[str, Any]) -> None:
        raise AssertionError

    named = {"content-type": MEDIA, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Exchange({"type": "http", "headers": raw}, receive, send, max_body_bytes=1)


async def read(request: Exchange, limit: int = 1 << 20, **more: Any) -> tuple[Form, bytes]:
    """What is read of it."""
    kept = Kept()
    return await read_form(request, "file", Incoming(kept, limit, "this"), **more), kept.data


_content = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from([b"\r", b"\n", b"-", b"b", b"x"])).map(b"".join))
_text = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    content=_content.filter(lambda data: f"\r\n--{BOUNDARY}".encode() not in b"\r\n" + data),
    fields=st.dictionaries(st.sampled_from(["purpose", "x", "expires_after[anchor]"]), _text),
    first=st.booleans(),
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
)
@settings(max_examples=100)
async def test_any_form_in_any_pieces(content: bytes, fields: dict[str, str], first: bool, cuts: list[int]) -> None:
    """The fields and the file are what was sent, whichever comes first."""
    file = part("file", content, '; filename="a.bin"')
    others = [part(name, value.encode()) for name, value in fields.items()]
    got, data = await read(exchange(form(*([file, *others] if first else [*others, file])), cuts))
    assert data == content
    assert {name: value for name, value in got.fields.items() if value} == {n: v for n, v in fields.items() if v}
    assert (got.filename, got.media_type) == ("a.bin", None)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ('; filename="a b.txt"', "a b.txt"),
        ('; filename="\u6587.txt"', "\u6587.txt"),
        ('; filename="a%22b.txt"', 'a"b.txt'),
        ('; filename="a%0D%0Ab"', "a\r\nb"),
        ('; filename="a\\\\b"', "a\\b"),
        ("; filename=plain.txt", "plain.txt"),
        (f'; filename="{"x" * 20_000}"', "x" * 20_000),
        ('; filename=""', ""),
        ("", ""),
    ],
)
async def test_names(sent: str, name: str) -> None:
    """As they are written by the clients that there are; making them safe is not done here."""
    got, data = await read(exchange(form(part("file", b"x", sent))))
    assert (got.filename, data) == (name, b"x")


@pytest.mark.parametrize(
    ("said", "media"),
    [("text/plain", "text/plain"), ("Text/CSV; charset=utf-8", "text/csv"), ("nonsense", None), ("a/b c", None)],
)
async def test_media_types(said: str, media: str | None) -> None:
    """The type alone, and only what is one."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: {said}\r\n\r\n'
    got, _ = await read(exchange(form(head.encode() + b"x\r\n")))
    assert got.media_type == media


FILE = part("file", b"x" * 10, '; filename="a"')


@pytest.mark.parametrize(
    ("request_of", "status", "code", "says"),
    [
        (lambda: exchange(b"{}", content_type="application/json"), 415, "unsupported_media_type", "application/json"),
        (lambda: exchange(FILE, content_encoding="gzip"), 415, "unsupported_media_type", "gzip"),
        (lambda: exchange(FILE, content_type="multipart/form-data"), 400, "invalid_multipart", "no boundary"),
        (lambda: exchange(b"nonsense"), 400, "invalid_multipart", "form"),
        (lambda: exchange(FILE), 400, "invalid_multipart", "last boundary"),
        (lambda: exchange(b""), 400, "invalid_multipart", "last boundary"),
        (lambda: exchange(form(FILE, FILE)), 400, "invalid_multipart", "more than one"),
        (lambda: exchange(form(part("purpose", b"x"))), 400, "missing_required_parameter", "'file'"),
        (lambda: exchange(form(part("x", b"x" * ROOM), part("y", b"y"))), 400, "invalid_multipart", "65536 bytes"),
        (lambda: exchange(form(*[part(f"f{n}", b"") for n in range(102)])), 400, "invalid_multipart", "beside"),
        (lambda: exchange(form(part("file", b"x" * 1001))), 413, "payload_too_large", "limit of 1000 bytes"),
    ],
)
async def test_what_is_refused(request_of: Callable[[], Exchange], status: int, code: str, says: str) -> None:
    """Each with its status, and words that say what is wrong."""
    with pytest.raises(APIError, match=says) as caught:
        await read(request_of(), limit=1000)
    assert (caught.value.status, caught.value.code) == (status, code)


async def test_it_stops_at_the_limit() -> None:
    """What comes after the limit is not waited for."""
    with pytest.raises(PayloadTooLarge):
        await read(exchange(part("file", b"x" * 1001), ends=False), limit=1000)


async def test_fields_may_be_refused_before_the_file() -> None:
    """A wrong field that stands before the file is told before the file is there."""

    def check(fields: Any) -> None:
        assert fields == {"purpose": "wrong"}
        raise APIError("no")

    with pytest.raises(APIError, match="no"):
        await read(exchange(part("purpose", b"wrong") + part("file", b""), ends=False), check=check)


@pytest.mark.parametrize("sent", [b"", FILE[:30], FILE[:-4], FILE])
async def test_a_client_that_goes(sent: bytes) -> None:
    """Is not taken for the end of its form."""
    with pytest.raises(ClientGone):
        await read(exchange(sent, ends=False))


@pytest.mark.parametrize(("length", "refused"), [("1000", False), (str(1000 + ROOM), False), (str(1001 + ROOM), True)])
def test_declared_lengths(length: str, refused: bool) -> None:
    """What is declared to be longer than a file may be, with a little beside it, is not read at all."""
    try:
        check_length(exchange(b"", content_length=length), PayloadTooLarge("no"), 1000)
    except PayloadTooLarge:
        assert refused
    else:
        assert not refused
