"""The codec gives back every byte and every read, whatever they are."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.tape.codec import decode, encode, encoding
from antiphon.tape.codec.spelling import QUOTES, read_scalar, spell

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


@given(st.sampled_from(sorted(QUOTES)), SCALARS, st.sampled_from(SPELLINGS))
def test_a_scalar_is_its_value_or_the_text_it_was(name: str, value: Any, write: Any) -> None:
    """A string that needs no escape is read without a parser, and means what the parser says."""
    text = write(value)
    read = read_scalar(text, QUOTES[name])
    assert spell(read, QUOTES[name]) == text
    if not isinstance(read, dict):
        assert read == json.loads(text)


EVENTS = st.builds(
    lambda frame, value, end: frame % json.dumps(value, ensure_ascii=False) + end,
    st.sampled_from(['{"a": 1, "b": %s}', '{"a":%s,"c":[1,"x",null]}', "%s", '"k" %s', '%s: 1-2 "x', "1%s2"]),
    st.sampled_from(["", "x", 'a"b', "\\", "a:b", " é", "12"]) | st.integers(0, 3) | st.none(),
    st.sampled_from(["", "\n\n", ' "', ":"]),
)


@given(st.lists(EVENTS, max_size=12))
def test_events_that_are_alike_are_taken_apart_as_all_are(events: list[str]) -> None:
    """What is recognised without being taken apart has the tokens, and the group, that it would have had."""
    groups, order = encoding._grouped(events)
    rows = [iter(group.rows) for group in groups]
    tokens = [next(rows[number]) for number in order]
    assert tokens == [encoding._TOKEN.split(event) for event in events]
    shapes = [tuple(None if at % 2 and one[-1] != ":" else one for at, one in enumerate(row)) for row in tokens]
    assert all((order[i] == order[k]) == (shapes[i] == shapes[k]) for i in range(len(order)) for k in range(i))
