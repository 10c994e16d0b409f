"""JSON from a back end that does not hold itself to a schema: held back until it fits, asked for again, or named."""

from __future__ import annotations

import json
import socket
from typing import Any

import openai
import pytest

from tests.behaviour.hosts import Hosts
from tests.behaviour.wire import Caller, Json, hang_up
from tests.responses import grammar
from tests.server import Server, Servers
from tests.upstreams import PATIENCE, FakeBackend, Gate, delta, text, tool_calls, usage

SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT: Json = {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}
TEXT = {"format": FORMAT}
GOOD, BAD = '{"city": "Oslo"}', '{"town": "Oslo"}'


@pytest.fixture
def checking(servers: Servers, backend: FakeBackend) -> Server:
    """A server whose back end is known not to enforce schemas."""
    return servers(upstream={"schemas": "validated"})


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def test_it_is_held_back(checking: Server, backend: FakeBackend) -> None:
    """Nothing of the text leaves before the whole of it fits; then all of it does, in the usual events."""
    gate = Gate()
    backend.answer(delta(content=GOOD[:5]), gate, *text(GOOD[5:]))
    with Caller(checking.root).create(stream=True, text=TEXT) as caller:
        early = [next(caller.events()) for _ in range(2)]
        gate.reached()
        assert not caller.readable(0.1)
        gate.open()
        events = [*early, *caller.events()]
    grammar.check(events)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == GOOD
    assert backend.last["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("bad", "why"), [(BAD, '"city" is a required'), ("Oslo, of course", "JSON"), ("[]", "object")])
def test_asked_again(checking: Server, backend: FakeBackend, bad: str, why: str, streamed: bool) -> None:
    """The one retry carries the answer and what is wrong with it; the client sees the good one only, and pays both."""
    backend.answer(*text(bad, prompt=10, completion=4))
    backend.answer(*text(GOOD, prompt=20, completion=5))
    body: Json = {"input": "where?", "text": TEXT}
    with Caller(checking.root).create(stream=streamed, **body) as caller:
        response = list(caller.events())[-1]["response"] if streamed else caller.json()
    assert response["status"] == "completed"
    assert [item["content"][0]["text"] for item in response["output"]] == [GOOD]
    counted = response["usage"]
    assert (counted["input_tokens"], counted["output_tokens"], counted["total_tokens"]) == (30, 9, 39)
    first, second = backend.requests
    assert second["messages"][:-2] == first["messages"]
    answer, complaint = second["messages"][-2:]
    assert answer == {"role": "assistant", "content": bad}
    assert complaint["role"] == "user"
    assert why in complaint["content"]
    assert {**second, "messages": 0} == {**first, "messages": 0}
    assert checking.ended(response["id"]) == response


def test_it_never_fits(checking: Server, backend: FakeBackend) -> None:
    """The failure names itself, in the stream and in the Response, with what was wrong."""
    for _ in range(2):
        backend.answer(*text(BAD))
    events = checking.events({"model": "m", "input": "where?", "text": TEXT})
    grammar.check(events)
    error, last = events[-2:]
    assert (error["code"], last["type"]) == ("invalid_structured_output", "response.failed")
    assert last["response"]["error"]["code"] == "server_error"
    for words in ("'place'", "2 attempts", "city"):
        assert words in last["response"]["error"]["message"]
    assert last["response"]["usage"]["total_tokens"] == 20
    assert len(backend.calls) == 2


def test_json_object(checking: Server, backend: FakeBackend) -> None:
    """Any object will do, and nothing but an object."""
    for said in ("[1]", '{"any": 1}'):
        backend.answer(*text(said))
    response = checking.client.responses.create(model="m", input="JSON!", text={"format": {"type": "json_object"}})
    assert response.output_text == '{"any": 1}'
    assert len(backend.calls) == 2


def test_a_call_passes(checking: Server, backend: FakeBackend) -> None:
    """A tool call is no answer yet."""
    backend.answer(*tool_calls(("call_1", "look", '{"a": 1}')))
    tool: Json = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    events = checking.events({"model": "m", "input": "hi", "text": TEXT, "tools": [tool]})
    grammar.check(events)
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["function_call"]
    assert len(backend.calls) == 1


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([delta(refusal="I will not."), delta("stop"), usage()], "completed"),
        (text('{"ci', finish="length"), "incomplete"),
    ],
)
def test_no_answer_to_check(checking: Server, backend: FakeBackend, steps: list[Any], status: str) -> None:
    """A refusal, and an answer that was cut by the limit, are told as they are."""
    backend.answer(*steps)
    response = checking.client.responses.create(model="m", input="where?", text=TEXT)
    assert response.status == status
    assert len(backend.calls) == 1


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"properties": 3}, {"$ref": 3}])
def test_a_schema_that_is_none(checking: Server, backend: FakeBackend, schema: Json) -> None:
    """It is the client's mistake, and told before the model is asked."""
    with pytest.raises(openai.BadRequestError) as caught:
        checking.client.responses.create(model="m", input="x", text={"format": {**FORMAT, "schema": schema}})
    assert caught.value.param == "text.format.schema"
    assert backend.calls == []


