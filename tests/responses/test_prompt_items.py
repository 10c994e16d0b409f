"""Each kind of item, and what the model reads of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.config import UpstreamConfig
from antiphon.errors import InvalidRequest, NotFound
from antiphon.responses.prompt import render
from antiphon.responses.toolbox import Toolbox
from antiphon.wire.requests import read_create

USER = {"role": "user", "content": "hi"}
ASKED = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": 1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "a cat"}
LOOKED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
TOOL = {"role": "tool", "tool_call_id": "c1", "content": "a cat"}


def messages(
    items: Any, history: tuple[Any, ...] = (), tools: Any = None, config: dict[str, Any] | None = None, **fields: Any
) -> list[dict[str, Any]]:
    """The chat messages for this input."""
    request = read_create({"model": "m", "input": items, "tools": tools, **fields})
    upstream = UpstreamConfig(url="http://x/v1", **(config or {}))
    opened = {"sealed": "opened"}
    chat = render(request, Toolbox.of(tools), upstream, "up", history=history, open_sealed=opened.get)
    found: list[dict[str, Any]] = chat["messages"]
    return found


def assistant(content: str, *calls: dict[str, Any]) -> dict[str, Any]:
    """An assistant message."""
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}


def test_a_string_stays_a_string() -> None:
    """String input and instructions are a user and a system message."""
    assert messages("hi", instructions="be brief") == [{"role": "system", "content": "be brief"}, ASKED]


@pytest.mark.parametrize("knows", [True, False])
def test_roles(knows: bool) -> None:
    """Developer messages keep their role only where the back end knows it."""
    said = messages(
        [{"role": "developer", "content": "d"}, {"role": "system", "content": "s"}, USER],
        config={"developer_role": knows},
    )
    assert [message["role"] for message in said] == ["developer" if knows else "system", "system", "user"]


def test_parts_of_a_user_message() -> None:
    """Text, pictures and sound keep their order; one text alone is a string."""
    parts = [
        {"type": "input_text", "text": "see", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": PNG, "detail": "auto", "file_id": None},
        {"type": "input_image", "image_url": PNG, "detail": "original"},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    ]
    [message] = messages([{"type": "message", "role": "user", "content": parts}])
    assert message["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    ]
    assert messages([{"role": "user", "content": parts[:1]}])[0]["content"] == "see"


def test_replayed_answers() -> None:
    """Answers come back as text, refusals too; an empty one is left out; phase and annotations do not matter."""
    text = {"type": "output_text", "text": "yes", "annotations": [], "logprobs": None}
    said = messages(
        [
            USER,
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "final_answer",
                "content": [text],
            },
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": []},
            {"role": "assistant", "content": None},
            USER,
        ]
    )
    assert said == [ASKED, assistant("yes"), assistant("no"), ASKED]


def test_pictures_outside_user_messages_follow_in_one() -> None:
    """A picture in a system message is shown in a user message after it."""
    said = messages(
        [
            {
                "role": "system",
                "content": [{"type": "input_text", "text": "s"}, {"type": "input_image", "image_url": PNG}],
            }
        ]
    )
    assert said == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
    ]


def test_a_call_and_its_result() -> None:
    """A call is an assistant message with empty content, its result a tool message."""
    assert messages([USER, CALL, RESULT]) == [ASKED, assistant("", LOOKED), TOOL]


def test_parallel_calls_share_a_message() -> None:
    """Calls in a row are one assistant message with the text directly before them; results keep the calls' order."""
    second = {**CALL, "call_id": "c2"}
    said = messages([USER, {"role": "assistant", "content": "wait"}, CALL, second, {**RESULT, "call_id": "c2"}, RESULT])
    assert said == [ASKED, assistant("wait", LOOKED, {**LOOKED, "id": "c2"}), TOOL, {**TOOL, "tool_call_id": "c2"}]


def test_rounds_stay_apart() -> None:
    """A call after a result is a round of its own."""
    said = messages([USER, CALL, RESULT, {**CALL, "call_id": "c2"}, {**RESULT, "call_id": "c2"}])
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant", "tool"]


def test_results_move_to_their_calls() -> None:
    """A message that a client put between a call and its result comes after the result."""
    between = {"role": "assistant", "content": "hm"}
    assert messages([USER, CALL, between, RESULT]) == [ASKED, assistant("", LOOKED), TOOL, assistant("hm")]


def test_results_of_stored_calls() -> None:
    """A result in the input answers a call of the history."""
    assert messages([RESULT], history=({**USER, "type": "message"}, CALL)) == [ASKED, assistant("", LOOKED), TOOL]


def test_an_id_that_comes_again() -> None:
    """Back ends that number calls from zero in every answer are understood: the earliest open call is meant."""
    again = {**RESULT, "output": "a dog"}
    said = messages([USER, CALL, RESULT, CALL, again])
    assert said == [ASKED, assistant("", LOOKED), TOOL, assistant("", LOOKED), {**TOOL, "content": "a dog"}]
    assert messages([USER, CALL, CALL, RESULT, again]) == said


