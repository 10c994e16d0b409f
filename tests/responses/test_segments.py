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
    """Packed and unpacked, a log is the same bytes and types, whole or in segments."""
    journal = play(read(chunks), options(summary=summary, logprobs=logprobs), dialect=dialect, cut=end)
    cut = data.draw(st.integers(0, len(journal.entries)))
    unpacked = []
    for part in (slice(0, cut), slice(cut, None)):
        packed = segments.encode(journal.events[part], journal.entries[part], dialect)
        unpacked += segments.decode(packed, part.start)
    assert unpacked == journal.entries
    whole = segments.encode(journal.events, journal.entries, dialect)
    assert segments.decode(whole, 0) == journal.entries


def overhead(journal: Journal) -> float:
    """Bytes a token of the stored log, the tokens' own text included, beyond one Response snapshot."""
    packed = segments.encode(journal.events, journal.entries, "openai")
    assert segments.decode(packed, 0) == journal.entries
    return (len(packed) - len(journal.entries[0].data)) / 100


def stream(**extra: Any) -> list[dict[str, Any]]:
    """A hundred tokens of six bytes."""
    return [{"choices": [{"delta": {"content": f" w{n:04}"}, **extra}]} for n in range(100)]


def real_ids() -> Any:
    """Options with ids of the real length."""
    return msgspec.structs.replace(options(logprobs=True), new_id=ambient.new_id)


def test_a_token_costs_little() -> None:
    """A stream of 100 tokens of 6 bytes costs under 30 bytes a token, everything but one snapshot included."""
    assert overhead(play(read(stream()), real_ids())) < 30


def test_a_text_is_kept_once() -> None:
    """The deltas tell a long text; the three events of its end and the last snapshot do not tell it again."""
    journal = play(read([{"choices": [{"delta": {"content": "long, " * 1000}}]}]), real_ids())
    assert sum(entry.data.count(b"long, " * 1000) for entry in journal.entries) == 5
    packed = segments.encode(journal.events, journal.entries, "openai")
    assert packed.count(b"long, ") == 1000


def test_log_probabilities_are_kept_once() -> None:
    """What four events repeat costs hardly more than once."""
    logprobs = {"content": [{"token": " w0000", "logprob": -0.25, "bytes": list(b" w0000"), "top_logprobs": []}]}
    plain, full = (overhead(play(read(chunks), real_ids())) for chunks in (stream(), stream(logprobs=logprobs)))
    once = len(json.dumps(logprobs["content"][0], separators=(",", ":")))
    assert full - plain < once


def test_many_items_stay_linear() -> None:
    """The texts of 2,000 calls are looked for where they are said again, not everywhere."""

    def calls(count: int) -> list[dict[str, Any]]:
        function = {"name": "f", "arguments": '{"query":"what is the weather like"}'}
        return [
            {"choices": [{"delta": {"tool_calls": [{"index": n, "id": f"call_{n}", "function": function}]}}]}
            for n in range(count)
        ]

    small, large = (play(read(calls(count))) for count in (20, 200))
    looked = [_comparisons(journal) for journal in (small, large)]
    assert looked[1] < 15 * looked[0]


def _comparisons(journal: Journal) -> int:
    """How many bytes the search for repeated texts may have to look at."""
    seen = 0

    class Counting(bytes):
        def find(self, *args: Any) -> int:
            nonlocal seen
            found = super().find(*args)
            seen += (found if found >= 0 else len(self)) - (args[1] if len(args) > 1 else 0)
            return found

    entries = [msgspec.structs.replace(entry, data=Counting(entry.data)) for entry in journal.entries]
    segments.encode(journal.events, entries, "openai")
    return seen


def test_another_version_is_refused() -> None:
    """A segment of a later version is not misread."""
    packed = bytearray(segments.encode([], [], "openai"))
    packed[1] = 9
    with pytest.raises(ValueError, match="version 9"):
        segments.decode(bytes(packed), 0)
