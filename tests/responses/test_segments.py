"""Laws of the stored form of a Journal: the identical bytes come back, and they are few."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import ambient
from antiphon.responses.journal import Journal
from antiphon.wire import segments
from antiphon.wire.encode import Dialect
from tests.responses.chunks import scripts, wild
from tests.responses.play import options, play, read

STREAMS = st.one_of(scripts().map(lambda script: script.chunks), wild)
DIALECTS = st.sampled_from(["openai", "open-responses"])


@given(STREAMS, st.booleans(), st.booleans(), DIALECTS, st.sampled_from(["", "failed", "cancelled"]), st.data())
@settings(max_examples=80)
def test_the_bytes_come_back(
    chunks: list[dict[str, Any]], summary: bool, logprobs: bool, dialect: Dialect, end: Any, data: st.DataObject
) -> None:
    """Packed and unpacked, a log is the same frames, whole or in segments."""
    journal = play(read(chunks), options(summary=summary, logprobs=logprobs), dialect=dialect, cut=end)
    cut = data.draw(st.integers(0, len(journal.frames)))
    parts = (journal.frames[:cut], journal.frames[cut:])
    assert [frame for part in parts for frame in segments.decode(segments.encode(part))] == journal.frames
    assert segments.decode(segments.encode(journal.frames)) == journal.frames


def overhead(journal: Journal) -> float:
    """Bytes a token of the stored log, the tokens' own text included, beyond one Response snapshot."""
    return (len(segments.encode(journal.frames)) - len(journal.frames[0])) / 100


def stream(**extra: Any) -> list[dict[str, Any]]:
    """A hundred tokens of six bytes."""
    return [{"choices": [{"delta": {"content": f" w{n:04}"}, **extra}]} for n in range(100)]


def real_ids() -> Any:
    """Options with ids of the real length."""
    return msgspec.structs.replace(options(logprobs=True), new_id=ambient.new_id)


def test_a_token_costs_little() -> None:
    """A stream of 100 tokens of 6 bytes costs under 30 bytes a token, everything but one snapshot included."""
    assert overhead(play(read(stream()), real_ids())) < 30


def test_log_probabilities_are_kept_once() -> None:
    """What four events repeat costs hardly more than once."""
    logprobs = {"content": [{"token": " w0000", "logprob": -0.25, "bytes": list(b" w0000"), "top_logprobs": []}]}
    plain, full = (overhead(play(read(chunks), real_ids())) for chunks in (stream(), stream(logprobs=logprobs)))
    once = len(json.dumps(logprobs["content"][0], separators=(",", ":")))
    assert full - plain < once


def test_another_form_is_refused() -> None:
    """A segment of a later version is not misread."""
    packed = segments.encode([b"event: a\ndata: {}\n\n"])
    with pytest.raises(ValueError, match="form 09"):
        segments.decode(b"\x09" + packed[1:])
