"""The same requests of a scope, once more on the same data: its ids are the same, and what they name is made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, Servers
from tests.tape.server.support import ask, taped
from tests.upstreams import FakeBackend, text


def _talk(server: Server) -> list[Any]:
    """A chain of two responses, a conversation with a turn in it, and what is stored of them."""
    first = ask(server, "first", scope="a").raise_for_status().json()
    second = ask(server, "second", scope="a", previous_response_id=first["id"]).raise_for_status().json()
    made = server.http.post("/s/a/v1/conversations", json={"metadata": {"n": "1"}}).raise_for_status().json()
    third = ask(server, "third", scope="a", conversation=made["id"]).raise_for_status().json()
    paths = [f"responses/{one['id']}{more}" for one in (first, second, third) for more in ("", "/input_items")]
    paths += [f"conversations/{made['id']}", f"conversations/{made['id']}/items"]
    return [first, second, made, third, *(server.http.get(f"/v1/{path}").raise_for_status().json() for path in paths)]


def test_the_same_run_twice_on_one_data_directory(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """The second run stores what the first one did, in its place, and both are equal."""
    storage = {"data_dir": str(tmp_path / "data")}
    for word in ("one", "two", "three"):
        backend.answer(*text(word))
    runs = []
    for mode in ("record", "replay", "replay"):
        with taped(servers, tmp_path / "tape", mode, storage=storage) as server:
            runs.append(_talk(server))
    assert runs[1] == runs[0]
    assert runs[2] == runs[0]
    assert len(backend.calls) == 3


def test_what_was_deleted_is_there_again(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """A run that deletes what it made can be repeated."""
    storage = {"data_dir": str(tmp_path / "data")}
    for mode in ("record", "replay"):
        with taped(servers, tmp_path / "tape", mode, storage=storage) as server:
            made = ask(server, scope="a").raise_for_status().json()
            assert server.http.get(f"/v1/responses/{made['id']}").status_code == 200
            assert server.http.delete(f"/s/a/v1/responses/{made['id']}").status_code == 200


@pytest.mark.parametrize("scope", ["", "other"], ids=["unscoped", "other"])
def test_only_its_own_ids_are_taken_over(servers: Servers, backend: FakeBackend, tmp_path: Path, scope: str) -> None:
    """Responses of other scopes, and of none, stay."""
    with taped(servers, tmp_path / "tape") as server:
        kept = ask(server, "kept", scope=scope).raise_for_status().json()
        for _ in range(2):
            ask(server, scope="a").raise_for_status()
            server.http.post("/_tape/scopes/start", json={"scope": "a"}).raise_for_status()
        assert server.http.get(f"/v1/responses/{kept['id']}").json() == kept
