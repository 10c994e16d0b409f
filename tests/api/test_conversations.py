"""Conversations through the SDK: what can be done with one, and what a response that is a turn of one does to it."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings

from tests.api.talk import ask, dump, live, refused, stream
from tests.api.test_items import PIXEL
from tests.responses.conversations import conversations
from tests.server import Server, Servers
from tests.upstreams import Break, FakeBackend, Gate, delta, text, tool_calls

covers = pytest.mark.covers

NOBODY = "conv_" + "0" * 48
USER: Any = {"role": "user", "content": "hello"}
LOOK: Any = [{"type": "function", "name": "look"}]
UNKNOWN: Any = {"param": "conversation_id", "code": "not_found", "error": openai.NotFoundError}


def said(backend: FakeBackend) -> list[Any]:
    """The content of each message the model got last."""
    return [message["content"] for message in backend.last["messages"]]


def items(client: openai.OpenAI, conversation_id: str) -> list[dict[str, Any]]:
    """All items, oldest first, as JSON."""
    return [dump(item) for item in client.conversations.items.list(conversation_id, order="asc", limit=100)]


def texts(client: openai.OpenAI, conversation_id: str) -> list[str]:
    """The text of each message."""
    return [item["content"][0]["text"] for item in items(client, conversation_id)]


@covers(
    "endpoint:POST /v1/conversations",
    "endpoint:GET /v1/conversations/{id}",
    "endpoint:POST /v1/conversations/{id}",
    "endpoint:DELETE /v1/conversations/{id}",
)
def test_a_life(client: openai.OpenAI) -> None:
    """Made, read, changed and deleted; then it is nowhere."""
    made = client.conversations.create(metadata={"topic": "tea"})
    assert dump(made) == {
        "id": made.id,
        "object": "conversation",
        "created_at": made.created_at,
        "metadata": {"topic": "tea"},
    }
    assert made.id.startswith("conv_")
    assert client.conversations.retrieve(made.id) == made
    changed = client.conversations.update(made.id, metadata={"other": "x"})
    assert dump(changed) == {**dump(made), "metadata": {"other": "x"}}
    assert client.conversations.retrieve(made.id) == changed
    assert client.conversations.update(made.id, metadata=None).metadata == {}
    gone = client.conversations.delete(made.id)
    assert dump(gone) == {"id": made.id, "object": "conversation.deleted", "deleted": True}
    refused(lambda: client.conversations.retrieve(made.id), **UNKNOWN)


@pytest.mark.parametrize("body", ["", "{}", '{"items": null, "metadata": null}', '{"items": [], "more": 1}'])
def test_an_empty_one(server: Server, body: str) -> None:
    """Neither items nor metadata are needed, nor a body."""
    made = server.http.post("/v1/conversations", content=body).raise_for_status().json()
    assert made["metadata"] == {}
    page = server.http.get(f"/v1/conversations/{made['id']}/items").json()
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_what_is_not_there(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Every operation on an unknown conversation, or an unknown item of a known one, is a 404 that says which."""
    talks, known = client.conversations, client.conversations.create(items=[USER]).id
    for unknown in (NOBODY, "x", "conv_é"):
        for call in (
            lambda: talks.retrieve(unknown),  # noqa: B023
            lambda: talks.update(unknown, metadata={}),  # noqa: B023
            lambda: talks.delete(unknown),  # noqa: B023
            lambda: talks.items.list(unknown),  # noqa: B023
            lambda: talks.items.list(unknown, after="msg_1"),  # noqa: B023
            lambda: talks.items.create(unknown, items=[USER]),  # noqa: B023
            lambda: talks.items.retrieve("msg_1", conversation_id=unknown),  # noqa: B023
            lambda: talks.items.delete("msg_1", conversation_id=unknown),  # noqa: B023
        ):
            told = refused(call, **UNKNOWN)
            assert unknown in told.message
        named: Any = {"param": "conversation", "code": "conversation_not_found", "error": openai.NotFoundError}
        refused(lambda: ask(client, conversation=unknown), **named)  # noqa: B023
        refused(lambda: stream(client, conversation={"id": unknown}), **named)  # noqa: B023
        refused(lambda: client.responses.input_tokens.count(model="m", input="x", conversation=unknown), **named)  # noqa: B023
    item: Any = {"param": "item_id", "code": "not_found", "error": openai.NotFoundError}
    refused(lambda: talks.items.retrieve("msg_1", conversation_id=known), **item)
    refused(lambda: talks.items.delete("msg_1", conversation_id=known), **item)
    refused(lambda: talks.items.list(known, after="msg_1"), param="after", code="invalid_cursor")
    assert backend.calls == []


