"""Laws of the prompt: whatever is sent, strict back ends take what comes of it, and nothing that was said is lost."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config import UpstreamConfig
from antiphon.responses.prompt import drop_oldest_turn, render
from antiphon.responses.toolbox import Toolbox
from antiphon.tape.canon.chat import canonical
from antiphon.wire.requests import CreateResponse, read_create
from tests.responses.conversations import ItemDict, conversations
from tests.responses.strict import check

CONFIGS = st.builds(
    UpstreamConfig,
    url=st.just("http://x/v1"),
    developer_role=st.booleans(),
    send_reasoning=st.sampled_from(["", "reasoning_content", "reasoning"]),
    max_tokens_field=st.sampled_from(["max_completion_tokens", "max_tokens"]),
)
PLAIN = UpstreamConfig(url="http://x/v1")


def request(**fields: Any) -> CreateResponse:
    """A request that was read."""
    return read_create({"model": "m", "input": "hi", **fields})


def prompt(
    items: list[ItemDict], history: list[ItemDict] | None = None, config: UpstreamConfig = PLAIN, **fields: Any
) -> dict[str, Any]:
    """The chat request for these items."""
    asked = request(input=items, **fields)
    toolbox = Toolbox.of(asked.tools, asked.tool_choice, asked.parallel_tool_calls)
    return render(asked, toolbox, config, "up", history=history or [], open_sealed=lambda sealed: f"<{sealed}>")


def texts(message: dict[str, Any]) -> str:
    """All text of a message."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@given(conversations(), CONFIGS)
def test_strict_back_ends_take_every_prompt(items: list[ItemDict], config: UpstreamConfig) -> None:
    """Any mixture of items renders to a request that the strictest back end accepts."""
    check(prompt(items, config=config, instructions="be brief"))


@given(conversations(), CONFIGS)
def test_a_prompt_is_the_same_every_time(items: list[ItemDict], config: UpstreamConfig) -> None:
    """Rendering twice gives the same bytes and leaves the items alone."""
    before = copy.deepcopy(items)
    first = json.dumps(prompt(items, config=config))
    assert json.dumps(prompt(copy.deepcopy(items), config=config)) == first
    assert items == before


@given(
    st.lists(st.builds(dict, role=st.sampled_from(["user", "assistant", "system", "developer"]), content=st.text())),
    CONFIGS,
)
def test_receipts_change_nothing(said: list[ItemDict], config: UpstreamConfig) -> None:
    """A conversation of texts alone reads the same as one with an item in it that is not shown."""
    items = [{"role": "user", "content": "hi"}, *said]
    assert prompt([*items, {"type": "web_search_call"}], config=config) == prompt(items, config=config)


@given(conversations(), st.data())
def test_history_and_input_are_one_conversation(items: list[ItemDict], data: st.DataObject) -> None:
    """Where the stored part ends and the new part begins makes no difference to the prompt."""
    cut = data.draw(st.integers(0, len(items)))
    typed = request(input=items).input_items()
    assert prompt(items[cut:], history=typed[:cut]) == prompt(items)


@given(conversations())
def test_everything_said_is_shown(items: list[ItemDict]) -> None:
    """Texts of users and results of calls appear, each call once and each result with its call."""
    messages = prompt(items)["messages"]
    shown = "\n".join(texts(message) for message in messages)
    for item in items:
        if isinstance(item.get("content"), str) and item["role"] != "assistant":
            assert item["content"] in shown
    calls = [
        item for item in items if item["type" if "type" in item else "role"].endswith("_call") and "call_id" in item
    ]
    mcp = [item for item in items if item.get("type") == "mcp_call"]
    assert sum(len(message.get("tool_calls", ())) for message in messages) == len(calls) + len(mcp)
    assert sum(message["role"] == "tool" for message in messages) == len(calls) + len(mcp)


@given(conversations())
def test_prompts_keep_their_canonical_form(items: list[ItemDict]) -> None:
    """The canonical form of a prompt is its own canonical form."""
    once = canonical(prompt(items))
    assert canonical(once) == once


@given(st.lists(conversations(max_size=6), min_size=1, max_size=3))
def test_dropping_turns_ends_with_the_last_question(talks: list[list[ItemDict]]) -> None:
    """Turn after turn can be dropped; each rest is a valid prompt, and the last user message is always there."""
    items = [item for talk in talks for item in talk]
    last = next(item for item in reversed(items) if item.get("role") == "user")
    rest: list[ItemDict] | None = items
    while rest is not None:
        check(prompt(rest))
        assert any(item is last for item in rest)
        shorter = drop_oldest_turn(rest)
        assert shorter is None or len(shorter) < len(rest)
        rest = shorter


@given(conversations(), conversations())
def test_dropping_keeps_order_and_instructions(older: list[ItemDict], newer: list[ItemDict]) -> None:
    """The oldest turn goes; what is left stands in its old order, and system messages are never dropped."""
    items = [*older, {"role": "assistant", "content": "a"}, *newer]
    rest = drop_oldest_turn(items)
    assert rest is not None
    assert all(item is not items[0] for item in rest)
    standing = [item for item in items if item.get("role") in ("system", "developer")]
    assert sum(item.get("role") in ("system", "developer") for item in rest) == len(standing)
    left = iter(items)
    assert all(any(item is kept for item in left) for kept in rest)


def test_a_local_shell_result_goes_with_its_call() -> None:
    """A result that names its call by the item's id is dropped with it."""
    call = {"type": "local_shell_call", "id": "ls_1", "call_id": "c", "action": {"command": ["ls"]}}
    result = {"type": "local_shell_call_output", "id": "ls_1", "output": "a"}
    user = {"role": "user", "content": "x"}
    assert drop_oldest_turn([user, call, user, result]) == [user]


@pytest.mark.parametrize("items", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": "x"}]])
def test_nothing_to_drop(items: list[ItemDict]) -> None:
    """Without an older turn there is nothing to drop."""
    assert drop_oldest_turn(items) is None
