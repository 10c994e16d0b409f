"""One answer of the back end, told in every way there is: all of them must say the same."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings

from tests.live.rawhttp import connected
from tests.live.streams import RICH, event, normal, request, streamed, told
from tests.responses.chunks import Script, scripts
from tests.server import Server
from tests.upstreams import Break, FakeBackend

LOOSE = settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))


def _answer(backend: FakeBackend, script: Script) -> None:
    """As drawn; where nothing says that it is over, the end of the stream does."""
    backend.answer(*(event(one) for one in script.chunks))


def _same(value: Any) -> Any:
    return json.loads(normal(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()))


@pytest.mark.anyio
@LOOSE
@given(script=scripts())
async def test_streaming_and_not_agree(server: Server, backend: FakeBackend, port: int, script: Script) -> None:
    """The body of ``stream: false`` is the terminal event's Response, and so is what is stored of either."""
    async with connected(port) as connection:
        _answer(backend, script)
        events = told(await streamed(connection, request(stream=True)))
        _answer(backend, script)
        whole = (await connection.ask("POST", "/v1/responses", request(stream=False))).json()
        response = events[-1]["response"]
        assert _same(whole) == _same(response)
        for one in (whole, response):
            assert (await connection.ask("GET", f"/v1/responses/{one['id']}")).json() == one


@LOOSE
@given(script=scripts())
def test_the_sdk_accumulates_what_we_say(server: Server, backend: FakeBackend, script: Script) -> None:
    """``responses.stream()`` puts the deltas together to the very Response that ends the stream and is stored."""
    _answer(backend, script)
    with server.client.responses.stream(model="m", input="hi") as stream:
        final = stream.get_final_response()
        grown = stream._state._ResponseStreamState__current_snapshot.output  # type: ignore[attr-defined]
    stored = server.http.get(f"/v1/responses/{final.id}").json()
    assert _within(stored, json.loads(final.to_json(exclude_unset=True, warnings=False)))
    for mine, theirs in zip(stored["output"], grown, strict=True):
        # The SDK grows nothing but the texts of messages and the arguments of functions.
        if mine["type"] == "function_call":
            assert theirs.arguments == mine["arguments"]
        if mine["type"] == "message":
            texts = [part.get("text") for part in mine["content"]]
            assert [part.to_dict().get("text") for part in theirs.content] == texts


def _within(mine: Any, theirs: Any) -> bool:
    """Whether what we say is all there; a parsed item has a few fields more than the wire."""
    if isinstance(mine, dict):
        return all(key in theirs and _within(value, theirs[key]) for key, value in mine.items())
    if isinstance(mine, list):
        return len(mine) == len(theirs) and all(map(_within, mine, theirs))
    return bool(mine == theirs)


def test_the_sdk_sees_a_failure(server: Server, backend: FakeBackend) -> None:
    """A stream that breaks raises in the SDK, with the message of the stored response."""
    backend.answer(*RICH[:5], Break())
    with server.client.responses.stream(model="m", input="hi") as stream, pytest.raises(openai.APIError) as caught:
        stream.until_done()
    assert "broke off" in caught.value.message