@covers("endpoint:POST /v1/conversations", "endpoint:POST /v1/conversations/{id}/items")
@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"items": [USER] * 21}, "items", "invalid_value"),
        ({"items": "hello"}, "items", "invalid_type"),
        ({"items": [USER, {"type": "nonsense"}]}, "items[1].type", "invalid_value"),
        ({"items": [{"type": "message", "role": "user"}]}, "items[0].content", "missing_required_parameter"),
        ({"items": [{"type": "compaction_trigger"}]}, "items[0].type", "unsupported_parameter"),
    ],
)
def test_items_that_are_refused(server: Server, body: Any, param: str, code: str) -> None:
    """Wrong items, and more than 20, are a 400 that names the field, in a new conversation and in an old one."""
    known = server.client.conversations.create().id
    for path in ("/v1/conversations", f"/v1/conversations/{known}/items"):
        reply = server.http.post(path, json=body)
        assert reply.status_code == 400
        assert (reply.json()["error"]["param"], reply.json()["error"]["code"]) == (param, code)
    assert items(server.client, known) == []


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({str(n): "x" for n in range(17)}, "metadata"),
        ({"k" * 65: "x"}, "metadata." + "k" * 65),
        ({"k": "v" * 513}, "metadata.k"),
        ({"k": 1}, "metadata.k"),
        ("x", "metadata"),
    ],
)
def test_metadata_has_limits(client: openai.OpenAI, metadata: Any, param: str) -> None:
    """16 pairs, keys of 64 and values of 512 characters, when it is made and when it is changed."""
    made = client.conversations.create(metadata={"k" * 64: "v" * 512})
    for call in (
        lambda: client.conversations.create(metadata=metadata),
        lambda: client.conversations.update(made.id, metadata=metadata),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            call()
        assert caught.value.param == param
    assert client.conversations.retrieve(made.id) == made


def test_an_update_names_its_metadata(server: Server) -> None:
    """A change without metadata would change nothing, so it is refused."""
    known = server.client.conversations.create().id
    reply = server.http.post(f"/v1/conversations/{known}", json={})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "metadata"


@covers(
    "endpoint:POST /v1/conversations/{id}/items",
    "endpoint:GET /v1/conversations/{id}/items",
    "endpoint:GET /v1/conversations/{id}/items/{item}",
    "endpoint:DELETE /v1/conversations/{id}/items/{item}",
)
def test_items_one_by_one(client: openai.OpenAI) -> None:
    """They are appended in order, answered as they are kept, read singly, and taken out."""
    talks = client.conversations
    made = talks.create(items=[USER])
    added = talks.items.create(made.id, items=[{"role": "assistant", "content": "yes?"}, {**USER, "id": "mine"}])
    assert [item.id for item in added.data][1] == "mine"
    assert (added.object, added.has_more, added.first_id, added.last_id) == ("list", False, added.data[0].id, "mine")
    kept = items(client, made.id)
    assert [item["content"] for item in kept] == [
        [{"type": "input_text", "text": "hello"}],
        [{"type": "output_text", "text": "yes?", "annotations": []}],
        [{"type": "input_text", "text": "hello"}],
    ]
    assert kept[1:] == [dump(item) for item in added.data]
    assert {item["status"] for item in kept} == {"completed"}
    for item in kept:
        assert dump(talks.items.retrieve(item["id"], conversation_id=made.id)) == item
    assert talks.items.delete(kept[1]["id"], conversation_id=made.id) == made
    assert items(client, made.id) == [kept[0], kept[2]]


@covers("endpoint:GET /v1/conversations/{id}/items")
def test_pages(client: openai.OpenAI) -> None:
    """Newest first unless asked otherwise; the SDK's own paging finds every item once."""
    talks = client.conversations
    made = talks.create(items=[{**USER, "id": f"msg_{n}"} for n in range(20)])
    talks.items.create(made.id, items=[{**USER, "id": f"msg_{n}"} for n in range(20, 25)])
    ids = [f"msg_{n}" for n in range(25)]
    first = talks.items.list(made.id, include=["message.input_image.image_url"])
    assert (len(first.data), first.has_more, first.last_id) == (20, True, "msg_5")
    assert [item.id for item in first] == ids[::-1]
    for limit in (1, 7, 25, 100):
        assert [item.id for item in talks.items.list(made.id, limit=limit, order="asc")] == ids
    assert [item.id for item in talks.items.list(made.id, after="msg_3", order="desc")] == ids[2::-1]
    refused(lambda: talks.items.list(made.id, limit=101), param="limit", code="invalid_value")
    refused(lambda: talks.items.list(made.id, order="up"), param="order", code="invalid_value")  # type: ignore[arg-type]


@covers("endpoint:POST /v1/conversations/{id}/items", "endpoint:GET /v1/conversations/{id}/items")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=conversations(max_size=8))
def test_whatever_goes_in_comes_back(server: Server, sent: list[dict[str, Any]]) -> None:
    """Items of every kind come back in order with all they were sent with; content is a list, and each has an id."""
    http = server.http
    made = http.post("/v1/conversations", json={"items": sent[:3]}).raise_for_status().json()["id"]
    if sent[3:]:
        http.post(f"/v1/conversations/{made}/items", json={"items": sent[3:]}).raise_for_status()
    kept = http.get(f"/v1/conversations/{made}/items?order=asc&limit=100").json()["data"]
    assert len(kept) == len(sent)
    for given_, item in zip(sent, kept, strict=True):
        assert item["id"]
        assert item["type"] == given_.get("type", "message")
        if item["type"] == "message":
            assert isinstance(item["content"], list)
        expected = {key: value for key, value in given_.items() if key not in ("content", "id", "status")}
        assert {key: item[key] for key in expected} == expected
        assert item == http.get(f"/v1/conversations/{made}/items/{item['id']}").json() or _twice(item, kept)


