"""The decoder of server-sent events: laws over any bytes, cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.upstream.sse import EventTooLong, SSEDecoder

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
VALUES = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=12)
LINES = st.one_of(
    VALUES.map(lambda v: f"data: {v}"),
    VALUES.map(lambda v: f"data:{v}"),
    VALUES.map(lambda v: f":{v}"),
    VALUES.map(lambda v: f"event: {v}"),
    st.sampled_from(["", "", "data", "id: 7", "retry: 10", 'data: {"a": 1}', "data: [DONE]"]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Lines of every kind under mixed line ends, sometimes after a byte order mark."""
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    return (mark + "".join(draw(LINES) + draw(LINE_ENDS) for _ in range(draw(st.integers(0, 12))))).encode()


def decoded(*pieces: bytes) -> list[bytes]:
    decoder = SSEDecoder()
    return [payload for piece in pieces for payload in decoder.feed(piece)] + decoder.flush()


def by_the_book(data: bytes) -> list[bytes]:
    """The standard's own algorithm over the whole text, with the one leniency that the end closes an event."""
    text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    events: list[bytes] = []
    held: list[str] = []
    for line in [*text.split("\n"), ""]:
        if not line:
            if held:
                events.append("\n".join(held).encode())
            held = []
        elif line == "data" or line.startswith("data:"):
            held.append(line[5:].removeprefix(" "))
    return events


@given(streams())
@example(b"data: a\n\ndata: b\n\n")
@example(b"data: a\n\n\n\ndata: b\n\n")
@example(b"data: a\rdata: b\n\n")
@example("\ufeffdata: a\n\n".encode())
@example(b"\xef\xbb")
def test_whole_stream_is_read_as_the_standard_says(data: bytes) -> None:
    """One read of anything gives the events of the standard's algorithm."""
    assert decoded(data) == (by_the_book(data) if data != b"\xef\xbb" else [])


@given(streams(), st.data())
def test_cutting_the_bytes_anywhere_changes_nothing(data: bytes, draw: st.DataObject) -> None:
    """However the bytes are split into reads, the payloads are the same."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert decoded(*pieces) == decoded(data)


@given(streams())
def test_byte_by_byte_is_the_same(data: bytes) -> None:
    """Even one byte a read gives the same payloads."""
    assert decoded(*(data[i : i + 1] for i in range(len(data)))) == decoded(data)


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3), min_size=1, max_size=5))
def test_json_events_survive(values: list[dict[str, str]]) -> None:
    """Any JSON, several events a read: the fast way finds each."""
    data = b"".join(b"data: " + json.dumps(v, ensure_ascii=False).encode() + b"\n\n" for v in values)
    assert [json.loads(p) for p in SSEDecoder().feed(data)] == values


@pytest.mark.parametrize("step", [1, 7, 100])
def test_an_endless_event_is_refused(step: int) -> None:
    """An event over the limit raises with what came before it, and is not held any longer than that."""
    decoder = SSEDecoder(limit=50)
    data = b"data: ok\n\ndata: " + b"x" * 200
    got: list[bytes] = []

    def feed() -> None:
        for i in range(0, len(data), step):
            got.extend(decoder.feed(data[i : i + step]))

    with pytest.raises(EventTooLong) as caught:
        feed()
    assert [*got, *caught.value.before] == [b"ok"]


def test_a_long_event_of_many_lines_is_refused() -> None:
    """The limit counts the event, not its lines."""
    with pytest.raises(EventTooLong):
        SSEDecoder(limit=50).feed(b"data: 123456789\n" * 20)
