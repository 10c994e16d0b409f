"""A body with a fault in it: the same bytes in, the same actions out, however the bytes were cut into reads."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tape.faults import Action, Fault, Filter, Send, Sleep, Stop, parse

TEN = [f'data: {{"n":{n},"delta":{{"content":"word{n}"}}}}\n\n'.encode() for n in range(10)]
ELEVEN = [*TEN, b"data: [DONE]\n\n"]


def run(fault: Fault, reads: list[bytes], end: str = "complete") -> list[Action]:
    through = Filter(fault)
    actions = [action for data in reads for action in through.feed(data)]
    return actions + through.end(end)  # type: ignore[arg-type]


def merged(actions: list[Action]) -> list[object]:
    """The actions without the cuts between reads."""
    found: list[object] = []
    for kind, group in itertools.groupby(actions, type):
        these = list(group)
        found += [sent(these)] if kind is Send else these
    return found


def sent(actions: list[Action]) -> bytes:
    return b"".join(one.data for one in actions if isinstance(one, Send))


def one(**fields: object) -> Fault:
    return parse(fields)[0]


def edges(reads: list[bytes]) -> set[int]:
    return set(itertools.accumulate(map(len, reads)))


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


lines = st.sampled_from(["data: [DONE]", "data:", "data", "data: {}", 'data:{"a":1}', "data: two", ": ping", "id: 4"])
lines |= st.sampled_from(["event: x", "", "", "", "data: [DONE] ", "datax: y", "  ", "data:  [DONE]"])
bodies = st.builds(
    lambda start, parts: start + b"".join(line.encode() + end for line, end in parts),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"{}\n", b' {"a":1}\r\n', b"\n", b"\xef\xbb", b"\xef\xbb\xbf{}\n"]),
    st.lists(
        st.tuples(lines, st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r", b""])), max_size=12
    ),
)
small = st.integers(0, 6)
number = st.integers(1, 6)
effects = st.fixed_dictionaries(
    {},
    optional={
        "cut": st.fixed_dictionaries({"after_event": small, "how": st.sampled_from(["reset", "close", "half_event"])})
        | st.fixed_dictionaries({"after_byte": st.integers(0, 90), "how": st.sampled_from(["reset", "close"])}),
        "slow": st.just({"first": 1.5, "gap": 0.25}),
        "stall": st.fixed_dictionaries({"at_event": number, "seconds": st.just(9)}),
        "malformed": st.fixed_dictionaries({"event": number}),
        "drop_done": st.just(True),
        "duplicate_event": number,
    },
).filter(bool)


@given(effects, bodies, st.lists(st.integers(0, 500), max_size=8))
def test_the_cuts_between_reads_change_nothing(fields: dict[str, object], body: bytes, places: list[int]) -> None:
    """Whole, cut anywhere, or byte by byte: the same bytes, the same sleeps between them, the same end."""
    fault = one(**fields)
    whole = merged(run(fault, [body]))
    assert whole == merged(run(fault, cuts(body, places)))
    assert whole == merged(run(fault, [body[n : n + 1] for n in range(len(body))]))


@given(effects, bodies, st.lists(st.integers(0, 500), max_size=8), st.sampled_from(["complete", "reset", "error"]))
def test_every_run_is_the_same_and_has_one_end(
    fields: dict[str, object], body: bytes, places: list[int], end: str
) -> None:
    """Two runs are identical; exactly one ``Stop`` comes, and nothing after it."""
    fault, reads = one(**fields), cuts(body, places)
    actions = run(fault, reads, end)
    assert actions == run(fault, reads, end)
    assert [isinstance(action, Stop) for action in actions].index(True) == len(actions) - 1
    assert all(action.data for action in actions if isinstance(action, Send))


@given(bodies, st.lists(st.integers(0, 500), max_size=8))
def test_reads_stay_what_they_were_where_nothing_is_altered(body: bytes, places: list[int]) -> None:
    """A fault that never comes to bear keeps every boundary between reads."""
    reads = cuts(body, places)
    for fault in (one(malformed={"event": 99}), one(cut={"after_event": 99}), one(duplicate_event=99)):
        through = Filter(fault)
        actions = [action for data in reads for action in through.feed(data)] + through.end("reset", "gone")
        assert actions == [*map(Send, reads), Stop("reset", "gone")]
        assert not through.applied


@given(st.lists(st.integers(0, 800), max_size=30))
def test_waiting_for_done_keeps_the_reads_too(places: list[int]) -> None:
    """To drop ``[DONE]`` the beginning of an event may come later than its read, but no two reads are joined."""
    reads = cuts(b"".join(TEN), places)
    actions = run(one(drop_done=True), reads)
    assert edges(reads) <= edges([action.data for action in actions if isinstance(action, Send)])
    assert merged(actions) == [b"".join(reads), Stop("complete")]


@pytest.mark.parametrize("k", range(13))
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_cut_after_each_event(k: int, end: bytes) -> None:
    """Exactly so many whole events come, then the connection breaks; past the last one nothing happens."""
    events = [event.replace(b"\n", end) for event in ELEVEN]
    actions = merged(run(one(cut={"after_event": k}), events))
    stop = actions.pop()
    assert isinstance(stop, Stop)
    assert stop.end == ("reset" if k < 12 else "complete")
    assert actions == [b"".join(events[:k])][not k :]


@pytest.mark.parametrize("cut", [{"after_event": 0}, {"after_byte": 0}])
def test_a_body_without_a_byte_is_cut_too(cut: dict[str, int]) -> None:
    """A cut before the first byte needs no first byte."""
    assert [getattr(action, "end", None) for action in run(one(cut=cut), [])] == ["reset"]


def test_half_an_event() -> None:
    """So many whole events, half of the next one, and an end that looks like a good one."""
    actions = merged(run(one(cut={"after_event": 2, "how": "half_event"}), ELEVEN))
    assert actions == [b"".join(TEN[:2]) + TEN[2][: len(TEN[2]) // 2], Stop("complete")]


def test_a_comment_is_no_event() -> None:
    """Comments and empty lines are neither counted nor halved."""
    body = [b": ping\n\n", TEN[0], b": ping\n\n\n", TEN[1]]
    half = TEN[1][: len(TEN[1]) // 2]
    actions = merged(run(one(cut={"after_event": 1, "how": "half_event"}), body))
    assert actions == [b": ping\n\n" + TEN[0] + b": ping\n\n\n" + half, Stop("complete")]


@given(st.integers(0, 600), st.lists(st.integers(0, 800), max_size=9))
def test_cut_after_a_byte(k: int, places: list[int]) -> None:
    """Exactly so many bytes come."""
    body = b"".join(ELEVEN)
    actions = run(one(cut={"after_byte": k, "how": "close"}), cuts(body, places))
    assert (sent(actions), actions[-1]) == (body[:k], Stop("complete"))


def test_malformed() -> None:
    """The data of that event, and of no other, is no JSON; nothing else of it changes."""
    out = sent(run(one(malformed={"event": 3}), ELEVEN)).split(b"\n\n")
    for n, event in enumerate(out[:10]):
        if n == 2:
            with pytest.raises(json.JSONDecodeError):
                json.loads(event.removeprefix(b"data: "))
        else:
            assert event + b"\n\n" == TEN[n]
    assert sent(run(one(malformed={"event": 1}), [b"data:{}\n\n"])) == b"data:{{}\n\n"
    assert sent(run(one(malformed={"event": 1}), [b"data: {}\n\n"])) == b"data: {{}\n\n"


def test_dropped_done_and_repeated_event() -> None:
    """``[DONE]`` is missing, with or without an end of line after it; an event comes twice."""
    assert sent(run(one(drop_done=True), ELEVEN)) == b"".join(TEN)
    assert sent(run(one(drop_done=True), [*TEN, b"data: [DO", b"NE]"])) == b"".join(TEN)
    two = b"data: x\ndata: [DONE]\n\n"  # one event, whose data is two lines
    assert sent(run(one(drop_done=True), [two])) == two
    assert sent(run(one(duplicate_event=2), ELEVEN)) == b"".join([*TEN[:2], TEN[1], *ELEVEN[2:]])


def test_slow_and_stall() -> None:
    """Sleeps come before the first byte, before each later event and before the one that stalls."""
    actions = merged(run(one(slow={"first": 3, "gap": 0.2}, stall={"at_event": 2, "seconds": 60}), [b"".join(TEN[:3])]))
    assert actions == [Sleep(3.0), TEN[0], Sleep(60.2), TEN[1], Sleep(0.2), TEN[2], Stop("complete")]


def test_lines_of_json() -> None:
    """In a body of JSON lines each line is an event, the last one without an end of line too."""
    body = [b'{"a":1}\n{"a"', b':2}\r\n\n{"a":3}']
    assert sent(run(one(cut={"after_event": 1}), body)) == b'{"a":1}\n'
    assert sent(run(one(malformed={"event": 2}), body)) == b'{"a":1}\n{{"a":2}\r\n\n{"a":3}'
    assert sent(run(one(duplicate_event=3), body)) == b"".join(body) + b'{"a":3}'