def test_a_schema_that_cannot_be_followed(checking: Server, backend: FakeBackend) -> None:
    """A reference that leads nowhere is the client's mistake as well, and nothing is fetched for it."""
    for reference in ("#/$defs/none", "http://127.0.0.1:9/schema.json"):
        schema: Json = {"type": "object", "properties": {"city": {"$ref": reference}}}
        backend.answer(*text(GOOD))
        reply = checking.http.post(
            "/v1/responses", json={"model": "m", "input": "x", "text": {"format": {**FORMAT, "schema": schema}}}
        )
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["param"] == "text.format.schema"
    assert backend.calls == []


def test_nothing_is_fetched_for_a_schema(checking: Server, backend: FakeBackend) -> None:
    """Not even for a reference that means something else where it stands: no client sends us anywhere."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/schema.json"
        schema: Json = {"type": "object", "properties": {"city": {"$id": "urn:city", "$ref": url}}}
        with pytest.raises(openai.BadRequestError, match="Retrieval is disabled"):
            checking.client.responses.create(model="m", input="x", text={"format": {**FORMAT, "schema": schema}})
        elsewhere.settimeout(0)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert backend.calls == []


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"city": {"pattern": r"^(?:(O+)\1?)+$(?<!x)"}}},
        {"patternProperties": {r"^(?:(c+)\1?)+$(?<!x)": {}}, "additionalProperties": False},
    ],
)
def test_a_pattern_that_would_take_for_ever(checking: Server, backend: FakeBackend, schema: Json) -> None:
    """It ends like an answer that does not fit; the server answers others meanwhile and after it."""
    for _ in range(2):
        backend.answer(*text(json.dumps({"city": "O" * 60 + "!", "c" * 60 + "!": 1})))
    response = checking.client.responses.create(model="m", input="x", text={"format": {**FORMAT, "schema": schema}})
    assert response.status == "failed"
    backend.answer(*text(GOOD))
    assert checking.client.responses.create(model="m", input="x", text=TEXT).output_text == GOOD


def test_a_reference_that_can_be_followed(checking: Server, backend: FakeBackend) -> None:
    """Into the schema itself, through an ``$id``, and to a draft of the language."""
    place: Json = {
        "$id": "urn:place",
        "$defs": {"name": {"type": "string"}},
        "properties": {"city": {"$ref": "#/$defs/name"}},
    }
    for schema, bad in (
        ({"$ref": "#/$defs/place", "$defs": {"place": SCHEMA}}, BAD),
        ({"type": "object", "properties": {"at": {"$ref": "urn:place"}}, "$defs": {"p": place}}, '{"at": {"city": 1}}'),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, '{"type": 1}'),
        ({"type": "object", "const": {"$ref": "#/nowhere"}}, GOOD),
    ):
        good = '{"$ref": "#/nowhere"}' if bad == GOOD else GOOD if bad == BAD else "{}"
        backend.answer(*text(bad))
        backend.answer(*text(good))
        response = checking.client.responses.create(model="m", input="x", text={"format": {**FORMAT, "schema": schema}})
        assert (response.status, response.output_text) == ("completed", good)


def test_a_schema_without_an_end(checking: Server, backend: FakeBackend) -> None:
    """One that only refers to itself asks for nothing."""
    backend.answer(*text(GOOD))
    schema: Json = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    response = checking.client.responses.create(model="m", input="x", text={"format": {**FORMAT, "schema": schema}})
    assert (response.status, response.output_text) == ("completed", GOOD)


def test_numbers_that_python_does_not_take(checking: Server, backend: FakeBackend) -> None:
    """Whatever the model says, it is checked, and never a defect of ours."""
    for said in ('{"city": 1e999}', "9" * 5000, '{"city": "\\ud800"}', "[" * 5000):
        backend.answer(*text(said))
        backend.answer(*text(GOOD))
        response = checking.client.responses.create(model="m", input="x", text=TEXT)
        assert (response.status, response.output_text) == ("completed", GOOD)


def test_what_is_held_has_a_limit(hosts: Hosts, backend: FakeBackend) -> None:
    """A model that never stops is stopped, although nothing of it was told."""
    server = hosts(upstream={"schemas": "validated"}, responses={"max_response_bytes": 100_000})
    backend.answer(*[delta(content="[" * 1000)] * 300, Gate())
    with Caller(server.root).create(stream=True, text=TEXT) as caller:
        events = list(caller.events())
    assert backend.call().gone.wait(PATIENCE)
    assert events[-1]["type"] == "response.failed"
    assert "max_response_bytes" in events[-1]["response"]["error"]["message"]


def test_a_hang_up_while_it_is_held(checking: Server, backend: FakeBackend) -> None:
    """Held text was never told, so the cancelled response does not hold it."""
    gate = Gate()
    backend.answer(*text(BAD))
    backend.answer(delta(content=GOOD[:5]), gate)
    caller = Caller(checking.root).create(stream=True, text=TEXT)
    response_id = caller.until("response.created")["response"]["id"]
    gate.reached()
    hang_up(caller, backend.call(1))
    response = checking.ended(response_id)
    assert (response["status"], response["output"]) == ("cancelled", [])
    assert response["usage"]["total_tokens"] == 10
    grammar.check(checking.read_events("GET", f"/v1/responses/{response_id}?stream=true"))


def test_enforcing_back_ends_are_trusted(server: Server, backend: FakeBackend) -> None:
    """Without the setting the text streams as it comes, whatever it is."""
    backend.answer(*text(BAD))
    response = server.client.responses.create(model="m", input="where?", text=TEXT)
    assert json.loads(response.output_text) == {"town": "Oslo"}
    assert len(backend.calls) == 1
