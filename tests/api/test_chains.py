"""``previous_response_id``: what comes before, which parents can be continued, forks, and holes."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.api.talk import ask, dump, live, refused, stream
from tests.server import Server
from tests.upstreams import Break, FakeBackend, Gate, delta, text, tool_calls

NOT_FOUND = {"param": "previous_response_id", "code": "previous_response_not_found"}


def said(backend: FakeBackend) -> list[Any]:
    """The content of each message the model got last."""
    return [message["content"] for message in backend.last["messages"]]


def test_a_chain_has_everything_once(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Messages, calls and results of every turn, streamed or not, in the order in which they were said."""
    tools: Any = [{"type": "function", "name": "look"}]
    backend.answer(delta(content="let me see"), *tool_calls(("c1", "look", '{"at":1}')))
    first = stream(client, "where?", tools=tools)[-1].response
    backend.answer(*text("here"))
    output = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    second = ask(client, [output], previous_response_id=first.id, tools=tools)
    ask(client, "thanks", previous_response_id=second.id)
    asked = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
    assert backend.last["messages"] == [
        {"role": "user", "content": "where?"},
        {"role": "assistant", "content": "let me see", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "assistant", "content": "here"},
        {"role": "user", "content": "thanks"},
    ]


def test_forks_do_not_see_each_other(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Two responses may continue the same one, and each sees its own line only."""
    root = ask(client, "root")
    left = ask(client, "left", previous_response_id=root.id)
    ask(client, "right", previous_response_id=root.id)
    assert said(backend) == ["root", "ok", "right"]
    ask(client, "more left", previous_response_id=left.id)
    assert said(backend) == ["root", "ok", "left", "ok", "more left"]


def test_a_long_chain(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Thirty turns are thirty questions and answers, each once."""
    previous: str | None = None
    for n in range(30):
        previous = ask(client, f"q{n}", previous_response_id=previous).id
    assert said(backend) == [part for n in range(29) for part in (f"q{n}", "ok")] + ["q29"]


def test_delete_breaks_the_chain(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A response that was deleted cannot be continued, nor one behind it; what came before it can."""
    first = ask(client, "1")
    second = ask(client, "2", previous_response_id=first.id)
    third = ask(client, "3", previous_response_id=second.id)
    client.responses.delete(second.id)
    asked = len(backend.calls)
    for parent in (second, third):
        told = refused(lambda: ask(client, "x", previous_response_id=parent.id), **NOT_FOUND)  # type: ignore[arg-type]  # noqa: B023
        assert second.id in told.message
    assert len(backend.calls) == asked
    assert client.responses.retrieve(third.id).output_text == "ok"
    ask(client, "2 again", previous_response_id=first.id)
    assert said(backend) == ["1", "ok", "2 again"]


def test_unknown_parents(client: openai.OpenAI, backend: FakeBackend) -> None:
    """An id nobody gave out is the 400 that clients look for, streamed or not, and whatever it is made of."""
    for unknown in ("resp_" + "0" * 48, "x", "", "resp_é\u0000", "a" * 5000):
        refused(lambda: ask(client, previous_response_id=unknown), **NOT_FOUND)  # type: ignore[arg-type]  # noqa: B023
        refused(lambda: stream(client, previous_response_id=unknown), **NOT_FOUND)  # type: ignore[arg-type]  # noqa: B023
    assert backend.calls == []


def test_a_failed_parent(client: openai.OpenAI, backend: FakeBackend) -> None:
    """It is kept like any other, and a 400 naming its status when continued."""
    backend.answer(delta(content="half"), Break())
    failed = ask(client, "1")
    assert client.responses.retrieve(failed.id).status == "failed"
    told = refused(
        lambda: ask(client, "2", previous_response_id=failed.id),
        param="previous_response_id",
        code="invalid_previous_response",
    )
    assert "failed" in told.message


def test_a_cancelled_parent(server: Server, client: openai.OpenAI, backend: FakeBackend) -> None:
    """The same for one whose client hung up."""
    gate = Gate()
    backend.answer(delta(content="half"), gate)
    with live(client, "1") as events:
        created = next(iter(events))
        gate.reached()
    assert server.ended(created.response.id)["status"] == "cancelled"
    told = refused(
        lambda: ask(client, "2", previous_response_id=created.response.id),
        param="previous_response_id",
        code="invalid_previous_response",
    )
    assert "cancelled" in told.message


def test_an_incomplete_parent(client: openai.OpenAI, backend: FakeBackend) -> None:
    """An answer that was cut by the limit can be continued; a call that was cut is not shown to the model."""
    backend.answer(*text("half", finish="length"))
    cut = ask(client, "1", max_output_tokens=16)
    ask(client, "go on", previous_response_id=cut.id)
    assert said(backend) == ["1", "half", "go on"]
    call = tool_calls(("c1", "look", '{"at": "far away"}'))[:2]
    backend.answer(delta(content="see"), *call, delta("length"))
    cut = ask(client, "1", tools=[{"type": "function", "name": "look"}])
    assert [dump(item)["status"] for item in cut.output] == ["completed", "incomplete"]
    ask(client, "go on", previous_response_id=cut.id)
    assert said(backend) == ["1", "see", "go on"]
    assert not any("tool_calls" in message for message in backend.last["messages"])


def test_a_running_parent(client: openai.OpenAI, backend: FakeBackend) -> None:
    """One that has not ended is not there to be continued yet."""
    gate = Gate()
    backend.answer(delta(content="half"), gate)
    with live(client, "1") as events:
        created = next(iter(events))
        gate.reached()
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, "2", previous_response_id=created.response.id)
        assert caught.value.param == "previous_response_id"
        gate.open()
        list(events)
    assert ask(client, "2", previous_response_id=created.response.id).status == "completed"


def test_unstored_steps_of_a_chain(client: openai.OpenAI, backend: FakeBackend) -> None:
    """``store: false`` may continue a stored chain, and nobody can continue it."""
    first = ask(client, "1")
    second = ask(client, "2", previous_response_id=first.id, store=False)
    assert said(backend) == ["1", "ok", "2"]
    refused(lambda: ask(client, "3", previous_response_id=second.id), **NOT_FOUND)  # type: ignore[arg-type]


def test_call_ids_of_a_back_end_that_gives_none(client: openai.OpenAI, backend: FakeBackend) -> None:
    """They are derived, not random: the same question asked twice sends the same bytes upstream in its second turn."""
    tools: Any = [{"type": "function", "name": "look"}]
    sent = []
    for _ in range(2):
        call = delta(tool_calls=[{"index": 0, "function": {"name": "look", "arguments": "{}"}}])
        backend.answer(call, delta("tool_calls"))
        first = ask(client, "1", tools=tools)
        call_id = dump(first.output[0])["call_id"]
        output = {"type": "function_call_output", "call_id": call_id, "output": "seen"}
        ask(client, [output], previous_response_id=first.id, tools=tools)
        sent.append(backend.last)
    assert sent[0] == sent[1]


def test_history_limits(servers: Any, backend: FakeBackend) -> None:
    """A chain over the configured size is a 400 that says what to do, not a prompt cut in silence."""
    client = servers(responses={"max_history_items": 3}).client
    first = ask(client, "1")
    second = ask(client, "2", previous_response_id=first.id)
    told = refused(
        lambda: ask(client, "3", previous_response_id=second.id),
        param="previous_response_id",
        code="history_too_long",
    )
    assert "max_history_items" in told.message
    assert len(backend.calls) == 2
