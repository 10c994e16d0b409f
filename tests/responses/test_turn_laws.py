"""Laws of the Turn: whatever a back end streams, what comes of it is what it said, in the grammar that clients need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from antiphon.errors import UpstreamError
from antiphon.responses.turn import Turn
from antiphon.wire.events import Delta
from tests.responses import chunks as back_ends
from tests.responses.chunks import Called, Script, scripts, wild
from tests.responses.grammar import check
from tests.responses.judge import Accumulator, validate
from tests.responses.play import options, output, play, read, wire

#: Ways to read a stream that change what comes of it.
READINGS = st.fixed_dictionaries({"summary": st.booleans(), "logprobs": st.booleans()})
CUTS = st.sampled_from(["failed", "cancelled"])


@pytest.fixture(scope="module")
def accumulate() -> Iterator[Accumulator]:
    """The SDK's ``responses.stream()``."""
    accumulator = Accumulator()
    yield accumulator
    accumulator.close()


def said(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items in the form of ``Script.expected``."""
    out: list[dict[str, Any]] = []
    for item in items:
        kind = item["type"]
        if kind == "message":
            content = [
                ["text", part["text"]] if "text" in part else ["refusal", part["refusal"]] for part in item["content"]
            ]
            out.append({"type": kind, "content": content})
        elif kind == "reasoning":
            parts = [*item["summary"], *item.get("content", [])]
            out.append({"type": kind, "text": "".join(part["text"] for part in parts)})
        else:
            told = {key: item[key] for key in ("type", "name", "namespace") if key in item}
            out.append({**told, "said": item["arguments" if kind == "function_call" else "input"]})
    return out


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items that two streams of different shape may share."""
    return [{key: value for key, value in item.items() if key != "id"} for item in items]


@given(scripts(), READINGS)
@settings(max_examples=150)
def test_what_the_model_said_comes_out(script: Script, reading: dict[str, Any]) -> None:
    """Nothing is lost, invented or reordered, whatever the back end's way of streaming it."""
    journal = play(read(script.chunks), options(**reading))
    assert wire(journal)[-1]["type"] == "response.completed"
    assert said(output(journal)) == script.expected


@given(scripts(), READINGS, st.sampled_from(["openai", "open-responses"]))
@settings(max_examples=60)
def test_every_stream_keeps_the_grammar(script: Script, reading: dict[str, Any], dialect: Any) -> None:
    """Order, indexes, ids, parts, repeated texts and the end are what clients require."""
    check(wire(play(read(script.chunks), options(**reading), dialect=dialect)), dialect=dialect)


@given(wild, READINGS)
@settings(max_examples=150)
def test_no_stream_breaks_the_grammar(chunks: list[dict[str, Any]], reading: dict[str, Any]) -> None:
    """Chunks without any sense end well too, as an answer or as a failure."""
    check(wire(play(read(chunks), options(**reading))))


@given(st.one_of(scripts().map(lambda script: script.chunks), wild), READINGS, CUTS, st.data())
@settings(max_examples=120)
def test_a_cut_stream_ends_well(
    chunks: list[dict[str, Any]], reading: dict[str, Any], end: Any, data: st.DataObject
) -> None:
    """Cut behind any chunk, the items are closed, only the last one as incomplete, and one event ends it."""
    at = data.draw(st.integers(0, len(chunks)))
    journal = play(read(chunks[:at]), options(**reading), cut=end)
    items = check(wire(journal))
    whole = output(play(read(chunks), options(**reading)))
    for item, later in zip(items[:-1], whole, strict=False):
        assert {**item, "id": ""} == {**later, "id": ""}, "what was closed before the cut is what it would have been"


@given(scripts(), CUTS, st.data())
@settings(max_examples=60)
def test_what_was_being_written_is_incomplete(script: Script, end: Any, data: st.DataObject) -> None:
    """A cut leaves the last item incomplete, unless it is a call whose arguments are whole, whatever stands behind."""
    at = data.draw(st.integers(0, len(script.chunks)))
    for item in output(play(read(script.chunks[:at]), cut=end))[-1:]:
        whole = _begins_with_json(item.get("arguments", "")) or "input" in item
        assert item["status"] == "incomplete" or whole


@given(st.one_of(scripts().map(lambda script: script.chunks), wild), READINGS)
@settings(max_examples=60)
def test_every_event_is_one_of_the_sdk(chunks: list[dict[str, Any]], reading: dict[str, Any]) -> None:
    """The official SDK's types take every event strictly, and know its every key."""
    for frame in play(read(chunks), options(**reading, seal=lambda text: "sealed")).frames:
        validate(frame)


@given(scripts(), READINGS)
@settings(max_examples=30)
def test_the_sdk_adds_up_to_the_same(accumulate: Accumulator, script: Script, reading: dict[str, Any]) -> None:
    """The SDK's own accumulator ends with our Response, and its deltas with our texts."""
    journal = play(read(script.chunks), options(**reading))
    final, grown = accumulate(journal.frames)
    ours = wire(journal)[-1]["response"]
    assert _without_parsed(final) == ours
    for mine, theirs in zip(ours["output"], grown, strict=True):
        assert mine["id"] == theirs["id"]
        if mine["type"] == "function_call":
            assert theirs["arguments"] == mine["arguments"]
        if mine["type"] == "message":
            texts = [part.get("text") for part in mine["content"]]
            assert [part.get("text") for part in theirs["content"]] == texts


def _without_parsed(value: Any) -> Any:
    """The SDK adds what it parsed from texts and arguments."""
    if isinstance(value, dict):
        return {
            key: _without_parsed(inner) for key, inner in value.items() if key not in ("parsed", "parsed_arguments")
        }
    return [_without_parsed(inner) for inner in value] if isinstance(value, list) else value


@given(scripts(), READINGS, st.data())
@settings(max_examples=60)
def test_where_the_text_is_cut_does_not_matter(script: Script, reading: dict[str, Any], data: st.DataObject) -> None:
    """The same content in other pieces gives the same items."""
    reading["logprobs"] = False
    first = play(read(script.chunks), options(**reading))
    for n, pieces in enumerate(script.cuts):
        if not (isinstance(script.parts[n], Called) and script.style.whole):
            script.cuts[n] = data.draw(back_ends.cut("".join(pieces)))
    back_ends.render(script)
    again = play(read(script.chunks), options(**reading))
    assert without_ids(output(again)) == without_ids(output(first))


@given(scripts(logprobs=True))
@settings(max_examples=40)
def test_log_probabilities_follow_their_text(script: Script) -> None:
    """Where they were asked for, each token of the answer keeps its own, in its delta and in what repeats it."""
    assume(not any(getattr(part, "form", "") == "tags" for part in script.parts))
    for item in output(play(read(script.chunks), options(logprobs=True))):
        for part in item.get("content", []):
            if part["type"] == "output_text":
                assert "".join(token["token"] for token in part["logprobs"]) == part["text"]
                assert all(bytes(token["bytes"]).decode() == token["token"] for token in part["logprobs"])


def test_log_probabilities_wait_for_text_only() -> None:
    """Those of half a character go with the whole one; those of something else than text go nowhere."""
    half = {"content": [{"token": "\ufffd", "logprob": None, "bytes": [240, 159]}]}
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": {"content": ""}, "logprobs": half}]},
        {"choices": [{"delta": {"content": "😀"}, "logprobs": half}]},
        {"choices": [{"delta": {"content": ""}, "logprobs": half}]},
        {"choices": [{"delta": {"refusal": "no"}}]},
    ]
    journal = play(read(chunks), options(logprobs=True))
    for frame in journal.frames:
        validate(frame)
    deltas = [event for event in journal.events if isinstance(event, Delta)]
    assert [len(delta.logprobs or ()) for delta in deltas] == [2, 0]
    assert deltas[0].logprobs is not None
    assert deltas[0].logprobs[0]["logprob"] == -9999.0, "a null is not certainty"


