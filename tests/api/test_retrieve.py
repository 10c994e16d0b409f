"""GET and DELETE of a response, its events again from any point, and the cancel that does not apply."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.api.talk import again, ask, dump, live, refused, stream, types
from tests.server import Server, Servers
from tests.upstreams import FakeBackend, Gate, delta, text, tool_calls

covers = pytest.mark.covers


def unknown(call: Any) -> None:
    """It is a 404 of the SDK's own type, and says which id."""
    refused(call, param="response_id", code="not_found", error=openai.NotFoundError)


@covers("endpoint:GET /v1/responses/{id}")
def test_retrieve(client: openai.OpenAI, backend: FakeBackend) -> None:
    """What was answered is what is kept, to the last key; query parameters of the API are accepted."""
    backend.answer(delta(reasoning_content="Hm."), *tool_calls(("c1", "look", "{}")))
    made = ask(client, tools=[{"type": "function", "name": "look"}], metadata={"a": "b"}, temperature=0.5)
    assert dump(client.responses.retrieve(made.id)) == dump(made)
    assert dump(client.responses.retrieve(made.id, include=["reasoning.encrypted_content"])) == dump(made)
    streamed = stream(client)
    assert dump(client.responses.retrieve(streamed[0].response.id)) == dump(streamed[-1].response)


@covers("endpoint:GET /v1/responses/{id}")
def test_unknown_ids(client: openai.OpenAI) -> None:
    """Every way to ask for a response that is not there is a 404."""
    for response_id in ("resp_" + "0" * 48, "nobody", "a b", "é", "..%2F", "x" * 3000, "%00"):
        unknown(lambda: client.responses.retrieve(response_id))  # noqa: B023
    unknown(lambda: again(client, "resp_0"))
    unknown(lambda: client.responses.delete("resp_0"))
    unknown(lambda: client.responses.cancel("resp_0"))
    unknown(lambda: client.responses.input_items.list("resp_0"))


@covers("endpoint:GET /v1/responses/{id}")
def test_events_again(client: openai.OpenAI, server: Server, backend: FakeBackend) -> None:
    """A finished response's events are repeated as they were, from any number on; beyond the end there are none."""
    backend.answer(delta(reasoning_content="Hm."), *text("Hel", "lo"))
    events = stream(client)
    response_id = events[0].response.id
    first = server.read_events("GET", f"/v1/responses/{response_id}?stream=true")
    assert first == [dump(event) for event in events]
    for after in (0, 5, len(events) - 2, len(events) - 1, len(events) + 7):
        rest = list(again(client, response_id, starting_after=after))
        assert [dump(event) for event in rest] == first[after + 1 :]
    with client.responses.stream(response_id=response_id, starting_after=3) as resumed:
        assert resumed.get_final_response().output_text == "Hello"