def test_calls_without_arguments() -> None:
    """A call written without any arguments is shown with an empty object, which strict back ends need."""
    assert messages([USER, {**CALL, "arguments": ""}, RESULT])[1]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([USER, CALL], "No tool output found for function call c1."),
        ([USER, CALL, USER], "No tool output found for function call c1."),
        ([USER, RESULT], "No tool call found for function call output with call_id c1."),
        ([USER, RESULT, CALL], "No tool call found for function call output with call_id c1."),
        ([USER, CALL, RESULT, RESULT], "No tool call found for function call output with call_id c1."),
        (
            [USER, {"type": "shell_call", "call_id": "s", "action": {"commands": []}}],
            "No tool output found for shell call s.",
        ),
    ],
)
def test_calls_and_results_must_match(items: list[Any], message: str) -> None:
    """A call without a result and a result without a call are refused as OpenAI refuses them."""
    with pytest.raises(InvalidRequest) as caught:
        messages(items)
    assert (caught.value.message, caught.value.param) == (message, "input")


def test_calls_that_wait_or_were_cut() -> None:
    """A call cut off while it was written is not shown; one whose result may come later is shown as pending."""
    assert messages([USER, {**CALL, "status": "incomplete"}]) == [ASKED]
    assert messages([USER, {**CALL, "async": True}])[-1] == {**TOOL, "content": "The result is not available yet."}
    late = {"type": "function_call_output", "name": "look", "output": "a cat"}
    assert messages([USER, late])[-1]["content"] == [
        {"type": "text", "text": "Result of look:"},
        {"type": "text", "text": "a cat"},
    ]


def test_results_with_pictures_and_files() -> None:
    """Pictures of results follow all results of their message; text files are text, several texts stay parts."""
    output = [
        {"type": "input_text", "text": "one"},
        {"type": "input_image", "image_url": PNG},
        {"type": "input_file", "filename": "a.md", "file_data": "aGk="},
    ]
    second = {**CALL, "call_id": "c2"}
    said = messages(
        [USER, CALL, second, {**RESULT, "output": output}, {**RESULT, "call_id": "c2", "output": [output[0]]}]
    )
    assert said[2:] == [
        {
            **TOOL,
            "content": [
                {"type": "text", "text": "one"},
                {"type": "text", "text": "[image]"},
                {"type": "text", "text": "File: a.md\n\nhi"},
            ],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "one"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
    ]


KINDS: list[tuple[dict[str, Any], dict[str, Any], str, dict[str, Any], str]] = [
    (
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        "patch",
        {"input": "*** Begin"},
        "ok",
    ),
    (
        {
            "type": "shell_call",
            "call_id": "c",
            "action": {"commands": ["ls"], "timeout_ms": 5, "max_output_length": None},
        },
        {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "timeout"}}],
        },
        "shell",
        {"commands": ["ls"], "timeout_ms": 5},
        '[{"outcome": {"type": "timeout"}, "stderr": "", "stdout": "a"}]',
    ),
    (
        {
            "type": "local_shell_call",
            "id": "lsh",
            "call_id": "c",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
        },
        {"type": "local_shell_call_output", "id": "lsh", "output": "a"},
        "local_shell",
        {"command": ["ls"], "env": {}},
        "a",
    ),
    (
        {
            "type": "apply_patch_call",
            "call_id": "c",
            "status": "completed",
            "operation": {"type": "delete_file", "path": "a"},
        },
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": None},
        "apply_patch",
        {"operation": {"type": "delete_file", "path": "a"}},
        '{"output": null, "status": "failed"}',
    ),
    (
        {"type": "computer_call", "call_id": "c", "pending_safety_checks": [], "action": {"type": "wait"}},
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": PNG}},
        "computer",
        {"action": {"type": "wait"}},
        "[image]",
    ),
]


@pytest.mark.parametrize(
    ("call", "output", "name", "arguments", "result"),
    KINDS,
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else None,
)
def test_other_calls_are_functions_to_the_model(
    call: dict[str, Any], output: dict[str, Any], name: str, arguments: dict[str, Any], result: str
) -> None:
    """Custom, shell, patch and computer calls are shown as function calls with their results."""
    said = messages([USER, call, output])
    [shown] = said[1]["tool_calls"]
    assert (shown["function"]["name"], json.loads(shown["function"]["arguments"])) == (name, arguments)
    assert said[2] == {"role": "tool", "tool_call_id": "c", "content": result}


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ({"output": "done"}, "done"),
        ({"output": None, "error": "broke"}, "broke"),
        (
            {"output": None, "error": {"type": "http_error", "code": 500, "message": "x"}},
            '{"code": 500, "message": "x", "type": "http_error"}',
        ),
        ({}, ""),
    ],
)
def test_mcp_calls_carry_their_result(outcome: dict[str, Any], text: str) -> None:
    """A call that was made for the model is shown with what it gave, or why it failed."""
    call = {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "do.it", "arguments": "", **outcome}
    assert messages([USER, call])[1:] == [
        assistant("", {"id": "mcp_1", "type": "function", "function": {"name": "do_it", "arguments": "{}"}}),
        {"role": "tool", "tool_call_id": "mcp_1", "content": text},
    ]