@given(scripts(logprobs=True))
@settings(max_examples=20)
def test_log_probabilities_stay_out_unasked(script: Script) -> None:
    """Where they were not asked for, every list of them is there and empty."""
    text = json.dumps(wire(play(read(script.chunks))))
    assert '"logprobs": [{' not in text


@given(st.one_of(scripts().map(lambda script: script.chunks), wild), READINGS)
@settings(max_examples=30)
def test_the_same_stream_gives_the_same_bytes(chunks: list[dict[str, Any]], reading: dict[str, Any]) -> None:
    """A Turn has no clock and no ids of its own."""
    one, other = (play(read(chunks), options(**reading)) for _ in range(2))
    assert one.frames == other.frames


@given(scripts())
@settings(max_examples=40)
def test_several_chunks_are_fed_at_once(script: Script) -> None:
    """One network read with many chunks gives the events that they give one by one."""
    chunks = read(script.chunks)
    one, other = Turn(options()), Turn(options())
    assert one.feed(chunks) == [event for chunk in chunks for event in other.feed([chunk])]


@given(scripts(usage="each"))
@settings(max_examples=20)
def test_repeated_usage_counts_once(script: Script) -> None:
    """A back end that sends usage with every chunk sends running totals."""
    usage = wire(play(read(script.chunks)))[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 5, 12)


@given(scripts(ids="none"), st.integers(0, 3))
@settings(max_examples=30)
def test_derived_call_ids_depend_on_the_call_alone(script: Script, position: int) -> None:
    """A call without an id gets one from its place, name and arguments: the same each time, no two alike."""
    ids = [
        item["call_id"] for item in output(play(read(script.chunks), options(position=position))) if "call_id" in item
    ]
    again = [
        item["call_id"] for item in output(play(read(script.chunks), options(position=position))) if "call_id" in item
    ]
    moved = [
        item["call_id"]
        for item in output(play(read(script.chunks), options(position=position + 9)))
        if "call_id" in item
    ]
    assert ids == again
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(moved)


