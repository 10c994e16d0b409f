"""The application under other servers: the same bytes, the hang-up noticed, comments sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon.app import create_app
from tests.behaviour.hosts import Hosts
from tests.behaviour.plain import PlainServer
from tests.behaviour.wire import Caller, Json, hang_up
from tests.upstreams import FakeBackend, Gate, delta, text, usage

KEYS = {"ANTIPHON_KEYS": "the same everywhere"}
KINDS = ["ours", "httptools", "h11", "plain"]
_IDS = re.compile(rb'"(?:resp|msg|rs|fc)_[0-9a-f]{48}"|"(?:created|completed)_at":\d+')


@pytest.fixture
def root(request: pytest.FixtureRequest, hosts: Hosts) -> Iterator[str]:
    """The address of the application, served by the server that the test names."""
    kind = request.param
    settings: Any = {"server": {"keepalive_seconds": 0.2}}
    if kind != "plain":
        yield hosts(environ=KEYS, http=None if kind == "ours" else kind, **settings).root
        return
    config = hosts.config(**settings)
    with PlainServer(create_app(config, KEYS)) as plain:
        yield plain.root


@pytest.mark.parametrize("root", KINDS, indirect=True)
@pytest.mark.parametrize("store", [True, False])
def test_the_same_bytes(hosts: Hosts, backend: FakeBackend, root: str, store: bool) -> None:
    """But for ids and times every server sends what ours sends, streamed and not, and HTTP/1.0 gets it too."""
    ours = hosts(environ=KEYS, storage={"data_dir": str(hosts.folder / "ours")}).root
    steps = [delta(reasoning_content="hm"), *text("one ", "two"), usage(5, 2)]
    found = []
    for place, version in ((ours, "1.1"), (root, "1.1"), (root, "1.0")):
        for stream in (True, False):
            backend.answer(*steps)
            body: Json = {"model": "m", "input": "hi", "stream": stream, "store": store}
            with Caller(place).send("POST", "/v1/responses", body, version=version) as caller:
                told = b"\n\n".join(caller.frames()) if stream else caller.whole()
                found.append(_IDS.sub(b"*", told))
    assert found[0::2] == [found[0]] * 3
    assert found[1::2] == [found[1]] * 3
    assert found[0].endswith(b"[DONE]")


@pytest.mark.parametrize("root", KINDS, indirect=True)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_hang_up(backend: FakeBackend, root: str, streamed: bool) -> None:
    """The back end is let go at once, and what is stored says so."""
    gate = Gate()
    backend.answer(delta(content="half"), gate)
    caller = Caller(root).create(stream=streamed)
    response_id = ""
    if streamed:
        response_id = caller.until("response.created")["response"]["id"]
        caller.until("response.output_text.delta")
    gate.reached()
    hang_up(caller, backend.call())
    if streamed:
        with Caller(root).send("GET", f"/v1/responses/{response_id}/input_items") as second:
            second.json()
        with Caller(root).send("GET", f"/v1/responses/{response_id}") as third:
            assert third.json()["status"] == "cancelled"


@pytest.mark.parametrize("root", KINDS, indirect=True)
def test_comments(backend: FakeBackend, root: str) -> None:
    """A long silence is broken by a comment."""
    gate = Gate()
    backend.answer(delta(content="half"), gate, *text("end"))
    with Caller(root).create(stream=True) as caller:
        frames = caller.frames()
        assert next(frame for frame in frames if frame.startswith(b":")) == b": keep-alive"
        gate.open()
        assert list(frames)[-1] == b"data: [DONE]"


@pytest.mark.parametrize("root", KINDS, indirect=True)
def test_errors(root: str) -> None:
    """So do errors."""
    with Caller(root).send("POST", "/v1/responses", {"input": 1}) as caller:
        assert set(caller.json()) == {"error"}
        assert caller.status == 400
    with Caller(root).send("GET", "/nowhere") as caller:
        assert caller.json()["error"]["type"] == "invalid_request_error"
        assert caller.status == 404
