"""What the coded form looks like, since people read and edit it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.tape.codec import Malformed, decode, encode

WORDS = [
    "The",
    " capital",
    " of",
    " the",
    " old",
    " land",
    " of",
    " the",
    " Franks",
    ",",
    " France",
    " is",
    " Paris",
    ".",
]


def chunk(content: Any, finish: Any = None, **more: Any) -> str:
    """A chunk of a chat completion as one event."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c1', 'choices': [choice], **more}, separators=(',', ':'))}\n\n"


def reads_of(*events: str) -> list[bytes]:
    """One read for each event."""
    return [event.encode() for event in events]


def coded(reads: list[bytes]) -> Any:
    """The coded form, which must decode."""
    form = encode(reads)
    assert tuple(reads) == decode(form)
    return form


def test_a_chat_stream_is_one_template_and_its_words() -> None:
    """A stream of a chat reads as its words, with the quotes of its template turned so that none is escaped."""
    assert coded(reads_of(*map(chunk, WORDS), chunk(None, "stop"), "data: [DONE]\n\n")) == {
        "events": [
            "data: {'id':'c1','choices':[{'index':0,'delta':{'content':▢},'finish_reason':▢}]}\n\n",
            "data: [DONE]\n\n",
        ],
        "values": [
            {
                "by": "|",
                "text": "The| capital| of| the| old| land| of| the| Franks|,| France| is| Paris|.|",
                "at": {"-1": None},
            },
            {"all": None, "at": {"-1": "stop"}},
        ],
    }


def test_a_template_like_another_names_only_the_difference() -> None:
    """An event of another shape is told as the difference to one before it."""
    last = chunk("x").replace('{"content":"x"}', "{}").replace("null", '"stop"')
    form = coded(reads_of(*map(chunk, WORDS), last))
    assert form["events"][1] == [0, "delta':", "{},'finish_reason':'stop'", "}]"]


def test_counting_values_take_no_room() -> None:
    """Sequence numbers are told by the first and the step."""
    events = [f'event: d\ndata: {{"sequence_number":{4 + at},"delta":"{word}"}}\n\n' for at, word in enumerate(WORDS)]
    assert coded(reads_of(*events))["values"][0] == {"from": 4, "step": 1}


def test_events_in_turn_have_an_order() -> None:
    """Where templates alternate, the order is written, long runs as a number and how often."""
    events = ["a: 1\n\n", *["b: x\n\n"] * 5, "a: 2\n\n"]
    assert coded(reads_of(*events))["order"] == [0, [1, 5], 0]


def test_reads_that_hold_whole_events_are_counted_in_events() -> None:
    """Reads of several events do not depend on how long an answer is."""
    events = [chunk(word) for word in WORDS]
    assert coded([events[0].encode(), "".join(events[1:4]).encode(), "".join(events[4:]).encode()])["reads"] == [
        1,
        3,
        10,
    ]


def test_reads_that_split_an_event_are_counted_in_bytes() -> None:
    """Only a read that ends within an event needs bytes, also within a character."""
    data = "".join(chunk(word) for word in ["é", "ü"]).replace("\\u00e9", "é").encode()
    at = data.index("é".encode()) + 1
    assert [at, len(data) - at] == coded([data[:at], data[at:]])["cuts"]


def test_lines_read_one_by_one_are_events() -> None:
    """A client that reads lines is given lines, without bytes being counted."""
    lines = [f"{line}\n".encode() for word in WORDS for line in ("event: delta", f'data: {{"text":"{word}"}}', "")]
    form = coded(lines)
    assert "cuts" not in form
    assert "reads" not in form


@pytest.mark.parametrize(
    ("text", "spelling"), [('"caf\\u00e9"', "ascii"), ('"a \\u003c b"', "html"), ('"café"', "utf8")]
)
def test_strings_are_spelled_as_they_were(text: str, spelling: str) -> None:
    """The spelling of strings belongs to the stream, and its values read as what they mean."""
    form = coded(reads_of(f'data: {{"v":{text}}}\n\n', 'data: {"v":"x"}\n\n'))
    assert form["values"] == [{"by": "|", "text": f"{json.loads(text)}|x"}]
    assert spelling == form.get("spelling", "utf8")


def test_a_value_of_another_spelling_is_kept_as_text() -> None:
    """What our spelling would change is kept raw."""
    form = coded(reads_of('data: {"v":"a\\/b"}\n\n', 'data: {"v":1.50}\n\n', 'data: {"v":3}\n\n'))
    assert form["values"] == [[{"raw": '"a\\/b"'}, {"raw": "1.50"}, 3]]


def test_a_mark_that_the_text_holds_is_another() -> None:
    """A stream that speaks of our mark gets another one."""
    form = coded(reads_of(chunk("▢").replace("\\u25a2", "▢"), chunk("b"), chunk("c")))
    assert form["hole"] == "◇"


def test_events_that_share_only_their_shape_have_no_columns() -> None:
    """Vectors of numbers are not taken apart into a column for each number."""
    assert "values" not in coded(reads_of(*(f"data: {[at + 2 * row for at in range(40)]}\n\n" for row in range(3))))


def test_not_utf8_is_not_coded() -> None:
    """Bytes that are no text have no coded form."""
    assert encode([b"data: \xff\n\n"]) is None


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ([], "Expected `object`"),
        ({"events": "x"}, "$.events"),
        ({"events": [3]}, "$.events[0]"),
        ({"events": ["a▢"]}, "events[0]: has 1 holes"),
        ({"events": ["a"], "values": [["x"]]}, "values[0]: belongs to no hole"),
        ({"events": ["a▢b▢"], "values": [["x"], ["y", "z"]]}, "values[1]: 2 values where the event comes 1 times"),
        ({"events": ["a▢"], "values": [{"all": 1}]}, "values[0]: does not tell how often"),
        ({"events": ["a▢"], "values": [{"by": "|", "text": 3}]}, "values[0]: "),
        ({"events": ["a▢"], "values": [{"text": "a"}]}, "values[0]: has no 'by'"),
        ({"events": ["a▢"], "values": [[["x"]]]}, "values[0]: a value must be"),
        ({"events": ["a▢"], "values": [{"by": "|", "text": "a|b", "at": {"2": 1}}]}, "values[0]: there is no row 2"),
        ({"events": ["a▢"], "values": [{"by": "|", "text": "a|b", "at": {"x": 1}}]}, "values[0]: invalid literal"),
        ({"events": ["a", [1, "", "", ""]]}, "events[1]: is like 1"),
        ({"events": ["a", [0, "b", "", ""]]}, "events[1]: 'b' is not in the template"),
        ({"events": ["a", [0, "b"]]}, "events[1]: a template like another one needs three"),
        ({"events": ["a", [0, 1, 2, 3]]}, "events[1]: "),
        ({"events": ["a"], "order": [1]}, "order: there are only 1"),
        ({"events": ["a"], "order": [[0, -1]]}, "order: (0, -1) counts below nought"),
        ({"events": ["a"], "reads": [2]}, "reads: tells of 2 events, and there are 1"),
        ({"events": ["a"], "cuts": [2]}, "cuts: add up to 2 bytes, and there are 1"),
        ({"events": ["a"], "evnts": []}, "evnts"),
    ],
)
def test_a_hand_that_slipped_is_told_where(form: Any, place: str) -> None:
    """A coded form that does not fit is refused with the place."""
    with pytest.raises(Malformed) as caught:
        decode(form)
    assert place in str(caught.value)
