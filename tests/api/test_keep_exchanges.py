"""``storage.keep_exchanges``: with each stored response lies how the models answered, to the byte and read by read."""

from __future__ import annotations

import asyncio
from typing import Any

from antiphon.storage import open_store
from antiphon.storage.model import DEFAULT_OWNER, Step
from antiphon.tape.document.kept import load_response
from tests.api.talk import ask, stream
from tests.server import Server, Servers
from tests.upstreams import FakeBackend, delta, text, tool_calls

_KEEPING: dict[str, Any] = {"storage": {"keep_exchanges": True}}


def _steps(server: Server, response_id: str) -> list[Step]:
    """As another process on the same database finds them."""

    async def read() -> list[Step]:
        store = await open_store(server.config.storage)
        try:
            return await store.steps(DEFAULT_OWNER, response_id)
        finally:
            await store.close()

    return asyncio.run(read())


def _kept(step: Step) -> bytes:
    assert step.exchange is not None
    response = load_response(step.exchange)
    assert response.status == 200
    assert [name.lower() for name, _ in response.headers] == ["content-type"]
    return response.content


def _said(server: Server, backend: FakeBackend, body: dict[str, Any]) -> bytes:
    """What the back end answers this, as it passes through."""
    return server.http.post("/v1/chat/completions", json={**body, "model": "m"}).raise_for_status().content


def test_an_answer_is_kept_to_the_byte(servers: Servers, backend: FakeBackend) -> None:
    """Streamed or not, what is kept is what the back end sent; where nothing is to be stored, nothing is kept."""
    server = servers(**_KEEPING)
    answer = [delta(reasoning_content="Hm, é."), *text("Hel", "lo \u2028 ", "wörld")]
    for made in (lambda: ask(server.client).id, lambda: stream(server.client)[0].response.id):
        backend.answer(*answer, headers="x-secret: s3cr3t\r\n")
        (step,) = _steps(server, made())
        backend.answer(*answer)
        assert _kept(step) == _said(server, backend, backend.calls[-1].body)
        assert step.exchange is not None
        assert b"s3cr3t" not in step.exchange


def test_only_the_answer_that_is_told_is_kept(servers: Servers, backend: FakeBackend) -> None:
    """An answer that did not fit its format was asked for again; its step keeps the one that did."""
    server = servers(upstream={"schemas": "validated"}, **_KEEPING)
    backend.answer(*text('{"a": "x"}'))
    backend.answer(*text('{"a": 1}'))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    made = ask(server.client, text={"format": {"type": "json_schema", "name": "n", "schema": schema}})
    (step,) = _steps(server, made.id)
    assert rb"{\"a\": 1}" in _kept(step)
    assert rb"\"x\"" not in _kept(step)


def test_nothing_is_kept_unless_asked_for(server: Server, backend: FakeBackend) -> None:
    """By default the text is stored once."""
    backend.answer(*tool_calls(("c1", "look", "{}")))
    made = ask(server.client, tools=[{"type": "function", "name": "look"}])
    assert [step.exchange for step in _steps(server, made.id)] == [None]
