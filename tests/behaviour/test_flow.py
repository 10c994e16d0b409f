"""A token leaves in the moment it comes: nothing waits for the next one, on whichever connection it comes."""

from __future__ import annotations

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
