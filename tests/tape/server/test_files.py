"""Files that a request names by URL: fetched once, and replayed where there is no network and no name server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server import Server, Servers
from tests.tape.server.support import recordings, stored, taped
from tests.upstreams import FakeBackend

_FILE = "/notes.txt"


def _asked(server: Server, url: str) -> Any:
    content = [{"type": "input_text", "text": "Read."}, {"type": "input_file", "file_url": url}]
    return server.http.post("/s/a/v1/responses", json={"model": "m", "input": [{"role": "user", "content": content}]})


def _url(backend: FakeBackend) -> str:
    return backend.url.removesuffix("/v1").replace("127.0.0.1", "localhost") + _FILE


def test_a_replay_asks_no_name_server(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """What was fetched when recording is there, and nobody is asked where its host is: it may be nowhere."""
    backend.files[_FILE] = ("text/plain", b"the tide turns at noon")
    with taped(servers, tmp_path, "record") as server:
        first = _asked(server, _url(backend)).raise_for_status().json()
    assert "the tide turns at noon" in str(backend.last["messages"])
    assert sorted(stored(path)["boundary"] for path in recordings(tmp_path)) == ["inference", "tools"]
    backend.reset()
    with taped(servers, tmp_path, "replay") as server:
        second = _asked(server, f"https://nowhere.invalid{_FILE}").raise_for_status().json()
    assert second == first
    assert backend.calls == []


def test_a_file_that_is_not_on_the_tape_is_a_miss(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """The client is told by the status that SDKs do not try again, with the whole report; not that its URL is wrong."""
    with taped(servers, tmp_path, "replay") as server:
        reply = _asked(server, _url(backend))
    assert reply.status_code == 424
    assert reply.json()["error"]["code"] == "recording_miss"
    assert "GET /notes.txt" in reply.json()["error"]["message"]


def test_live_the_addresses_of_a_host_are_judged(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """A server for others does not fetch from its own network, with a tape as without one; nothing is recorded."""
    with taped(servers, tmp_path, "record", server={"host": "0.0.0.0"}) as server:
        reply = _asked(server, _url(backend))
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_file_url"
    assert recordings(tmp_path) == []
