"""Input items: every type is read, nulls and unknown fields do no harm, and what we wrote comes back."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import InvalidRequest
from antiphon.wire import items as ours
from antiphon.wire.inputs import InputItem, Message, check_items, named_items, read_items

ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": "x"},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "x"},
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
    {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "status": "completed"},
    {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}, "status": "completed"},
    {"type": "computer_call", "id": "cu_1", "call_id": "c", "pending_safety_checks": [], "status": "completed"},
    {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
    {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c", "status": "completed"},
    {"type": "image_generation_call", "id": "ig_1", "result": None, "status": "completed"},
    {
        "type": "local_shell_call",
        "id": "ls_1",
        "call_id": "c",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    },
    {"type": "local_shell_call_output", "id": "ls_1", "output": "x"},
    {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
    {"type": "shell_call_output", "call_id": "c", "output": []},
    {
        "type": "apply_patch_call",
        "call_id": "c",
        "operation": {"type": "delete_file", "path": "a"},
        "status": "completed",
    },
    {"type": "apply_patch_call_output", "call_id": "c", "status": "completed"},
    {"type": "mcp_list_tools", "id": "ml_1", "server_label": "s", "tools": [{"name": "t", "input_schema": {}}]},
    {"type": "mcp_approval_request", "id": "ma_1", "arguments": "{}", "name": "t", "server_label": "s"},
    {"type": "mcp_approval_response", "approval_request_id": "ma_1", "approve": False},
    {"type": "mcp_call", "id": "mc_1", "arguments": "{}", "name": "t", "server_label": "s"},
    {"type": "tool_search_call", "arguments": {"q": 1}},
    {"type": "tool_search_output", "tools": []},
    {"type": "additional_tools", "role": "developer", "tools": []},
    {"type": "configuration_update", "reasoning": {"effort": "low"}},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "compaction_trigger"},
    {"type": "item_reference", "id": "msg_1"},
    {"type": "program", "id": "p_1", "call_id": "c", "code": "1", "fingerprint": "f"},
    {"type": "program_output", "id": "po_1", "call_id": "c", "result": "1", "status": "completed"},
]
#: Fields that the API lets be null, on any item that has them.
NULLABLE = [
    "id",
    "status",
    "phase",
    "namespace",
    "async",
    "caller",
    "error",
    "reason",
    "results",
    "outputs",
    "execution",
    "action",
]


def test_every_type_of_the_union_has_an_example() -> None:
    """The examples here cover all item types there are."""
    assert {item["type"] for item in ITEMS} == {struct.__struct_config__.tag for struct in typing.get_args(InputItem)}


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["type"])
def test_every_type_is_read(item: dict[str, Any]) -> None:
    """An item of each type is read, with nulls where allowed and with fields nobody knows."""
    [read] = read_items([item])
    nulls = {name: None for name in NULLABLE if name not in item}
    assert read_items([{**item, **nulls, "vendor_field": {"deep": [None]}}]) == [read]


WRITTEN: st.SearchStrategy[ours.Item] = st.one_of(
    st.builds(
        ours.Message,
        id=st.text(),
        status=st.sampled_from(["completed", "incomplete"]),
        role=st.just("assistant"),
        content=st.lists(
            st.builds(
                ours.OutputText, text=st.text(), annotations=st.just([{"type": "url_citation"}]), logprobs=st.just([])
            )
            | st.builds(ours.Refusal, refusal=st.text()),
            max_size=3,
        ),
    ),
    st.builds(
        ours.Reasoning, id=st.text(), content=st.just([ours.ReasoningText(text="hm")]), encrypted_content=st.just("x")
    ),
    st.builds(ours.Reasoning, id=st.text(), summary=st.just([ours.SummaryText(text="s")])),
    st.builds(
        ours.FunctionCall,
        id=st.text(),
        call_id=st.text(),
        name=st.text(),
        arguments=st.text(),
        status=st.just("completed"),
    ),
    st.builds(
        ours.CustomToolCall,
        id=st.text(),
        call_id=st.text(),
        name=st.text(),
        input=st.text(),
        status=st.just("completed"),
        namespace=st.text(),
    ),
)


@given(st.lists(WRITTEN, max_size=4))
def test_what_we_wrote_is_read_back(written: list[ours.Item]) -> None:
    """Every output item of ours is accepted as input just as it was sent."""
    read = read_items(msgspec.to_builtins(written))
    assert [item.id for item in read] == [item.id for item in written]


@pytest.mark.parametrize(
    ("item", "param", "words"),
    [
        ({"type": "telepathy"}, "input[0].type", '"telepathy" is not one of the supported values'),
        ({"type": 3}, "input[0].type", "expected string, got integer 3"),
        ({}, "input[0].type", "Missing required parameter"),
        ("hi", "input[0]", 'expected object, got string "hi"'),
        (None, "input[0]", "expected object, got null"),
        ({"role": "user"}, "input[0].content", "Missing required parameter"),
        ({"role": "user", "content": None}, "input[0].content", "got null"),
        ({"role": "king", "content": "x"}, "input[0].role", '"king"'),
        ({"role": "user", "content": [{"text": "x"}]}, "input[0].content[0].type", "Missing"),
        ({"role": "user", "content": [{"type": "smell"}]}, "input[0].content[0].type", '"smell"'),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": {"url": "x"}}]},
            "input[0].content[0].image_url",
            "got object",
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": {}},
            "input[0].arguments",
            "expected string, got object",
        ),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "input[0].call_id", "Missing"),
        ({"type": "function_call_output", "call_id": "c"}, "input[0].output", "Missing"),
        ({"type": "item_reference", "id": None}, "input[0].id", "Missing"),
    ],
)
def test_a_malformed_item_names_its_field(item: Any, param: str, words: str) -> None:
    """An item of a wrong shape is a 400 with the path of the field and what is wrong with it."""
    with pytest.raises(InvalidRequest) as caught:
        check_items(read_items([item]))
    assert caught.value.param == param
    assert words in caught.value.message


def test_types_that_may_be_left_out() -> None:
    """Easy messages and references may come without a type, or with null; the items themselves are left alone."""
    sent: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"id": "msg_1", "type": None},
        {"type": None, "role": "user", "content": "x"},
    ]
    assert [item["type"] for item in named_items(sent)] == ["message", "item_reference", "message"]
    assert sent[1]["type"] is None
    assert isinstance(read_items(sent)[2], Message)
