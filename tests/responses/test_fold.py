"""Laws of the fold: the Response is what its events add up to, at any moment, with or without the deltas."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.responses.fold import Fold, fold
from antiphon.responses.journal import Journal
from antiphon.wire.events import Delta, Event
from tests.responses.chunks import Script, scripts, wild
from tests.responses.play import options, play, read

STREAMS = st.one_of(scripts().map(lambda script: script.chunks), wild)
ENDS = st.sampled_from(["", "failed", "cancelled"])


def told(journal: Journal, count: int) -> list[list[str]]:
    """What the first events said, by item and part, read from the wire names alone."""
    texts: list[list[str]] = []
    for event in journal.events[:count]:
        if isinstance(event, Delta):
            texts[event.channel.output_index][event.channel.part_index] += event.text
        elif event.type == "response.output_item.added":
            texts.append([""] if "call" in event.payload["item"].__struct_config__.tag else [])
        elif event.type.endswith("_part.added"):
            texts[event.channel.output_index].append("")
    return texts


def shown(response: Any) -> list[list[str]]:
    """The texts of a Response, by item and part."""
    out: list[list[str]] = []
    for item in response.output:
        match item.__struct_config__.tag:
            case "function_call":
                out.append([item.arguments])
            case "custom_tool_call":
                out.append([item.input])
            case "reasoning":
                out.append([part.text for part in [*item.summary, *(item.content or ())]])
            case _:
                out.append([part.text if hasattr(part, "text") else part.refusal for part in item.content])
    return out


@given(STREAMS, st.booleans(), ENDS)
@settings(max_examples=60)
def test_the_fold_is_the_terminal_response(chunks: list[dict[str, Any]], summary: bool, end: Any) -> None:
    """The events add up to what the last of them says, and so they do without their deltas."""
    journal = play(read(chunks), options(summary=summary), cut=end)
    last = journal.events[-1]
    assert isinstance(last, Event)
    assert fold(journal.events) == last.payload["response"]
    before, without = journal.events[:-1], [event for event in journal.events[:-1] if not isinstance(event, Delta)]
    assert fold(before) == fold(without)
    assert fold(before).output == last.payload["response"].output


@given(STREAMS, st.booleans(), ENDS, st.data())
@settings(max_examples=60)
def test_a_prefix_shows_what_was_said_so_far(
    chunks: list[dict[str, Any]], summary: bool, end: Any, data: st.DataObject
) -> None:
    """After any event the Response holds every text up to there, and folding on is folding at once."""
    journal = play(read(chunks), options(summary=summary), cut=end)
    at = data.draw(st.integers(1, len(journal.events)))
    folding = Fold()
    for event in journal.events[:at]:
        folding.apply(event)
    assert shown(folding.snapshot()) == told(journal, at)
    assert folding.response is not None
    assert folding.response.id == "resp_1"
    for event in journal.events[at:]:
        folding.apply(event)
    assert folding.snapshot() == folding.response == fold(journal.events)


@given(scripts(), st.data())
@settings(max_examples=60)
def test_unknown_events_change_nothing(script: Script, data: st.DataObject) -> None:
    """An event of a kind that the fold does not know leaves the Response as it is."""
    events = play(read(script.chunks)).events
    at = data.draw(st.integers(1, len(events)))
    index = data.draw(st.integers(0, 9))
    odd = Event("response.something.new", {"output_index": index, "item_id": "x", "part": None, "item": None})
    assert fold([*events[:at], odd, *events[at:]]) == fold(events)


@given(scripts())
@settings(max_examples=60)
def test_folding_changes_nothing_it_was_given(script: Script) -> None:
    """Snapshots that were taken before stay as they were."""
    events = play(read(script.chunks)).events
    folding, taken = Fold(), []
    for event in events:
        folding.apply(event)
        taken.append((folding.snapshot(), shown(folding.snapshot())))
    assert all(shown(snapshot) == texts for snapshot, texts in taken)
