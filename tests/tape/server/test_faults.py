"""A fault that a client asks for by header befalls the calls that its request makes, and never leaves the house."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server import Servers
from tests.tape.server.support import ask, recordings, taped
from tests.upstreams import FakeBackend, text

_FAULT = "X-Antiphon-Fault"


@pytest.mark.parametrize("scope", ["", "a-test"], ids=["unscoped", "scoped"])
@pytest.mark.parametrize("mode", ["record-if-missing", "live"])
def test_a_header_asks_for_a_fault(
    servers: Servers, backend: FakeBackend, tmp_path: Path, mode: str, scope: str
) -> None:
    """The call to the model is refused, once; the next request has none."""
    with taped(servers, tmp_path, mode) as server:
        fault = {_FAULT: "status=429; retry_after=0; path=*/chat/completions"}
        refused = ask(server, headers=fault, scope=scope)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "0")
        assert backend.requests == []
        assert ask(server, scope=scope).status_code == 200


def test_a_stream_is_cut_by_header(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """The response fails; what a fault cut is no recording."""
    backend.answer(*text("one", " two", " three"))
    with taped(servers, tmp_path) as server:
        reply = ask(server, headers={_FAULT: "cut=after_event:2"}, stream=True)
    assert "response.failed" in reply.text
    assert len(backend.calls) == 1


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/s/x/v1/responses"])
def test_a_wrong_fault_is_refused(servers: Servers, backend: FakeBackend, tmp_path: Path, path: str) -> None:
    """The answer names the header and what is wrong in it; nothing is called."""
    with taped(servers, tmp_path) as server:
        body = {"model": "m", "input": "a", "messages": [{"role": "user", "content": "a"}]}
        reply = server.http.post(path, json=body, headers={_FAULT: "explode=yes"})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "invalid_fault"
    assert _FAULT in error["message"]
    assert "explode" in error["message"]
    assert backend.calls == []


def test_the_header_stays_in_the_house(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """Neither the back end nor the recording sees it, even where it is configured to be forwarded."""
    forward = {"forward_headers": ("x-antiphon-fault", "x-antiphon-scope", "x-of-mine")}
    with taped(servers, tmp_path, upstream=forward) as server:
        sent = {_FAULT: "duplicate_event=1", "X-Antiphon-Scope": "a", "X-Of-Mine": "1"}
        assert ask(server, headers=sent).status_code == 200
    headers = backend.call().headers
    assert headers["x-of-mine"] == "1"
    assert [name for name in headers if name.startswith("x-antiphon")] == []
    assert [path.parent.name for path in recordings(tmp_path)] == ["a"]
