"""The Agents SDK drives our loop: hosted MCP with and without approvals, file search, handoffs, streamed and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.tools.mcp.threads import Thread, running
from tests.upstreams import FakeBackend, text, tool_calls

agents: Any = pytest.importorskip("agents")

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_tracing() -> None:
    agents.set_tracing_disabled(True)


@pytest.fixture(scope="module")
def things() -> Iterator[Thread]:
    """A real MCP server."""
    with running() as thread:
        yield thread


def agent(client: openai.AsyncOpenAI, name: str = "a", **more: Any) -> Any:
    return agents.Agent(name=name, model=agents.OpenAIResponsesModel(model="m", openai_client=client), **more)


def hosted(things: Thread, **more: Any) -> Any:
    config = {"type": "mcp", "server_label": "s", "server_url": things.url, "require_approval": "never"}
    return agents.HostedMCPTool(tool_config={**config, **more.pop("config", {})}, **more)


async def test_hosted_mcp(async_client: openai.AsyncOpenAI, backend: FakeBackend, things: Thread) -> None:
    """The server makes the calls, and the SDK sees them among the items of the run; streamed, in its events."""
    one = agent(async_client, tools=[hosted(things)])
    for streamed in (False, True):
        backend.answer(*tool_calls(("c1", "add", '{"a": 20, "b": 22}')))
        backend.answer(*text("It is 42."))
        if streamed:
            result = agents.Runner.run_streamed(one, "What is 20 + 22?")
            async for _ in result.stream_events():
                pass
        else:
            result = await agents.Runner.run(one, "What is 20 + 22?")
        assert result.final_output == "It is 42."
        assert backend.last["messages"][-1]["content"] == "42"
        kinds = [item.raw_item.type for item in result.new_items]
        assert kinds == ["mcp_list_tools", "mcp_call", "message"]


@pytest.mark.parametrize("approve", [True, False])
async def test_approvals(
    async_client: openai.AsyncOpenAI, backend: FakeBackend, things: Thread, *, approve: bool
) -> None:
    """The SDK asks its callback, sends the answer, and the run goes on in the same call of ``run``."""
    asked: list[str] = []

    def decide(request: Any) -> Any:
        asked.append(request.data.name)
        return {"approve": approve} if approve else {"approve": False, "reason": "not today"}

    tool = hosted(things, config={"require_approval": "always"}, on_approval_request=decide)
    backend.answer(*tool_calls(("c1", "put", '{"text": "x"}')))
    backend.answer(*text("Well."))
    result = await agents.Runner.run(agent(async_client, tools=[tool]), "Put x.")
    assert result.final_output == "Well."
    assert asked == ["put"]
    said = "put x" if approve else "The user did not approve this call. Reason: not today"
    assert backend.last["messages"][-1]["content"] == said


async def test_a_handoff(async_client: openai.AsyncOpenAI, backend: FakeBackend, things: Thread) -> None:
    """One agent hands over to another, whose hosted tools then run here."""
    second = agent(async_client, name="sums", tools=[hosted(things)])
    first = agent(async_client, name="door", handoffs=[second])
    backend.answer(*tool_calls(("h1", "transfer_to_sums", "{}")))
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 1}')))
    backend.answer(*text("2."))
    result = await agents.Runner.run(first, "1 + 1?")
    assert (result.final_output, result.last_agent.name) == ("2.", "sums")


async def test_a_session_with_tools_of_the_server(
    async_client: openai.AsyncOpenAI, backend: FakeBackend, things: Thread
) -> None:
    """What the server's tools said is in the conversation, and the next run's model is shown it."""
    session = agents.OpenAIConversationsSession(openai_client=async_client)
    one = agent(async_client, tools=[hosted(things)])
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 2}')))
    backend.answer(*text("3."))
    await agents.Runner.run(one, "1 + 2?", session=session)
    backend.answer(*text("Still 3."))
    result = await agents.Runner.run(one, "Sure?", session=session)
    assert result.final_output == "Still 3."
    roles = [message["role"] for message in backend.last["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_file_search(async_client: openai.AsyncOpenAI, backend: FakeBackend, *, streamed: bool) -> None:
    """Its tool searches our stores; the results and the citation are there for who looks."""
    file = await async_client.files.create(file=("moon.md", b"Aurora has 42 inhabitants."), purpose="assistants")
    store = await async_client.vector_stores.create(name="moon")
    await async_client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=10)
    search = agents.FileSearchTool(vector_store_ids=[store.id], max_num_results=3, include_search_results=True)
    one = agent(async_client, tools=[search])
    backend.answer(*tool_calls(("c1", "file_search", '{"queries": ["inhabitants of Aurora"]}')))
    backend.answer(*text(f"It has 42 <|{file.id}|>."))
    if streamed:
        result = agents.Runner.run_streamed(one, "How many?")
        async for _ in result.stream_events():
            pass
    else:
        result = await agents.Runner.run(one, "How many?")
    assert result.final_output == "It has 42."
    found, message = (item.raw_item for item in result.new_items)
    assert [(one.file_id, one.text) for one in found.results] == [(file.id, "Aurora has 42 inhabitants.")]
    assert [one.file_id for one in message.content[0].annotations] == [file.id]
