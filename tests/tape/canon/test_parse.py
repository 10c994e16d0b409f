"""What a body is taken for, whatever it looks like."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.canon import key, parse
from antiphon.tape.canon.multipart import TEXT_LIMIT, form
from antiphon.tape.model import (
    BinaryBody,
    BodyFile,
    FormBody,
    HttpCall,
    HttpRequest,
    JsonBody,
    Part,
    TextBody,
    ToolCall,
    ToolRequest,
)
from tests.tape.canon.calls import CHAT, post

URL = "https://api.example/v1/files"
FILE = bytes(range(256)) * 3
FORM = (
    b'--%b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".bin"\r\n'
    b"Content-Type: Application/PDF; x=y\r\n\r\n" + FILE.replace(b"%", b"%%") + b"\r\n--%b--\r\n"
)
PARTS = (
    Part("purpose", TextBody("user_data")),
    Part("file", BinaryBody(hashlib.sha256(FILE).hexdigest(), len(FILE), "application/pdf"), 'a "b".bin'),
)


def upload(boundary: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Headers and body of the upload, with this boundary."""
    kind = f"multipart/form-data; charset=utf-8; Boundary={boundary.decode()}"
    return (("content-type", kind),), FORM % (boundary, boundary, boundary)


def spooled(path: Path, body: bytes) -> BodyFile:
    """The body as a file."""
    path.write_bytes(body)
    return BodyFile(str(path), len(body), hashlib.sha256(body).hexdigest())


def test_boundaries_are_no_part_of_a_form() -> None:
    """The same upload with another boundary is the same request."""
    one, other = (post(URL, upload(name)[1], upload(name)[0]) for name in (b"abc", b'----x"9'[:6] + b"9"))
    assert one.body == FormBody(PARTS)
    assert one == other
    assert key(one) == key(other)


def test_a_spooled_form_is_the_same_form(tmp_path: Path) -> None:
    """A form that went through a file has the same parts as one that did not."""
    headers, body = upload(b"q1")
    call = HttpCall("POST", URL, headers, spooled(tmp_path / "body", body))
    assert parse(call) == post(URL, body, headers)


def test_a_spooled_body_is_known_by_its_hash(tmp_path: Path) -> None:
    """What is spooled and no form is not read again: its hash is known."""
    (tmp_path / "gone").unlink(missing_ok=True)
    call = HttpCall("POST", CHAT, (("content-type", "application/json"),), BodyFile(str(tmp_path / "gone"), 9, "ab"))
    assert parse(call) == HttpRequest("POST", "/v1/chat/completions", body=BinaryBody("ab", 9, "application/json"))


@given(
    st.lists(st.tuples(st.text("ab", max_size=3), st.binary(max_size=40)), max_size=3),
    st.lists(st.integers(0, 400), max_size=6).map(sorted),
    st.sampled_from([b"b", b"bb", b"\r\n", b"--"]),
)
def test_a_form_is_the_same_however_it_is_cut(fields: list[tuple[str, bytes]], cuts: list[int], filler: bytes) -> None:
    """The blocks in which a form is read do not matter, and every part comes back whole."""
    fields = [(name, data + filler) for name, data in fields]
    mark = b"\r\n--bnd"
    body = b"".join(
        mark + f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data for name, data in fields
    )
    body = (body + mark + b"--\r\n")[2:]
    edges = [0, *(cut for cut in cuts if cut < len(body)), len(body)]
    blocks = [body[start:end] for start, end in itertools.pairwise(edges)]
    found = form(blocks, b"bnd")
    assert found is not None
    assert [part.name for part in found.parts] == [name for name, _ in fields]
    assert [_sha(part) for part in found.parts] == [hashlib.sha256(data).hexdigest() for _, data in fields]


def _sha(part: Part) -> str:
    if isinstance(part.body, BinaryBody):
        return part.body.sha256
    return hashlib.sha256(part.body.text.encode()).hexdigest()


@pytest.mark.parametrize("size", [TEXT_LIMIT, TEXT_LIMIT + 1])
def test_long_parts_are_known_by_their_hash(size: int) -> None:
    """Text stays text up to the limit."""
    body = b'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\n' + b"x" * size + b"\r\n--b--"
    found = form([body], b"b")
    assert found is not None
    assert isinstance(found.parts[0].body, TextBody) == (size <= TEXT_LIMIT)


def test_parts_may_have_no_head() -> None:
    """A part without headers is a part, and a name may be spelt in two ways."""
    assert form([b"--b\r\n\r\nx\r\n--b--"], b"b") == FormBody((Part("", TextBody("x")),))
    head = b"Content-Disposition: form-data; name=f; filename=a; filename*=UTF-8''%C3%A4"
    found = form([b"pre\r\n--b \r\n" + head + b"\r\n\r\nx\r\n--b--post"], b"b")
    assert found == FormBody((Part("f", TextBody("x"), "ä"),))


@pytest.mark.parametrize("body", [b"", b"no form", b"--b", b"--b\r\nx", b"--b junk\r\n\r\n\r\n--b--", b"--b\r\n\r\nx"])
def test_what_is_no_form_is_not_taken_for_one(body: bytes) -> None:
    """A body that does not follow the grammar is text or bytes."""
    headers = (("content-type", "multipart/form-data; boundary=b"),)
    assert post(URL, body, headers).body == (TextBody(body.decode(), "multipart/form-data") if body else None)


