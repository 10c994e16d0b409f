"""The codec gives back every byte and every read, whatever they are."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.tape.codec import decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
SPELLINGS = [
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("/", "\\/"),
    lambda value: json.dumps(value, indent=1),
]
FRAMES = [
    "data: %s\n\n",
    "event: delta\ndata: %s\n\n",
    "data: %s\r\n\r\n",
    "%s\n",
    ": %s\n\n",
    "id: 7\rdata:%s\r\r",
    "%s",
    ",%s\n",
]


def through_a_file(coded: Any) -> Any:
    """What a coded stream is after it has been written and read."""
    return json.loads(json.dumps(coded, ensure_ascii=False).encode())


@st.composite
def streams(draw: st.DrawFn) -> str:
    """Events of few shapes, as a model sends them, with some that are like none."""
    spell = draw(st.sampled_from(SPELLINGS))
    frame = draw(st.sampled_from(FRAMES))
    names = draw(st.lists(st.sampled_from(["id", "content", "nul", "▢", 'say "x"', "n"]), min_size=1, unique=True))
    events = []
    for _ in range(draw(st.integers(1, 12))):
        value: Any = {name: draw(SCALARS) for name in names}
        if draw(st.integers(0, 3)) == 0:
            value["more"] = [draw(SCALARS), {"of": draw(SCALARS)}]
        events.append(frame % spell(value))
    if draw(st.booleans()):
        events.append("data: [DONE]\n\n")
    if draw(st.booleans()):
        events.insert(draw(st.integers(0, len(events))), draw(st.text(max_size=12)))
    return "".join(events)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in reads that end at ``places``."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(st.lists(st.binary(max_size=6) | st.text(max_size=6).map(str.encode), max_size=6))
@example([])
@example([b""])
@example([b"", b"a\n\n", b"", b"b"])
def test_any_reads_come_back(reads: list[bytes]) -> None:
    """Any list of byte strings that is UTF-8 comes back, through a file too; any other is refused."""
    coded = encode(reads)
    try:
        b"".join(reads).decode()
    except UnicodeDecodeError:
        assert coded is None
    else:
        assert tuple(reads) == decode(through_a_file(coded))


@given(streams(), st.lists(st.integers(0, 5000), max_size=8))
def test_a_stream_cut_anywhere_comes_back(text: str, places: list[int]) -> None:
    """Events of any spelling, cut at any byte (also within a character), come back read by read."""
    reads = cut(text.encode(), places)
    assert tuple(reads) == decode(through_a_file(encode(reads)))


@given(st.text(alphabet="\"\\:{}[],▢◇⬚|~^ \n\r0123.-eEtruefalsn'x", max_size=80))
@example("▢◇⬚" + "".join(map(chr, range(0xE000, 0xE100))))
@example('"a":"b"\n\n"a":"c"\n\n"a":"\\ud800"\n\n')
@example('{"n":01}\n\n{"n":02}\n\n{"n":-0}\n\n{"n":1E5}\n\n')
def test_signs_that_mean_something_to_the_codec_are_text(text: str) -> None:
    """Quotes, marks of holes, separators and broken JSON are text like any other."""
    assert (text.encode(),) == decode(through_a_file(encode([text.encode()])))


@given(st.lists(SCALARS, min_size=1, max_size=40))
def test_values_of_any_kind_fill_a_hole(values: list[Any]) -> None:
    """Whatever values one place takes from event to event, each event comes back as its own read."""
    reads = [f'data: {{"v": {json.dumps(value)}}}\n\n'.encode() for value in values]
    assert tuple(reads) == decode(through_a_file(encode(reads)))
