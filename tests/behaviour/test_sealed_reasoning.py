"""``encrypted_content``: what a client keeps for us comes back to the model, for its owner only, and as long as a key
of ours opens it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from antiphon.http.exchange import Exchange
from tests.behaviour.hosts import Host, Hosts
from tests.behaviour.processes import Processes
from tests.behaviour.wire import Json
from tests.upstreams import PATIENCE, FakeBackend, delta, text

SENDS = {"send_reasoning": "reasoning_content"}


def thought(server: Host, backend: FakeBackend, **more: Any) -> Json:
    """An unstored response that has reasoned; its reasoning item, sealed."""
    backend.answer(delta(reasoning_content="the deep thought"), *text("42"))
    body = {"model": "m", "input": "why?", "store": False, **more}
    reply = server.http.post("/v1/responses", json=body).raise_for_status().json()
    item: Json = reply["output"][0]
    assert item["type"] == "reasoning"
    assert item["encrypted_content"].startswith("ant1.")
    assert "deep" not in item["encrypted_content"]
    return item


def again(server: Host, item: Json, **more: Any) -> Json:
    """The next turn with this reasoning before it: the Response."""
    history: list[Json] = [
        {"role": "user", "content": "why?"},
        item,
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
    ]
    body = {"model": "m", "input": history, "store": False, **more}
    response: Json = server.http.post("/v1/responses", json=body).raise_for_status().json()
    return response


def opened(backend: FakeBackend) -> list[str]:
    """The reasoning that the back end got at last."""
    return [m["reasoning_content"] for m in backend.last["messages"] if m.get("reasoning_content")]


def sealed_only(item: Json) -> Json:
    """As clients send it back: no text beside the sealed one."""
    return {"type": "reasoning", "id": item["id"], "summary": [], "encrypted_content": item["encrypted_content"]}


def test_round_trip(hosts: Hosts, backend: FakeBackend) -> None:
    """The model gets it back; nothing is reported; the same thought has the same seal."""
    server = hosts(upstream=SENDS)
    item = thought(server, backend)
    assert again(server, sealed_only(item))["input_transformations"] in (None, [])
    assert opened(backend) == ["the deep thought"]
    assert thought(server, backend)["encrypted_content"] == item["encrypted_content"]


def test_for_stored_responses_on_request(hosts: Hosts, backend: FakeBackend) -> None:
    """``include`` asks for it; without it a stored response has none."""
    server = hosts(upstream=SENDS)
    item = thought(server, backend, store=True, include=["reasoning.encrypted_content"])
    assert opened_after(server, backend, item)
    backend.answer(delta(reasoning_content="hm"), *text("42"))
    plain = server.http.post("/v1/responses", json={"model": "m", "input": "x"}).json()
    assert "encrypted_content" not in plain["output"][0]


def opened_after(server: Host, backend: FakeBackend, item: Json) -> bool:
    again(server, sealed_only(item))
    return opened(backend) == ["the deep thought"]


def test_another_owner(hosts: Hosts, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be opened by anyone but the one it was sealed for, and that is said."""
    monkeypatch.setattr(Exchange, "owner", property(lambda self: self.header(b"x-owner") or "default"))
    server = hosts(upstream=SENDS)
    item = thought(server, backend)
    body = {"model": "m", "input": [sealed_only(item), {"role": "user", "content": "and?"}], "store": False}
    reply = server.http.post("/v1/responses", json=body, headers={"x-owner": "somebody"}).json()
    assert opened(backend) == []
    dropped(reply, item)


def dropped(response: Json, item: Json) -> None:
    """The Response says which reasoning it did without."""
    assert response["status"] == "completed"
    (told,) = response["input_transformations"]
    assert told == {"id": item["id"], "type": "reasoning", "action": "removed", "reason": "organization_mismatch"}


@pytest.mark.parametrize("stored", [True, False])
def test_what_cannot_be_opened(hosts: Hosts, backend: FakeBackend, stored: bool) -> None:
    """Damaged, foreign or from a key that is gone: left out and named, in the stream too; the answer goes on."""
    server = hosts(upstream=SENDS)
    item = thought(server, backend)
    sealed = item["encrypted_content"]
    for broken in (
        sealed[:-4],
        sealed.replace("ant1", "ant9"),
        "gAAAA-of-another-vendor",
        "ant1.00000000.AAAA",
        "ant1",
    ):
        response = again(server, {**sealed_only(item), "encrypted_content": broken}, store=stored)
        dropped(response, item)
        assert opened(backend) == []
    events = server.events(
        {"model": "m", "input": [{**sealed_only(item), "encrypted_content": "x"}, {"role": "user", "content": "?"}]}
    )
    for event in events:
        if "response" in event:
            assert len(event["response"]["input_transformations"]) == 1


def test_rotation(hosts: Hosts, backend: FakeBackend) -> None:
    """The first key seals, all of them open, and one that is taken away does not."""
    old = hosts(upstream=SENDS, environ={"ANTIPHON_KEYS": "first"})
    item = thought(old, backend)
    both = hosts(upstream=SENDS, environ={"ANTIPHON_KEYS": "second, first"})
    assert opened_after(both, backend, item)
    newer = thought(both, backend)
    assert newer["encrypted_content"].split(".")[1] != item["encrypted_content"].split(".")[1]
    new = hosts(upstream=SENDS, environ={"ANTIPHON_KEYS": "second"})
    assert opened_after(new, backend, newer)
    dropped(again(new, sealed_only(item)), item)


def test_the_key_file(hosts: Hosts, backend: FakeBackend) -> None:
    """Made at first use, for nobody else to read, and used again after a restart."""
    server = hosts(upstream=SENDS)
    key_file = server.data_dir / "keys"
    server.client.responses.create(model="m", input="hi")
    assert not key_file.exists()
    item = thought(server, backend)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in server.data_dir.glob("keys*")] == ["keys"]
    assert opened_after(hosts(upstream=SENDS), backend, item)


def test_a_data_folder_that_is_not_there_yet(hosts: Hosts, backend: FakeBackend, tmp_path: Path) -> None:
    """With the database elsewhere nothing else makes the folder of the key."""
    folder = tmp_path / "not" / "yet"
    server = hosts(storage={"data_dir": str(folder), "database_url": f"sqlite:///{tmp_path / 'elsewhere.db'}"})
    thought(server, backend)
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o600


def test_two_processes_at_once(processes: Processes, tmp_path: Path) -> None:
    """Whoever is first, all have the same key."""
    key_file = tmp_path / "keys"
    code = (
        "import sys, pathlib; from antiphon.responses.sealing import load_keys; sys.stdin.read();"
        f"print(load_keys(None, pathlib.Path({str(key_file)!r}))[0].hex())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=processes.bare(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    keys = {process.communicate(timeout=PATIENCE)[0].strip() for process in started}
    assert len(keys) == 1
    assert len(keys.pop()) == 128
    assert [path.name for path in tmp_path.glob("keys*")] == ["keys"]