def test_urlencoded_forms_are_forms() -> None:
    """Fields of a urlencoded form are parts in their order; JSON under that name is JSON."""
    headers = (("content-type", "application/x-www-form-urlencoded"),)
    assert post(URL, b"b=1+2&a=%C3%A4&a=", headers).body == FormBody(
        (Part("b", TextBody("1 2")), Part("a", TextBody("ä")), Part("a", TextBody("")))
    )
    assert post(URL, b' {"a": 1}', headers).body == JsonBody({"a": 1})


ODD = [
    (b'{"a": 1, "a": 2}', JsonBody({"a": 2})),
    (b'{"n": 123456789012345678901234567890}', JsonBody({"n": 123456789012345678901234567890})),
    (b'{"n": NaN}', TextBody('{"n": NaN}', "application/json")),
    (b'{"n": 1e999}', TextBody('{"n": 1e999}', "application/json")),
    (b'{"n": "\\ud800"}', TextBody('{"n": "\\ud800"}', "application/json")),
    (b'{"n": 1', TextBody('{"n": 1', "application/json")),
    (b'"x"', JsonBody("x")),
    (b"null", JsonBody(None)),
    (b"\xef\xbb\xbf{}", TextBody("\ufeff{}", "application/json")),
    (b"[" * 129 + b"]" * 129, TextBody("[" * 129 + "]" * 129, "application/json")),
    (b"[" * 128 + b"]" * 128, "json"),
    (b"[" + b"[]," * 200 + b"[]]", "json"),
    (b"[" * 5000 + b"]" * 5000, "text"),
    (b'{"n": "\xff"}', "binary"),
    (b"\0", "binary"),
    (b"", None),
]


@pytest.mark.parametrize(("body", "expected"), ODD, ids=range(len(ODD)))
def test_odd_bodies(body: bytes, expected: Any) -> None:
    """What is not JSON after all is text, what is not text is bytes, and all of it has a key."""
    request = post(CHAT, body)
    if isinstance(expected, str):
        assert type(request.body).__name__.lower() == f"{expected}body"
    else:
        assert request.body == expected
    assert len(key(request)) == 64


@given(st.binary(max_size=60), st.sampled_from(["", "application/json", "multipart/form-data; boundary=x", "text/x"]))
def test_nothing_is_too_odd(body: bytes, kind: str) -> None:
    """Parsing and keying do not fail on any bytes, under any name."""
    for encoding in ("", "gzip", "deflate", "br"):
        headers = (("content-type", kind), ("content-encoding", encoding))
        assert key(post(CHAT, body, headers)) == key(post(CHAT, body, headers))


@given(st.text(max_size=30))
def test_no_address_is_too_odd(url: str) -> None:
    """Nor on any URL."""
    request = post(url, b"")
    assert request.path.startswith("/")
    assert key(request)


PLAIN = b'{"model": "m", "messages": []}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=1)),
        ("GZIP", gzip.compress(PLAIN, mtime=2)),
        ("x-gzip", gzip.compress(PLAIN[:9], mtime=3) + gzip.compress(PLAIN[9:], mtime=4)),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", zlib.compress(PLAIN, wbits=-15)),
        ("identity", PLAIN),
    ],
)
def test_compressed_bodies_are_opened(encoding: str, body: bytes) -> None:
    """Compression says nothing."""
    headers = (("content-type", "application/json"), ("content-encoding", encoding))
    assert post(CHAT, body, headers) == post(CHAT, PLAIN)


def test_bodies_that_cannot_be_opened_are_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken, a too long and an unknown compression leave the body as it is."""
    whole = gzip.compress(PLAIN)
    for encoding, body in (("gzip", whole[:-9]), ("gzip", b"x"), ("br", whole), ("deflate", whole)):
        found = post(CHAT, body, (("content-encoding", encoding),)).body
        assert found == BinaryBody(hashlib.sha256(body).hexdigest(), len(body))
    monkeypatch.setattr("antiphon.tape.canon.parsing.OPEN_LIMIT", len(PLAIN) - 1)
    assert isinstance(post(CHAT, whole, (("content-encoding", "gzip"),)).body, BinaryBody)


def test_only_headers_that_matter_are_kept() -> None:
    """Versions of an API are matched, in any case; who asks is not."""
    headers = (("Authorization", "Bearer x"), ("Anthropic-Version", "1"), ("User-Agent", "u"), ("OpenAI-Beta", "a, b"))
    request = post(CHAT, b"", headers)
    assert request.headers == (("anthropic-version", "1"), ("openai-beta", "a, b"))
    assert key(request) == key(
        post(CHAT, b"", (("openai-beta", "b"), ("OPENAI-BETA", "a"), ("anthropic-version", "1")))
    )
    assert key(request) != key(post(CHAT, b"", (("anthropic-version", "1"), ("openai-beta", "a"))))


def test_tool_calls() -> None:
    """Arguments are what JSON makes of them, so that a recording's key is that of the call."""
    assert parse(ToolCall("p", "t", {"a": (1, 2), 3: None})) == ToolRequest("p", "t", {"a": [1, 2], "3": None})