def _twice(item: dict[str, Any], kept: list[dict[str, Any]]) -> bool:
    """Its id stands for more than one: then the newest is given."""
    return [other["id"] for other in kept].count(item["id"]) > 1


@covers("param:conversation")
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("form", [str, lambda name: {"id": name}])
def test_turns(client: openai.OpenAI, backend: FakeBackend, streamed: bool, form: Any) -> None:
    """Input and output of each turn are appended in order; the model gets all of it; every Response names it."""
    made = client.conversations.create(items=[{"role": "system", "content": "be short"}])
    backend.answer(delta(reasoning_content="hm"), delta(content="let me see"), *tool_calls(("c1", "look", "{}")))
    if streamed:
        events = stream(client, "where?", tools=LOOK, conversation=form(made.id))
        told = [event.response for event in events if hasattr(event, "response")]
    else:
        told = [ask(client, "where?", tools=LOOK, conversation=form(made.id))]
    assert {response.conversation.id for response in told} == {made.id}
    first = told[-1]
    backend.answer(*text("here"))
    output = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    second = ask(client, [output, USER], tools=LOOK, conversation=form(made.id))
    assert backend.last["messages"][:4] == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "where?"},
        {
            "role": "assistant",
            "content": "let me see",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    ]
    kept = items(client, made.id)
    assert [item["type"] for item in kept] == [
        *("message", "message", "reasoning", "message", "function_call"),
        *("function_call_output", "message", "message"),
    ]
    assert kept[2:5] == [dump(item) for item in first.output]
    assert kept[7:] == [dump(item) for item in second.output]
    listed = client.responses.input_items.list(second.id, order="asc").data
    assert kept[5:7] == [dump(item) for item in listed], "each item has one id, wherever it is listed"
    assert client.responses.retrieve(first.id).conversation == first.conversation
    assert first.previous_response_id is None


def test_without_input(client: openai.OpenAI, backend: FakeBackend) -> None:
    """What was said already can be answered."""
    made = client.conversations.create(items=[USER])
    client.responses.create(model="m", conversation=made.id)
    assert said(backend) == ["hello"]
    assert texts(client, made.id) == ["hello", "ok"]


