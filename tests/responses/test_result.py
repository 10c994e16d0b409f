"""Laws of what is stored of a Response: with its items it is the Response that was told, to the byte."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.responses.run import whole, without_output
from antiphon.wire.encode import data_of
from antiphon.wire.events import Event
from tests.responses.chunks import scripts, wild
from tests.responses.play import options, play, read

_encode = msgspec.json.Encoder().encode


@given(st.one_of(scripts().map(lambda script: script.chunks), wild), st.sampled_from(["", "failed", "cancelled"]))
@settings(max_examples=60)
def test_nothing_is_lost_and_nothing_kept_twice(chunks: list[dict[str, Any]], end: Any) -> None:
    """Cut out of the last frame it has no output, and with the output it is what the frame says."""
    journal = play(read(chunks), options(), cut=end)
    last = journal.events[-1]
    assert isinstance(last, Event)
    response = last.payload["response"]
    output = [_encode(item) for item in response.output]
    stored = without_output(journal.frames[-1], output)
    assert stored == _encode(msgspec.structs.replace(response, output=[]))
    told = msgspec.json.decode(data_of(journal.frames[-1]), type=dict[str, msgspec.Raw])["response"]
    assert whole(stored, output) == bytes(told)