def test_calls_use_the_names_that_are_offered() -> None:
    """A call of a namespaced or renamed tool is shown under the name the model knows."""
    tools = [{"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "look"}]}]
    said = messages([USER, {**CALL, "namespace": "ns"}, RESULT], tools=tools)
    assert said[1]["tool_calls"][0]["function"]["name"] == "ns__look"


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
SEALED = {
    "type": "reasoning",
    "id": "rs_2",
    "summary": [{"type": "summary_text", "text": "s"}],
    "encrypted_content": "sealed",
}
FOREIGN = {**SEALED, "encrypted_content": "from elsewhere"}


@pytest.mark.parametrize(
    ("thoughts", "shown"),
    [([THOUGHT], "hm"), ([SEALED], "opened"), ([FOREIGN], None), ([THOUGHT, SEALED], "hm\n\nopened")],
)
def test_reasoning_goes_back_where_it_is_wanted(thoughts: list[Any], shown: str | None) -> None:
    """Reasoning of this turn is a field of the assistant message after it, if the back end has such a field."""
    said = messages([USER, *thoughts, CALL, RESULT], config={"send_reasoning": "reasoning_content"})
    assert said[1].get("reasoning_content") == shown
    assert "reasoning_content" not in messages([USER, *thoughts, CALL, RESULT])[1]


@pytest.mark.parametrize(
    ("context", "shown"), [(None, False), ("auto", False), ("current_turn", False), ("all_turns", True)]
)
def test_reasoning_of_earlier_turns(context: str | None, shown: bool) -> None:
    """Earlier turns' reasoning is shown again only when all turns are asked for."""
    said = messages(
        [USER, THOUGHT, {"role": "assistant", "content": "a"}, USER],
        config={"send_reasoning": "reasoning"},
        reasoning={"context": context},
    )
    assert ("reasoning" in said[1]) is shown


def test_summaries_of_compacted_turns() -> None:
    """A compaction of ours is shown as text; one that cannot be opened is left out."""
    ours = {"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed"}
    foreign = {"type": "compaction", "encrypted_content": "?"}
    assert messages([ours, foreign, USER]) == [
        {"role": "user", "content": "Summary of the conversation so far:\n\nopened"},
        ASKED,
    ]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": None}},
        {"type": "file_search_call", "id": "fs", "status": "completed", "queries": [], "results": None},
        {
            "type": "code_interpreter_call",
            "id": "ci",
            "status": "completed",
            "code": "1",
            "container_id": "c",
            "outputs": None,
        },
        {"type": "image_generation_call", "id": "ig", "status": "completed", "result": None},
        {"type": "mcp_list_tools", "id": "ml", "server_label": "s", "tools": [], "error": None},
        {"type": "mcp_approval_request", "id": "ar", "server_label": "s", "name": "n", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "ar", "approve": True},
        {"type": "tool_search_call", "arguments": {}, "call_id": None},
        {"type": "tool_search_output", "tools": []},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "program", "id": "p", "call_id": "pc", "code": "1", "fingerprint": "f"},
        {"type": "program_output", "id": "po", "call_id": "pc", "result": "1", "status": "completed"},
    ],
    ids=lambda item: item["type"],
)
def test_receipts_are_not_shown(item: dict[str, Any]) -> None:
    """Receipts of hosted tools are accepted and do not break a run of calls."""
    assert messages([USER, item]) == [ASKED]
    second = {**CALL, "call_id": "c2"}
    said = messages([USER, CALL, item, second, RESULT, {**RESULT, "call_id": "c2"}])
    assert [len(message.get("tool_calls", ())) for message in said] == [0, 2, 0, 0]


def test_references_must_have_been_replaced() -> None:
    """A reference that reaches the prompt was not found."""
    with pytest.raises(NotFound, match="msg_1"):
        messages([USER, {"type": "item_reference", "id": "msg_1"}])


def test_nothing_to_answer() -> None:
    """Input without anything a model could read is refused."""
    with pytest.raises(InvalidRequest, match="nothing"):
        messages([{"type": "mcp_list_tools", "id": "ml", "server_label": "s", "tools": []}])


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_image", "file_id": "file-1", "detail": "auto"}, "input[0].content[0].file_id"),
        ({"type": "input_image", "detail": "auto"}, "input[0].content[0].image_url"),
        ({"type": "input_file", "file_id": "file-1"}, "input[0].content[0].file_id"),
        ({"type": "input_file"}, "input[0].content[0]"),
    ],
)
def test_parts_that_cannot_be_shown(part: dict[str, Any], param: str) -> None:
    """A part without content of its own is refused with the path of what is missing or not available."""
    with pytest.raises(InvalidRequest) as caught:
        messages([{"role": "user", "content": [part]}])
    assert caught.value.param == param
