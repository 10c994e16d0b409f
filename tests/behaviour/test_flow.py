"""A token leaves in the moment it comes: nothing waits for the next one, on whichever connection it comes."""

from __future__ import annotations

import json

import pytest

from tests.behaviour.hosts import Hosts
from tests.behaviour.wire import Caller
from tests.upstreams import FakeBackend, Gate, delta, text


@pytest.mark.parametrize("http", [None, "h11", "httptools"])
def test_each_token_by_itself(hosts: Hosts, backend: FakeBackend, http: str | None) -> None:
    """The back end goes on only after the client has what it said before; on new and on kept connections."""
    server = hosts(http=http)
    for _ in range(3):
        words, gates = ["one ", "two ", "three "], [Gate() for _ in range(3)]
        steps = [step for word, gate in zip(words, gates, strict=True) for step in (gate, delta(content=word))]
        last = Gate()
        backend.answer(*steps, last, *text("end"))
        with Caller(server.root).create(stream=True) as caller:
            caller.until("response.created")
            for word, gate in zip(words, gates, strict=True):
                gate.open()
                assert caller.until("response.output_text.delta")["delta"] == word
            last.open()
            assert caller.until("response.completed")


def test_what_was_said_before_a_call_that_makes_no_sense(hosts: Hosts, backend: FakeBackend) -> None:
    """It is told, however the back end's answer was cut into reads; and then why the response failed."""
    call = delta(tool_calls=[{"index": 0, "id": "a", "function": {"arguments": "{}"}}])
    chunks = [delta(content="Let me see."), call, delta("tool_calls")]
    in_one_read = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
    told = []
    for steps in ([in_one_read], chunks):
        backend.answer(*steps)
        with Caller(hosts().root).create(stream=True, store=False) as caller:
            events = list(caller.events())
        assert "without a name" in events[-1]["response"]["error"]["message"]
        assert [item["content"][0]["text"] for item in events[-1]["response"]["output"]] == ["Let me see."]
        told.append([event["type"] for event in events])
    assert told[0] == told[1]
