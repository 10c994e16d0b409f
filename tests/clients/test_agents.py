"""The Agents SDK for JavaScript drives the server, as its sister in Python does (``tests/api/test_agents_tools``)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import Suite
from tests.clients.driver import Refused
from tests.tools.mcp.threads import Thread
from tests.upstreams import Break, FakeBackend, delta, text, tool_calls

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def hosted(things: Thread, **more: Any) -> dict[str, Any]:
    return {"serverLabel": "s", "serverUrl": things.url, "requireApproval": "never", **more}


def roles(backend: FakeBackend) -> list[str]:
    return [message["role"] for message in backend.last["messages"]]


@both
def test_functions(agents: Suite, backend: FakeBackend, stream: bool) -> None:
    """Two calls at once, run by the SDK between two rounds."""
    backend.answer(*tool_calls(("c1", "weather", '{"city": "Rome"}'), ("c2", "weather", '{"city": "Oslo"}')))
    backend.answer(*text("Sunny ", "in both."))
    saw = agents("functions", stream=stream)
    assert saw["answer"] == "Sunny in both."
    assert saw["items"] == [*(2 * ["function_call"]), *(2 * ["function_call_result"]), "message"]
    assert saw["usage"] == 20
    assert [message["content"] for message in backend.last["messages"][-2:]] == ["Sunny in Rome.", "Sunny in Oslo."]
    if stream:
        assert saw["deltas"] == "Sunny in both."


@both
def test_thoughts_around_a_call(agents: Suite, backend: FakeBackend, stream: bool) -> None:
    """Are items of the run, and go with the call into the next round."""
    backend.answer(delta(reasoning_content="Hm."), *tool_calls(("c1", "weather", '{"city": "Rome"}')))
    backend.answer(delta(reasoning_content="Ah."), *text("Sunny."))
    saw = agents("functions", stream=stream)
    assert saw["items"] == ["reasoning", "function_call", "function_call_result", "reasoning", "message"]
    assert roles(backend) == ["user", "assistant", "tool"]


@both
def test_structured_output(agents: Suite, backend: FakeBackend, stream: bool) -> None:
    """The answer is the value of the schema."""
    backend.answer(*text('{"city": "Rome", "people": 3}'))
    assert agents("structured", stream=stream)["answer"] == {"city": "Rome", "people": 3}
    assert backend.last["response_format"]["json_schema"]["strict"] is True


@both
def test_a_handoff(agents: Suite, backend: FakeBackend, things: Thread, stream: bool) -> None:
    """One agent hands over to another, whose hosted tools then run here."""
    backend.answer(*tool_calls(("h1", "transfer_to_sums", "{}")))
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 1}')))
    backend.answer(*text("2."))
    saw = agents("handoffs", stream=stream, mcp=hosted(things))
    assert (saw["answer"], saw["last"]) == ("2.", "sums")


@both
def test_hosted_mcp(agents: Suite, backend: FakeBackend, things: Thread, stream: bool) -> None:
    """The server makes the calls, and the SDK sees them among the items of the run."""
    backend.answer(*tool_calls(("c1", "add", '{"a": 20, "b": 22}'), ("c2", "fail", '{"reason": "no"}')))
    backend.answer(*text("It is 42."))
    saw = agents("hosted", stream=stream, mcp=hosted(things))
    assert saw["answer"] == "It is 42."
    assert saw["items"] == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]


@both
@pytest.mark.parametrize("callback", [True, False], ids=["callback", "interruption"])
@pytest.mark.parametrize("approve", [True, False], ids=["yes", "no"])
def test_approvals(
    agents: Suite, backend: FakeBackend, things: Thread, *, approve: bool, callback: bool, stream: bool
) -> None:
    """The SDK asks, sends the answer, and the run goes on: the call is made, or the model is told that it is not."""
    backend.answer(*tool_calls(("c1", "put", '{"text": "x"}')))
    backend.answer(*text("Well."))
    mcp = hosted(things, requireApproval="always")
    saw = agents("approval", stream=stream, mcp=mcp, approve=approve, callback=callback)
    assert (saw["answer"], saw["asked"]) == ("Well.", ["put"])
    said = backend.last["messages"][-1]["content"]
    if approve:
        assert said == "put x"
    else:
        assert said.startswith("The user did not approve this call.")
        assert ("Reason: not today" in said) == callback


@both
def test_a_session(agents: Suite, backend: FakeBackend, stream: bool) -> None:
    """Two runs share a conversation of the server: every item is in it once and in order, and the last can be taken."""
    backend.answer(*tool_calls(("c1", "weather", '{"city": "Rome"}')))
    backend.answer(*text("Sunny."))
    backend.answer(*text("Still."))
    saw = agents("session", stream=stream)
    assert saw["answers"] == ["Sunny.", "Still."]
    assert saw["items"] == ["message", "function_call", "function_call_output", "message", "message", "message"]
    assert saw["latest"] == ["message", "message"]
    assert saw["contents"]
    assert (saw["popped"], saw["left"]) == ("assistant", 5)
    assert roles(backend) == ["user", "assistant", "tool", "assistant", "user"]


@both
def test_a_session_with_tools_of_the_server(agents: Suite, backend: FakeBackend, things: Thread, stream: bool) -> None:
    """What the server's tools said is in the conversation, and the next run's model is shown it."""
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 2}')))
    backend.answer(*text("3."))
    backend.answer(*text("Still 3."))
    saw = agents("session", stream=stream, mcp=hosted(things))
    assert saw["answers"] == ["3.", "Still 3."]
    assert saw["items"] == ["message", "mcp_list_tools", "mcp_call", "message", "message", "message"]
    assert roles(backend) == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize("conversation", [True, False])
def test_runs_that_the_server_continues(agents: Suite, backend: FakeBackend, conversation: bool) -> None:
    """By the last response's id, or in a conversation: the SDK sends what is new, and the model is shown all."""
    backend.answer(*tool_calls(("c1", "weather", '{"city": "Rome"}')))
    backend.answer(*text("Sunny."))
    backend.answer(*text("Still."))
    assert agents("continued", conversation=conversation)["answers"] == ["Sunny.", "Still."]
    assert roles(backend) == ["user", "assistant", "tool", "assistant", "user"]


@both
def test_a_refused_request(agents: Suite, backend: FakeBackend, stream: bool) -> None:
    """Keeps its status."""
    backend.refuse(400, {"error": {"message": "No such thing.", "code": "bad"}})
    with pytest.raises(Refused) as caught:
        agents("functions", stream=stream)
    assert caught.value.error["status"] == 400
    assert "No such thing." in caught.value.error["message"]


def test_a_stream_that_breaks(agents: Suite, backend: FakeBackend) -> None:
    """Never looks like one that has ended well."""
    backend.answer(delta(content="It was a"), Break())
    with pytest.raises(Refused):
        agents("functions", stream=True)
