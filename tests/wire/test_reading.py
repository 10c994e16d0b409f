"""Bodies that are not what they should be: each is a 400 that says where."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest
from antiphon.wire.reading import MAX_DEPTH, convert, decode_object
from antiphon.wire.requests import parse_create

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_any_object_is_read(tree: dict[str, object]) -> None:
    """Every JSON object is read as what it says."""
    assert decode_object(json.dumps(tree).encode("utf-8", "surrogatepass")) == tree


@given(st.binary(max_size=40))
@example(b'{"a": "\xed\xa0\x80"}')
@example(b'{"a":"\\ud800"}')
@example(b'{"a":1e999}')
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever the bytes are, the outcome is a request or a 400, never another exception."""
    with contextlib.suppress(InvalidRequest):
        assert parse_create(body).model


@pytest.mark.parametrize(
    ("body", "line", "column", "byte"),
    [
        (b'{"model": }', 1, 11, 10),
        (b'{\n  "model": "m",\n  "input": tru\n}', 3, 12, 29),
        ('{"é": "ü", x}'.encode(), 1, 12, 13),
        (b'{"model": "m"', 1, 14, 13),
        (b"", 1, 1, 0),
        (b'{"a": NaN}', 1, 7, 6),
        (b"{} {}", 1, 4, 3),
    ],
)
def test_malformed_json_names_the_place(body: bytes, line: int, column: int, byte: int) -> None:
    """The message of malformed JSON holds line, column and byte offset."""
    with pytest.raises(InvalidRequest, match=rf"line {line}, column {column} \(byte {byte}\)") as caught:
        decode_object(body)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_a_body_must_be_an_object(body: bytes) -> None:
    """JSON that is not an object is refused as such."""
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        decode_object(body)


@pytest.mark.parametrize("piece", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_a_400(piece: bytes, depth: int) -> None:
    """Nesting beyond the limit is refused, never a crash."""
    end = b"]" if piece == b"[" else b"}"
    body = b'{"model": "m", "input": "hi", "extra": ' + piece * depth + b"1" + end * depth + b"}"
    with pytest.raises(InvalidRequest, match="nests deeper"):
        parse_create(body)


def test_nesting_up_to_the_limit_is_read() -> None:
    """A deep body within the limit is accepted."""
    depth = MAX_DEPTH - 2
    assert parse_create(b'{"model": "m", "input": "hi", "extra": ' + b"[" * depth + b"]" * depth + b"}").unknown


def test_the_last_of_two_equal_keys_counts() -> None:
    """A repeated key is read as JSON parsers commonly do: the last one wins."""
    assert parse_create(b'{"model": "a", "input": "x", "model": "b"}').model == "b"


def test_paths_continue_from_where_the_caller_is() -> None:
    """A path inside a nested value is given from the body's root."""
    with pytest.raises(InvalidRequest) as caught:
        convert([1, "x"], list[int], "tools[3].counts")
    assert caught.value.param == "tools[3].counts[1]"
    assert caught.value.message == "Invalid value for 'tools[3].counts[1]': expected integer, got string \"x\"."
