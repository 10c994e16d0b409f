"""The control endpoints of a server, and who may use them; what the server says of its tape."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import httpx2
import pytest

from antiphon.app.taping import Taping
from antiphon.config import TapeConfig
from tests.server import Servers
from tests.tape.server.breaking import breaking
from tests.tape.server.support import recordings, stored, taped
from tests.upstreams import PATIENCE, FakeBackend, Gate, text


def test_a_server_for_its_own_machine_answers_to_it(servers: Servers, tmp_path: Path) -> None:
    """No token is asked for where nobody else can call; where one is set, it is."""
    with taped(servers, tmp_path, "replay") as server:
        assert server.http.get("/_tape/mode").json()["mode"] == "replay"
    with taped(servers, tmp_path, "replay", tape={"control_token": "let-me"}) as server:
        assert server.http.get("/_tape/mode").status_code == 403
        sent = {"authorization": "Bearer let-me"}
        assert server.http.get("/_tape/mode", headers=sent).status_code == 200


def test_a_server_for_others_asks_for_a_token(servers: Servers, tmp_path: Path) -> None:
    """Whoever calls, also from this machine: a proxy in front makes all callers look near."""
    with taped(servers, tmp_path, "replay", server={"host": "0.0.0.0"}) as server:
        refused = server.http.get("/_tape/mode")
        assert refused.status_code == 403
        assert "tape.control_token" in refused.json()["error"]["message"]
    open_to = {"server": {"host": "0.0.0.0"}, "tape": {"control_token": "let-me"}}
    with taped(servers, tmp_path, "replay", **open_to) as server:
        for sent in ({}, {"authorization": "Bearer wrong"}, {"authorization": "let-me"}):
            refused = server.http.get("/_tape/mode", headers=sent)
            assert refused.status_code == 403
            assert "Authorization: Bearer" in refused.json()["error"]["message"]
        sent = {"authorization": "Bearer let-me"}
        assert server.http.get("/_tape/mode", headers=sent).status_code == 200


def test_the_start_says_where_the_tape_is_and_what_it_does(tmp_path: Path, caplog: Any) -> None:
    """One line: the directory, the mode, and the modes that differ."""
    with caplog.at_level(logging.INFO, "antiphon"):
        Taping(TapeConfig(dir=str(tmp_path), mode="replay", tools="live"), {}, near=True).say()
    assert [one.getMessage() for one in caplog.records] == [f"Tape: {tmp_path}, mode replay, tools live."]


def test_who_leaves_after_the_last_event_had_it_all(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """A client of the pass-through that hangs up behind [DONE] leaves a whole recording."""
    backend.answer(*text("all", " of it"), b"data: [DONE]\n\n", still := Gate())
    with taped(servers, tmp_path) as server:
        body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True}
        with server.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            for line in reply.iter_lines():
                if line == "data: [DONE]":
                    break
        assert backend.call().gone.wait(PATIENCE)
        still.open()
    assert [stored(path)["response"].get("end", "complete") for path in recordings(tmp_path)] == ["complete"]


def test_who_leaves_before_it_did_not(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """One that hangs up in the middle leaves a recording that says so."""
    backend.answer(*text("not", " all")[:1], still := Gate())
    with taped(servers, tmp_path) as server:
        body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True}
        with server.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            next(reply.iter_lines())
        assert backend.call().gone.wait(PATIENCE)
        still.open()
    assert [stored(path)["response"].get("end", "complete") for path in recordings(tmp_path)] == ["closed"]


@pytest.mark.parametrize(("reset", "end"), [(True, "reset"), (False, "error")], ids=["reset", "closed"])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"], ids=["responses", "chat"])
def test_a_break_is_recorded_as_what_it_was(servers: Servers, tmp_path: Path, path: str, reset: bool, end: str) -> None:
    """A connection that the peer reset is told from one that it closed too early."""
    body = {"model": "m", "input": "a", "messages": [{"role": "user", "content": "a"}], "stream": True}
    with breaking(reset=reset) as back_end, taped(servers, tmp_path, upstream={"url": back_end.url}) as server:
        with contextlib.suppress(httpx2.TransportError), server.http.stream("POST", path, json=body) as reply:
            for line in reply.iter_lines():
                if "so far" in line:
                    back_end.go.set()
        assert back_end.go.is_set()
    assert [stored(found)["response"]["end"] for found in recordings(tmp_path)] == [end]
