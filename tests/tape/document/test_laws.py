"""An exchange and its file are the same thing, whatever the exchange."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape import document
from antiphon.tape.document.kept import dump_response, load_response
from antiphon.tape.model import (
    BOUNDARIES,
    BinaryBody,
    End,
    Exchange,
    FormBody,
    HttpRequest,
    HttpResponse,
    JsonBody,
    Part,
    TextBody,
    ToolFailure,
    ToolRequest,
    ToolResponse,
    Usage,
)
from tests.shared import shared

NAMES = st.text("abc-_é", min_size=1, max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=4)
)
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=6)), max_size=3).map(tuple)
PLAIN = st.builds(TextBody, st.text(max_size=300), NAMES) | st.builds(BinaryBody, NAMES, st.integers(0, 9), st.just(""))
PARTS = st.lists(st.builds(Part, NAMES, PLAIN, st.none() | NAMES), max_size=3).map(tuple)
BODIES = st.none() | st.builds(JsonBody, VALUES) | st.builds(FormBody, PARTS) | PLAIN
REQUESTS = st.builds(HttpRequest, NAMES, NAMES, PAIRS, PAIRS, BODIES) | st.builds(ToolRequest, NAMES, NAMES, VALUES)

SPELLINGS: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {},
    {"indent": 2},
    {"indent": "\t", "ensure_ascii": False},
]
JSON_TEXTS = st.builds(
    lambda value, style, after: (json.dumps(value, **style) + after).encode(),
    st.lists(VALUES, max_size=3) | st.dictionaries(st.text(), VALUES, max_size=4),
    st.sampled_from(SPELLINGS),
    st.sampled_from(["", "\n", " \r\n"]),
)
CONTENT = (
    JSON_TEXTS
    | st.binary(max_size=60)
    | st.text(max_size=200).map(str.encode)
    | st.binary(min_size=4090, max_size=4100)
)


@st.composite
def http_responses(draw: st.DrawFn) -> HttpResponse:
    """Any body, in any reads, ended in any way, with any times."""
    content = draw(CONTENT)
    ends = sorted(draw(st.lists(st.integers(0, len(content)), max_size=4)))
    reads = tuple(content[start:end] for start, end in zip([0, *ends], [*ends, len(content)], strict=True))
    if draw(st.integers(0, 9)) == 0:
        reads = ()
    kind = draw(
        st.sampled_from(["application/json", "text/event-stream; charset=utf-8", "text/plain", "application/x-ndjson"])
    )
    gaps = draw(st.none() | st.just(tuple(range(len(reads)))))
    summary = draw(st.none() | st.just((1, 2, 3))) if gaps is None else None
    end = draw(st.sampled_from(get_args(End)))
    headers = (*draw(PAIRS), ("Content-Type", kind))
    return HttpResponse(draw(st.integers(100, 599)), headers, reads, end, draw(st.text(max_size=5)), gaps, summary)


TOOLS = st.builds(ToolResponse, VALUES) | st.builds(
    ToolResponse, error=st.builds(ToolFailure, NAMES, st.text(max_size=9), st.booleans())
)
EXCHANGES = st.builds(
    Exchange,
    REQUESTS,
    http_responses() | TOOLS,
    st.sampled_from(BOUNDARIES),
    st.just("") | NAMES,
    st.just("") | st.text(max_size=9),
    st.integers(1, 5),
    st.none() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9)),
)


@given(EXCHANGES)
def test_what_is_written_is_what_is_read(exchange: Exchange) -> None:
    """Load gives the exchange back; dump gives the same bytes again; head is the exchange without its response."""
    data, side = document.dump(exchange, timing="exact")
    back = document.load(data, side.__getitem__)
    expected = exchange
    if exchange.usage is None and isinstance(exchange.response, HttpResponse):
        expected = msgspec.structs.replace(exchange, usage=document.usage(exchange.response))
    assert back == expected
    assert document.dump(back, timing="exact") == (data, side)
    head = document.head(data)
    assert (head.request, head.scope, head.variant) == (exchange.request, exchange.scope, exchange.variant)
    assert (head.boundary, head.provider) == (exchange.boundary, exchange.provider)


@given(http_responses())
def test_a_response_kept_alone_is_whole(response: HttpResponse) -> None:
    """Without a file beside it, every byte and every read comes back; only the times do not."""
    back = load_response(dump_response(response))
    assert back == msgspec.structs.replace(response, gaps=None, summary=None)


def test_what_is_no_response_is_told() -> None:
    """Other bytes, and the answer of a tool, are refused in a sentence."""
    for data in (b"", b"{", b"[]", b'{"status": "x"}', b"{}", b'{"result": 1}'):
        with pytest.raises(document.Unreadable, match=r"\.$"):
            load_response(data)


@given(EXCHANGES)
def test_a_file_is_lines_of_json(exchange: Exchange) -> None:
    """A file is JSON in UTF-8, ends with a newline, and has no other line ends than LF."""
    data, _ = document.dump(exchange)
    json.loads(data.decode())
    assert data.endswith(b"}\n")
    assert b"\r" not in data


def test_every_recorded_body_comes_back() -> None:
    """All real answers that are no streams come back byte for byte, in each common spelling, as JSON in the file."""
    for path in sorted(shared("recordings").rglob("*.json")):
        recorded = json.loads(path.read_bytes()).get("response")
        body = recorded.get("body") if isinstance(recorded, dict) else None
        if not isinstance(body, dict) or not isinstance(value := body.get("__data__", body), dict):
            continue
        for style in SPELLINGS:
            response = HttpResponse(200, (), (json.dumps(value, **style).encode(),))
            data, side = document.dump(Exchange(HttpRequest("GET", "/"), response))
            assert not side
            assert b'\n  "json": ' in data
            assert document.load(data, side.__getitem__).response == response


@pytest.mark.parametrize("value", ["\ud800", 10**400, 1e308, {"a": "\udfff", "b": [10**30]}, [[]] * 3, {"": {}}])
def test_values_at_the_edge_of_json_are_kept(value: Any) -> None:
    """Half pairs and numbers beyond any word come back in a request."""
    exchange = Exchange(HttpRequest("POST", "/", body=JsonBody(value)), HttpResponse(200))
    data, side = document.dump(exchange)
    assert document.load(data, side.__getitem__) == exchange
    assert document.head(data).request == exchange.request
