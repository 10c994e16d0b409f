"""The control endpoints: what tests in any language steer the tape with, and who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.routing import Mount, Router

from antiphon.tape.engine import Tape
from antiphon.tape.proxy import control
from antiphon.tape.settings import Settings
from tests.tape.proxy.support import Running, proxy, text_of
from tests.upstreams import FakeBackend, text


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeBackend]:
    """One back end for the module."""
    with FakeBackend() as backend:
        yield backend


@pytest.fixture
def running(fake: FakeBackend, tmp_path: Path) -> Iterator[Running]:
    """A proxy in mode ``record-if-missing``."""
    fake.reset()
    with proxy(tmp_path, fake.url) as running:
        yield running


def ask(running: Running, scope: str, words: str = "Say it.") -> list[str]:
    """What the model says."""
    messages: Any = [{"role": "user", "content": words}]
    return text_of(running.sdk(scope).chat.completions.create(model="m", messages=messages, stream=True))


def test_modes_are_read_and_changed_for_all_and_for_one_boundary(running: Running) -> None:
    """What is put is what is got, and what the next call meets."""
    changed = running.control("PUT", "mode", {"mode": "live", "boundary": "tools"})
    assert changed["modes"] == {"inference": "record-if-missing", "embeddings": "record-if-missing", "tools": "live"}
    assert running.control("PUT", "mode", {"mode": "replay"})["modes"]["tools"] == "replay"
    assert running.control("GET", "mode")["mode"] == "replay"
    with pytest.raises(openai.APIStatusError):
        ask(running, "a")


def test_a_scope_is_started_and_stopped(running: Running, fake: FakeBackend) -> None:
    """A new run plays from the first again; the end of one says what it did, and what of the scope it left out."""
    fake.answer(*text("one"))
    fake.answer(*text("two"))
    assert [ask(running, "a/b".replace("/", "%2F"), words) for words in ("1", "2")] == [["one"], ["two"]]
    assert running.files()
    assert running.control("POST", "scopes/stop", {"scope": "a/b"})["recorded"] == 2
    running.control("PUT", "mode", {"mode": "replay"})
    assert ask(running, "a%2Fb", "1") == ["one"]
    listed = {each["scope"]: each["hits"] for each in running.control("GET", "scopes")["scopes"]}
    assert listed["a/b"] == 1
    stopped = running.http.post("/s/a%2Fb/_tape/scopes/stop").json()
    assert (stopped["hits"], stopped["tokens_replayed"], len(stopped["unplayed"])) == (1, 10, 1)
    assert ask(running, "a%2Fb", "1") == ["one"]
    assert len(fake.calls) == 2


def test_misses_and_statistics_are_told_by_scope(running: Running) -> None:
    """A test asks for its own misses; the reports say why."""
    running.control("PUT", "mode", {"mode": "replay"})
    for scope in ("a", "b"):
        with pytest.raises(openai.APIStatusError):
            ask(running, scope)
    assert [miss["scope"] for miss in running.control("GET", "misses")["misses"]] == ["a", "b"]
    (miss,) = running.control("GET", "misses?scope=a")["misses"]
    assert miss["reason"] == "none"
    assert "in scope 'a'" in miss["report"]
    assert running.http.get("/s/b/_tape/stats").json()["misses"] == 1
    assert running.control("GET", "stats")["misses"] == 2
    assert running.control("POST", "scopes/stop", {"scope": "a"})["reports"] == [miss["report"]]


def test_a_variable_keeps_its_first_value(running: Running, tmp_path: Path) -> None:
    """Recorded once, the same on every replay, each scope its own; unknown on replay is a 404 with the way out."""
    set_to = {"name": "table", "value": {"id": 7}}
    assert running.control("POST", "vars", {**set_to, "scope": "a"}) == {"value": {"id": 7}}
    running.control("PUT", "mode", {"mode": "replay"})
    other = {"name": "table", "value": "another"}
    assert running.http.post("/s/a/_tape/vars", json=other).json() == {"value": {"id": 7}}
    unknown = running.http.post("/s/b/_tape/vars", json=other)
    assert unknown.status_code == 404
    assert "record" in unknown.json()["error"]["message"]


def test_faults_are_put_and_taken_away(running: Running, fake: FakeBackend) -> None:
    """A fault befalls the calls it is for, as often as it says; a new run of the scope meets it again."""
    fake.answer(*text("fine"))
    assert running.control("GET", "faults") == {"faults": []}
    put = running.control("PUT", "faults", [{"status": 429, "retry_after": 0, "times": 1, "scope": "a"}])
    assert [fault["status"] for fault in put["faults"]] == [429]
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            ask(running, "a")
        assert ask(running, "a") == ["fine"]
        running.files()
        running.control("POST", "scopes/start", {"scope": "a"})
    assert running.control("DELETE", "faults") == {"faults": []}
    assert ask(running, "a") == ["fine"]
    wrong = running.http.put("/_tape/faults", json=[{"explode": True}])
    assert wrong.status_code == 400
    assert "explode" in wrong.json()["error"]["message"]
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "mode", None, 405),
        ("PUT", "mode", b"{", 400),
        ("PUT", "mode", b"[]", 400),
        ("PUT", "mode", b'{"mode": "loud"}', 400),
        ("PUT", "mode", b'{"mode": "live", "boundary": "x"}', 400),
        ("PUT", "mode", b'{"mode": 3}', 400),
        ("POST", "vars", b"{}", 400),
        ("POST", "vars", b'{"name": "n"}', 400),
        ("PUT", "faults", b"3", 400),
        ("PUT", "faults", b"[" + b" " * (1 << 20) + b"]", 413),
    ],
)
def test_what_cannot_be_understood_is_said(
    running: Running, method: str, path: str, body: bytes | None, status: int
) -> None:
    """In the form of OpenAI's errors, and nothing is changed."""
    before = running.control("GET", "mode")
    reply = running.http.request(method, f"/_tape/{path}", content=body)
    assert reply.status_code == status
    assert reply.json()["error"]["message"]
    assert running.control("GET", "mode") == before