@covers("endpoint:GET /v1/responses/{id}")
def test_events_while_it_runs(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A second reader gets what was, then what comes, without a gap or a repeat; so does a third from a number."""
    gate = Gate()
    backend.answer(delta(content="one"), gate, *text("two"))
    with live(client) as events:
        first = [next(events) for _ in range(5)]
        gate.reached()
        response_id = first[0].response.id
        with (
            again(client, response_id) as second,
            again(client, response_id, starting_after=2) as third,
            again(client, response_id, starting_after=100) as late,
        ):
            early = [next(second) for _ in range(5)]
            later = [next(third) for _ in range(2)]
            gate.open()
            whole = [dump(event) for event in (*first, *events)]
            assert [dump(event) for event in (*early, *second)] == whole
            assert [dump(event) for event in (*later, *third)] == whole[3:]
            assert list(late) == []


def test_a_resumed_reader_may_leave(client: openai.OpenAI, server: Server, backend: FakeBackend) -> None:
    """Only the client that asked holds the run: a reader that came later goes without a trace."""
    gate = Gate()
    backend.answer(delta(content="one"), gate, *text("two"))
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
        with again(client, created.response.id) as second:
            next(iter(second))
        gate.open()
        assert types(list(events))[-1] == "response.completed"
    assert server.ended(created.response.id)["status"] == "completed"


@pytest.mark.parametrize("value", ["x", "-2", "1.5", ""])
def test_starting_after_must_be_a_number(server: Server, backend: FakeBackend, value: str) -> None:
    """Anything else is a 400 that names it."""
    made = server.http.post("/v1/responses", json={"model": "m", "input": "hi"}).json()
    reply = server.http.get(f"/v1/responses/{made['id']}", params={"stream": "true", "starting_after": value})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "starting_after"
    odd = server.http.get(f"/v1/responses/{made['id']}", params={"stream": "maybe"})
    assert (odd.status_code, odd.json()["error"]["param"]) == (400, "stream")


@covers("endpoint:DELETE /v1/responses/{id}")
def test_delete(client: openai.OpenAI, server: Server) -> None:
    """Gone at once and for every way to ask, once; its items cannot be referred to any more."""
    made = ask(client)
    reply = server.http.delete(f"/v1/responses/{made.id}")
    assert (reply.status_code, reply.json()) == (200, {"id": made.id, "object": "response", "deleted": True})
    unknown(lambda: client.responses.retrieve(made.id))
    unknown(lambda: again(client, made.id))
    unknown(lambda: client.responses.input_items.list(made.id))
    unknown(lambda: client.responses.delete(made.id))
    unknown(lambda: client.responses.cancel(made.id))
    refused(
        lambda: ask(client, [{"type": "item_reference", "id": made.output[0].id}]),
        param="input[0].id",
        code="not_found",
        error=openai.NotFoundError,
    )


@covers("endpoint:DELETE /v1/responses/{id}")
def test_delete_while_it_runs(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The back end is cut off, the reader gets a proper end, and nothing is left."""
    gate = Gate()
    backend.answer(delta(content="one"), gate)
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
        client.responses.delete(created.response.id)
        rest = list(events)
    assert rest[-1].type == "response.incomplete"
    assert rest[-1].response.status == "cancelled"
    assert backend.call().gone.wait(5)
    unknown(lambda: client.responses.retrieve(created.response.id))


@covers("endpoint:POST /v1/responses/{id}/cancel")
def test_cancel(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Only background responses can be cancelled: a 400 for one that has ended and for one that runs on."""
    made = ask(client)
    refused(lambda: client.responses.cancel(made.id), param="response_id", code="not_cancellable")
    gate = Gate()
    backend.answer(delta(content="one"), gate, *text("two"))
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
        refused(lambda: client.responses.cancel(created.response.id), param="response_id", code="not_cancellable")
        gate.open()
        assert list(events)[-1].response.output_text == "onetwo"


def test_a_hang_up_cuts_the_back_end(client: openai.OpenAI, server: Server, backend: FakeBackend) -> None:
    """Streaming or not: the back end's connection is closed, what was produced is kept as cancelled."""
    gate = Gate()
    backend.answer(delta(content="half"), gate)
    with live(client) as events:
        created = next(iter(events))
        gate.reached()
    assert backend.call().gone.wait(5)
    assert server.ended(created.response.id)["status"] == "cancelled"
    told = server.read_events("GET", f"/v1/responses/{created.response.id}?stream=true")
    assert [event["type"] for event in told[-4:]] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    backend.answer(delta(content="half"), Gate())
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).responses.create(model="m", input="hi")
    assert backend.call(1).gone.wait(5)


def test_a_hang_up_without_store_leaves_nothing(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The back end is cut off all the same."""
    gate = Gate()
    backend.answer(delta(content="half"), gate)
    with live(client, store=False) as events:
        created = next(iter(events))
        gate.reached()
    assert backend.call().gone.wait(5)
    unknown(lambda: client.responses.retrieve(created.response.id))


def test_a_run_may_go_on_without_its_client(servers: Servers, backend: FakeBackend) -> None:
    """``on_disconnect = continue``: a stored run is finished, and its reader resumes where it stopped."""
    server = servers(responses={"on_disconnect": "continue"})
    gate = Gate()
    backend.answer(delta(content="one"), gate, *text("two"))
    with live(server.client) as events:
        seen = [next(events) for _ in range(5)]
        gate.reached()
    assert not backend.call().gone.wait(0.1)
    with again(server.client, seen[0].response.id, starting_after=4) as events:
        gate.open()
        rest = list(events)
    assert [event.sequence_number for event in (*seen, *rest)] == list(range(len(seen) + len(rest)))
    assert rest[-1].response.output_text == "onetwo"
    assert not backend.call().gone.is_set()