@given(scripts(), st.integers(0, 5))
@settings(max_examples=20)
def test_items_are_numbered_from_the_first_index(script: Script, first: int) -> None:
    """A later model step goes on where the items of the earlier ones end."""
    turn = Turn(options(first_index=first))
    events = [*turn.feed(read(script.chunks)), *turn.flush()]
    added = [event.payload["output_index"] for event in events if event.type == "response.output_item.added"]  # type: ignore[union-attr]
    assert added == list(range(first, first + len(added)))


@given(scripts(interleaved=False, ids="first", index="count"))
@settings(max_examples=40)
def test_nothing_waits_that_could_be_said(script: Script) -> None:
    """A stream that says one thing after the other is passed on at once: after each chunk all of its text is out."""
    assume(not any(isinstance(part, Called) and part.custom for part in script.parts))
    assume(not any(getattr(part, "form", "") == "tags" for part in script.parts))
    assume(all(not isinstance(part, Called) or part.arguments.startswith("{") for part in script.parts))
    assume(all(not isinstance(part, Called) or _is_json(part.arguments) for part in script.parts))
    turn = Turn(options(think_tags=False))
    told = heard = 0
    for chunk in read(script.chunks):
        told += sum(len(event.text) for event in turn.feed([chunk]) if isinstance(event, Delta))
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None:
                texts = [delta.content, delta.reasoning_content or delta.reasoning, delta.refusal]
                texts += [call.function.arguments for call in delta.tool_calls or () if call.function is not None]
                heard += sum(len(text) for text in texts if isinstance(text, str))
        assert told == heard


def _begins_with_json(text: str) -> bool:
    try:
        json.JSONDecoder().raw_decode(text.lstrip())
    except ValueError:
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_arguments_after_the_end_are_refused_loudly() -> None:
    """A call that was closed because another began cannot grow: the run fails, and what was said stays well formed."""
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a":1}'}}
    other = {"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"b":'}}
    more = {"index": 0, "function": {"arguments": ',"c":2}'}}
    chunks = [{"choices": [{"delta": {"tool_calls": [piece]}}]} for piece in (call, other, more)]
    journal = play(read(chunks))
    items = check(wire(journal))
    assert wire(journal)[-1]["type"] == "response.failed"
    assert [item["status"] for item in items] == ["completed", "incomplete"]


def test_a_call_without_a_name_is_refused_loudly() -> None:
    """Nobody could answer it: the stream fails and says why."""
    journal = play(read([{"choices": [{"delta": {"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}}]}]))
    check(wire(journal))
    assert "without a name" in wire(journal)[-1]["response"]["error"]["message"]


def test_what_waits_is_bounded() -> None:
    """A call that never ends cannot make the server keep without limit what comes behind it."""
    turn = Turn(options(max_held=100))
    turn.feed(read([{"choices": [{"delta": {"tool_calls": [{"id": "a", "function": {"name": "f"}}]}}]}]))
    chunks = read([{"choices": [{"delta": {"content": "twenty characters..."}}]}])
    turn.feed(chunks * 5)
    with pytest.raises(UpstreamError, match="over 100 characters"):
        turn.feed(chunks)


@given(scripts(), st.data())
@settings(max_examples=30)
def test_what_came_before_a_failure_is_not_lost(script: Script, data: st.DataObject) -> None:
    """When a chunk of a read makes no sense, the events of those before it come with the flush."""
    bad = [
        {
            "choices": [
                {"delta": {"tool_calls": [{"index": 7, "id": "x", "function": {"name": "f", "arguments": "{}"}}]}}
            ]
        },
        {
            "choices": [
                {"delta": {"tool_calls": [{"index": 8, "id": "y", "function": {"name": "f", "arguments": "{"}}]}}
            ]
        },
        {"choices": [{"delta": {"tool_calls": [{"index": 7, "function": {"arguments": "more"}}]}}]},
    ]
    assume(not any(isinstance(part, Called) for part in script.parts))
    chunks = read([*script.chunks[: data.draw(st.integers(0, len(script.chunks)))], *bad])
    turn, untroubled = Turn(options()), Turn(options())
    with pytest.raises(UpstreamError):
        turn.feed(chunks)
    events = untroubled.feed(chunks[:-1])
    assert turn.flush(cut=True) == [*events, *untroubled.flush(cut=True)]


@given(scripts(), st.booleans())
@settings(max_examples=30)
def test_what_came_before_an_end_that_fails_is_not_lost(script: Script, nameless: bool) -> None:
    """The last read says what it says together with the end, and when that makes no sense, still what came before."""
    bad = [{"choices": [{"delta": {"tool_calls": [{"index": 7, "id": "x", "function": {"arguments": "{}"}}]}}]}]
    chunks = read([*script.chunks, *(bad if nameless else [])])
    together, apart = Turn(options()), Turn(options())
    told = [*apart.feed(chunks)]
    if nameless:
        with pytest.raises(UpstreamError, match="without a name"):
            apart.flush()
        with pytest.raises(UpstreamError, match="without a name"):
            together.feed(chunks, last=True)
        assert together.flush(cut=True) == [*told, *apart.flush(cut=True)]
    else:
        assert together.feed(chunks, last=True) == [*told, *apart.flush()]