# -- who may


async def call(app: Any, *, client: tuple[str, int] | None = ("127.0.0.1", 1), **headers: str) -> int:
    """The status of ``GET mode`` for a client at an address."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/_tape/mode",
        "query_string": b"",
        "client": client,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        (("127.0.0.1", 1), {"host": "127.0.0.1:8322"}, 200),
        (("::1", 1), {"host": "[::1]:8322"}, 200),
        (("::ffff:127.0.0.1", 1), {"host": "localhost"}, 200),
        (None, {}, 200),
        (("10.0.0.7", 1), {"host": "127.0.0.1:8322"}, 403),
        (("127.0.0.1", 1), {"host": "evil.example:8322"}, 403),
        (("127.0.0.1", 1), {"host": "localhost:8322", "origin": "https://evil.example"}, 403),
        (("127.0.0.1", 1), {"host": "localhost", "x_forwarded_for": "10.0.0.7"}, 403),
    ],
)
async def test_only_this_machine_may_without_a_token(client: Any, headers: Any, status: int, tmp_path: Path) -> None:
    """Not another machine, not one behind something on this one, and not a page in the user's browser."""
    app = control(Tape(Settings(str(tmp_path)), environ={}))
    assert await call(app, client=client, **headers) == status


@pytest.mark.anyio
async def test_a_token_opens_it_to_other_machines_and_shuts_it_to_the_rest(tmp_path: Path) -> None:
    """With a token nobody is in without it, wherever they come from."""
    app = control(Tape(Settings(str(tmp_path)), environ={}), token="open-sesame")
    far = ("10.0.0.7", 1)
    assert await call(app, client=far, authorization="Bearer open-sesame") == 200
    assert await call(app, client=far, x_antiphon_token="open-sesame") == 200
    assert await call(app, client=far, authorization="Bearer wrong") == 403
    assert await call(app) == 403


@pytest.mark.anyio
async def test_a_server_can_mount_it(tmp_path: Path) -> None:
    """Below its own routes, at the same place."""
    routes = Router([Mount("/_tape", app=control(Tape(Settings(str(tmp_path)), environ={})))])
    assert await call(routes, host="localhost") == 200
