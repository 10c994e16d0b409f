"""The Agents SDK keeps its sessions in conversations: ``OpenAIConversationsSession`` as its users have it."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.upstreams import FakeBackend, delta, text, tool_calls

agents: Any = pytest.importorskip("agents")

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_tracing() -> None:
    agents.set_tracing_disabled(True)


async def test_a_session(async_client: openai.AsyncOpenAI, backend: FakeBackend) -> None:
    """Runs with tools add their items, 20 at a time; the next run's model gets all of it; pop and clear work."""

    @agents.function_tool
    def look(at: str) -> str:
        """Looks."""
        return f"{at} is green"

    session = agents.OpenAIConversationsSession(openai_client=async_client)
    model = agents.OpenAIResponsesModel(model="m", openai_client=async_client)
    agent = agents.Agent(name="a", instructions="be short", model=model, tools=[look])
    backend.answer(delta(reasoning_content="hm"), *tool_calls(("c1", "look", '{"at":"it"}')))
    backend.answer(*text("It is green."))
    first = await agents.Runner.run(agent, "How is it?", session=session)
    assert first.final_output == "It is green."
    backend.answer(*text("Still."))
    second = await agents.Runner.run(agent, "And now?", session=session)
    assert second.final_output == "Still."
    roles = [message["role"] for message in backend.last["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
    kept = await session.get_items()
    assert [item["type"] for item in kept] == [
        *("message", "reasoning", "function_call", "function_call_output", "message"),
        *("message", "message"),
    ]
    assert all(isinstance(item["content"], list) for item in kept if item["type"] == "message")
    assert [item["type"] for item in await session.get_items(limit=2)] == ["message", "message"]
    popped = await session.pop_item()
    assert popped["content"][0]["text"] == "Still."
    assert await session.get_items() == kept[:-1]
    await session.add_items([{"role": "user", "content": f"{n}"} for n in range(45)])
    assert [item["content"][0]["text"] for item in (await session.get_items())[-45:]] == [str(n) for n in range(45)]
    conversation_id = await session._get_session_id()
    await session.clear_session()
    with pytest.raises(openai.NotFoundError):
        await async_client.conversations.retrieve(conversation_id)


async def test_a_conversation_of_the_server(async_client: openai.AsyncOpenAI, backend: FakeBackend) -> None:
    """Runs that name a conversation leave the keeping to the server."""
    made = await async_client.conversations.create()
    model = agents.OpenAIResponsesModel(model="m", openai_client=async_client)
    agent = agents.Agent(name="a", model=model)
    for word in ("one", "two"):
        await agents.Runner.run(agent, word, conversation_id=made.id)
    assert [message["content"] for message in backend.last["messages"]] == ["one", "ok", "two"]
    listed = [item async for item in async_client.conversations.items.list(made.id)]
    assert len(listed) == 4