@covers("param:conversation")
def test_not_beside_a_chain(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A conversation and a chain exclude each other, and the error names the parameter."""
    made, first = client.conversations.create(), ask(client, "1")
    asked = len(backend.calls)
    refused(
        lambda: ask(client, "2", conversation=made.id, previous_response_id=first.id),
        param="conversation",
        code="mutually_exclusive_parameters",
    )
    assert len(backend.calls) == asked
    assert ask(client, "2", previous_response_id=first.id).conversation is None


def test_a_turn_can_be_the_start_of_a_chain(client: openai.OpenAI, backend: FakeBackend) -> None:
    """``previous_response_id`` of a turn continues what that response brought itself, and is no turn."""
    made = client.conversations.create()
    first = ask(client, "1", conversation=made.id)
    ask(client, "2", previous_response_id=first.id)
    assert said(backend) == ["1", "ok", "2"]
    assert texts(client, made.id) == ["1", "ok"]


def test_an_incomplete_turn_is_kept(client: openai.OpenAI, backend: FakeBackend) -> None:
    """An answer that was cut by the limit can be continued, as in a chain."""
    made = client.conversations.create()
    backend.answer(*text("half", finish="length"))
    ask(client, "1", max_output_tokens=16, conversation=made.id)
    ask(client, "go on", conversation=made.id)
    assert said(backend) == ["1", "half", "go on"]


@pytest.mark.parametrize("store", [True, False])
def test_a_failed_turn_is_not(client: openai.OpenAI, backend: FakeBackend, store: bool) -> None:
    """The conversation stays as it was, and goes on; the failed response is kept like any other."""
    made = client.conversations.create(items=[USER])
    backend.answer(delta(content="half"), Break())
    failed = ask(client, "1", conversation=made.id, store=store)
    assert (failed.status, failed.conversation.id) == ("failed", made.id)  # type: ignore[union-attr]
    backend.refuse(429, {"message": "slow down", "code": "rate_limit_exceeded"})
    with pytest.raises(openai.RateLimitError):
        ask(client, "2", conversation=made.id, store=store)
    assert texts(client, made.id) == ["hello"]
    ask(client, "3", conversation=made.id)
    assert said(backend) == ["hello", "3"]
    if store:
        assert client.responses.retrieve(failed.id).conversation == failed.conversation


def test_without_store_the_turn_is_kept_and_the_response_is_not(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The conversation is a place that was named; the Response is what ``store`` is about."""
    made = client.conversations.create()
    response = ask(client, "1", conversation=made.id, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    assert texts(client, made.id) == ["1", "ok"]
    ask(client, "2", conversation=made.id)
    assert said(backend) == ["1", "ok", "2"]


def test_deleting_one_leaves_the_other(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A deleted response stays in its conversation; a deleted conversation leaves its responses."""
    made = client.conversations.create()
    first, second = (ask(client, word, conversation=made.id) for word in ("1", "2"))
    client.responses.delete(first.id)
    assert texts(client, made.id) == ["1", "ok", "2", "ok"]
    ask(client, "3", conversation=made.id)
    assert said(backend) == ["1", "ok", "2", "ok", "3"]
    client.conversations.delete(made.id)
    assert client.responses.retrieve(second.id).output_text == "ok"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_references(client: openai.OpenAI, backend: FakeBackend) -> None:
    """An item can stand for a stored one, in a turn and among items that are added."""
    made = client.conversations.create(items=[{**USER, "id": "msg_hello"}])
    answer = ask(client, "1", conversation=made.id).output[0].id
    other = client.conversations.create(items=[{"type": "item_reference", "id": answer}])  # type: ignore[arg-type]
    assert texts(client, other.id) == ["ok"]
    ask(client, [{"type": "item_reference", "id": "msg_hello"}], conversation=other.id)
    assert said(backend) == ["ok", "hello"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.conversations.create(items=[USER, {"type": "item_reference", "id": "msg_no"}])  # type: ignore[list-item]
    assert caught.value.param == "items[1].id"


def test_long_content(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A picture that is long enough to be kept elsewhere comes back whole, to the client and to the model."""
    picture = PIXEL + "A" * 50_000
    parts = [{"type": "input_image", "image_url": picture, "detail": "auto"}]
    made = client.conversations.create(items=[{"role": "user", "content": parts}])  # type: ignore[list-item]
    assert items(client, made.id)[0]["content"] == parts
    ask(client, "what?", conversation=made.id)
    assert backend.last["messages"][0]["content"][0]["image_url"]["url"] == picture


def test_counting(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The items of the conversation count, and counting changes nothing."""
    made = client.conversations.create(items=[{"role": "user", "content": "word " * 200}])
    count = client.responses.input_tokens.count
    with_it = count(model="demo", input="x", conversation=made.id).input_tokens
    assert with_it > 200 > count(model="demo", input="x").input_tokens
    assert len(items(client, made.id)) == 1


def test_limits(servers: Servers, backend: FakeBackend) -> None:
    """A conversation over the configured size is a 400 that says what to do, and can be made smaller."""
    client = servers(responses={"max_history_items": 3}).client
    made = client.conversations.create(items=[USER] * 4)
    for call in (
        lambda: ask(client, "x", conversation=made.id),
        lambda: client.responses.input_tokens.count(model="demo", input="x", conversation=made.id),
    ):
        told = refused(call, param="conversation", code="history_too_long")
        assert "max_history_items" in told.message
    assert backend.calls == []
    newest = client.conversations.items.list(made.id).data[0].id
    client.conversations.items.delete(newest, conversation_id=made.id)
    ask(client, "x", conversation=made.id)
    assert said(backend) == ["hello"] * 3 + ["x"]


def test_deleting_a_running_turn(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A conversation that is deleted under a turn is gone at once; the turn ends as failed and is nowhere."""
    made, gate = client.conversations.create(), Gate()
    backend.answer(delta(content="half"), gate, *text("more"))
    with live(client, "1", conversation=made.id) as events:
        created = next(iter(events))
        gate.reached()
        client.conversations.delete(made.id)
        gate.open()
        with pytest.raises(openai.APIError, match="conversation was deleted"):
            list(events)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(created.response.id)
    refused(lambda: client.conversations.items.list(made.id), **UNKNOWN)
