"""Every kind of input item: what the model is told of it, and that ``input_items`` lists it as it was sent.

The items carry what real clients send along: explicit nulls, fields nobody knows, ids from elsewhere.
"""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest

from tests.api.talk import ask, dump, refused
from tests.server import Server
from tests.upstreams import FakeBackend, delta, text, tool_calls

covers = pytest.mark.covers

USER: dict[str, Any] = {"role": "user", "content": "go on"}
ASKED = {"role": "user", "content": "go on"}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAAAAACwAAAAAAQABAAACAkQBADs="
PICTURE = {"type": "image_url", "image_url": {"url": PIXEL}}
WITH_STATUS = {"message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
CSV = base64.b64encode(b"a,b\n1,2\n").decode()


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    """An assistant message with one tool call, as the model gets it."""
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def result(content: Any, call_id: str = "c1") -> dict[str, Any]:
    """A tool message, as the model gets it."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def listed(client: openai.OpenAI, response_id: str) -> list[dict[str, Any]]:
    """What ``input_items`` says was sent, oldest first, as JSON."""
    page = client.responses.input_items.with_raw_response.list(response_id, order="asc", limit=100)
    found: list[dict[str, Any]] = page.http_response.json()["data"]
    return found


def check(client: openai.OpenAI, backend: FakeBackend, items: list[Any], messages: list[Any]) -> None:
    """The model gets exactly these messages, and the items are listed with everything they were sent with."""
    response = ask(client, [*items, USER])
    assert backend.last["messages"] == [*messages, ASKED]
    for sent, kept in zip([*items, USER], listed(client, response.id), strict=True):
        expected = {"type": "message", **{key: value for key, value in sent.items() if value is not None}}
        if isinstance(expected.get("content"), str):
            kept["content"] = kept["content"][0]["text"]
        assert kept["id"]
        assert {key: kept[key] for key in expected} == expected
        assert kept["type"] not in WITH_STATUS or kept["status"] == "completed"
    ask(client, "and on", previous_response_id=response.id)
    assert backend.last["messages"][: len(messages)] == messages, "the chain says the same"


@covers("item:string")
def test_string(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Plain text is one user message, and listed as one with an id."""
    response = ask(client, "hello")
    assert backend.last["messages"] == [{"role": "user", "content": "hello"}]
    (item,) = listed(client, response.id)
    assert item.pop("id").startswith("msg_")
    parts = [{"type": "input_text", "text": "hello"}]
    assert item == {"type": "message", "role": "user", "status": "completed", "content": parts}


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        pytest.param(
            [
                {"role": "developer", "content": "rule"},
                {"role": "system", "content": "law", "type": None, "id": None},
                {"role": "user", "content": "q", "phase": None, "made_up": 1},
                {"role": "assistant", "content": "a", "phase": "final_answer"},
            ],
            [
                {"role": "system", "content": "rule"},
                {"role": "system", "content": "law"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a"},
            ],
            marks=covers("item:easy_message"),
            id="easy messages of every role",
        ),
        pytest.param(
            [
                {
                    "type": "message",
                    "role": "user",
                    "status": None,
                    "id": "theirs",
                    "content": [
                        {"type": "input_text", "text": "see", "prompt_cache_breakpoint": None},
                        {"type": "input_image", "image_url": PIXEL, "file_id": None, "detail": "auto"},
                        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
                        {"type": "input_file", "file_data": CSV, "filename": "t.csv", "file_url": None},
                    ],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "see"},
                        PICTURE,
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                        {"type": "text", "text": "File: t.csv\n\na,b\n1,2\n"},
                    ],
                }
            ],
            marks=covers("item:message"),
            id="parts",
        ),
        pytest.param(
            [
                {
                    "type": "message",
                    "role": "assistant",
                    "id": "msg_theirs",
                    "status": "completed",
                    "content": [
                        {"type": "output_text", "text": "yes", "annotations": [], "logprobs": None},
                        {"type": "refusal", "refusal": "but no more"},
                    ],
                }
            ],
            [
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "yes"}, {"type": "text", "text": "but no more"}],
                }
            ],
            marks=covers("item:assistant_message"),
            id="answer replayed",
        ),
        pytest.param(
            [
                {
                    "type": "function_call",
                    "call_id": "c1",
                    "name": "look",
                    "arguments": '{"at":1}',
                    "id": None,
                    "namespace": None,
                },
                {"type": "function_call_output", "call_id": "c1", "output": "seen", "id": "theirs", "status": None},
            ],
            [call("look", '{"at":1}'), result("seen")],
            marks=covers("item:function_call", "item:function_call_output"),
            id="function",
        ),
        pytest.param(
            [
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}", "id": "fc_theirs"},
                {
                    "type": "function_call_output",
                    "call_id": "c1",
                    "output": [
                        {"type": "input_text", "text": "one"},
                        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                    ],
                },
            ],
            [
                call("look", "{}"),
                result([{"type": "text", "text": "one"}, {"type": "text", "text": "[image]"}]),
                {"role": "user", "content": [PICTURE]},
            ],
            marks=covers("item:function_call_output"),
            id="function that gives a picture",
        ),
        pytest.param(
            [
                {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** x", "id": "ctc_theirs"},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": "done", "caller": None},
            ],
            [call("patch", '{"input": "*** x"}'), result("done")],
            marks=covers("item:custom_tool_call", "item:custom_tool_call_output"),
            id="custom",
        ),
        pytest.param(
            [
                {
                    "type": "local_shell_call",
                    "id": "ls1",
                    "call_id": "c1",
                    "status": "completed",
                    "action": {"type": "exec", "command": ["ls"], "env": {}},
                },
                {"type": "local_shell_call_output", "id": "ls1", "output": "a b"},
            ],
            [call("local_shell", '{"command": ["ls"], "env": {}}'), result("a b")],
            marks=covers("item:local_shell_call", "item:local_shell_call_output"),
            id="local shell",
        ),
        pytest.param(
            [
                {
                    "type": "shell_call",
                    "call_id": "c1",
                    "action": {"commands": ["ls"], "timeout_ms": None},
                    "environment": None,
                },
                {
                    "type": "shell_call_output",
                    "call_id": "c1",
                    "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
                },
            ],
            [
                call("shell", '{"commands": ["ls"]}'),
                result('[{"outcome": {"exit_code": 0, "type": "exit"}, "stderr": "", "stdout": "a"}]'),
            ],
            marks=covers("item:shell_call", "item:shell_call_output"),
            id="shell",
        ),
        pytest.param(
            [
                {
                    "type": "apply_patch_call",
                    "call_id": "c1",
                    "status": "completed",
                    "operation": {"type": "delete_file", "path": "a"},
                },
                {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "no such file"},
            ],
            [
                call("apply_patch", '{"operation": {"path": "a", "type": "delete_file"}}'),
                result('{"output": "no such file", "status": "failed"}'),
            ],
            marks=covers("item:apply_patch_call", "item:apply_patch_call_output"),
            id="patch",
        ),
        pytest.param(
            [
                {
                    "type": "computer_call",
                    "id": "cu",
                    "call_id": "c1",
                    "status": "completed",
                    "action": {"type": "screenshot"},
                    "pending_safety_checks": [],
                },
                {
                    "type": "computer_call_output",
                    "call_id": "c1",
                    "output": {"type": "computer_screenshot", "image_url": PIXEL},
                },
            ],
            [
                call("computer", '{"action": {"type": "screenshot"}}'),
                result("[image]"),
                {"role": "user", "content": [PICTURE]},
            ],
            marks=covers("item:computer_call", "item:computer_call_output"),
            id="computer",
        ),
        pytest.param(
            [
                {"type": "mcp_list_tools", "id": "mcpl", "server_label": "s", "tools": [], "error": None},
                {"type": "mcp_approval_request", "id": "mcpr", "server_label": "s", "name": "look", "arguments": "{}"},
                {"type": "mcp_approval_response", "approval_request_id": "mcpr", "approve": True, "reason": None},
                {
                    "type": "mcp_call",
                    "id": "mcp1",
                    "server_label": "s",
                    "name": "look",
                    "arguments": "{}",
                    "output": "seen",
                    "error": None,
                },
            ],
            [call("look", "{}", "mcp1"), result("seen", "mcp1")],
            marks=covers(
                "item:mcp_list_tools", "item:mcp_approval_request", "item:mcp_approval_response", "item:mcp_call"
            ),
            id="mcp",
        ),
        pytest.param(
            [
                {"type": "file_search_call", "id": "fs", "status": "completed", "queries": ["q"], "results": None},
                {
                    "type": "web_search_call",
                    "id": "ws",
                    "status": "completed",
                    "action": {"type": "search", "query": "q"},
                },
                {"type": "code_interpreter_call", "id": "ci", "status": "completed", "container_id": "x", "code": None},
                {"type": "image_generation_call", "id": "ig", "status": "completed", "result": None},
                {"type": "tool_search_call", "id": "ts", "arguments": {}, "execution": "server"},
                {"type": "program", "id": "p", "call_id": "c9", "code": "1", "fingerprint": "f"},
                {"type": "program_output", "id": "po", "call_id": "c9", "result": "1", "status": "completed"},
            ],
            [],
            marks=covers(
                "item:file_search_call",
                "item:web_search_call",
                "item:code_interpreter_call",
                "item:image_generation_call",
                "item:tool_search_call",
                "item:program",
                "item:program_output",
            ),
            id="receipts",
        ),
        pytest.param(
            [{"type": "compaction", "id": "cmp", "encrypted_content": "somebody else's"}],
            [],
            marks=covers("item:compaction"),
            id="a summary that we cannot open",
        ),
    ],
)
def test_item(client: openai.OpenAI, backend: FakeBackend, items: list[Any], messages: list[Any]) -> None:
    """The model is told what the item says, now and through the chain; the item is listed as it was sent."""
    check(client, backend, items, messages)


@covers("item:function_call_output")
def test_a_result_moves_next_to_its_call(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Where a client put a message between the two, strict back ends still see the result right after the call."""
    items = [
        {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "b", "arguments": "{}"},
        {"role": "assistant", "content": "wait"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        USER,
    ]
    ask(client, items)
    roles = [message["role"] for message in backend.last["messages"]]
    assert roles == ["assistant", "tool", "tool", "assistant", "user"]
    assert [m["tool_call_id"] for m in backend.last["messages"][1:3]] == ["c1", "c2"]


@covers("item:function_call", "item:function_call_output")
def test_a_call_and_its_result_belong_together(client: openai.OpenAI, backend: FakeBackend) -> None:
    """One without the other is a 400 in OpenAI's words, which clients match."""
    lonely = {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"}
    told = refused(lambda: ask(client, [lonely, USER]), param="input", code="invalid_value")
    assert "No tool output found for function call c1" in told.message
    stray = {"type": "function_call_output", "call_id": "c1", "output": "1"}
    told = refused(lambda: ask(client, [stray, USER]), param="input", code="invalid_value")
    assert "No tool call found" in told.message
    assert backend.calls == []


@covers("item:reasoning")
def test_reasoning_plain(server: Server, servers: Any, backend: FakeBackend) -> None:
    """Thoughts go back in the field that the back end knows, and nowhere where it knows none."""
    items: list[Any] = [
        USER,
        {
            "type": "reasoning",
            "id": "rs_theirs",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
            "encrypted_content": None,
            "status": None,
        },
        {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
    ]
    knows = servers(upstream={"send_reasoning": "reasoning_content"}).client
    response = ask(knows, items)
    assert backend.last["messages"][1] == {**call("a", "{}"), "reasoning_content": "Hm."}
    assert listed(knows, response.id)[1] == items[1]
    ask(server.client, items)
    assert backend.last["messages"][1] == call("a", "{}")


@covers("item:reasoning", "param:include")
def test_reasoning_sealed(servers: Any, backend: FakeBackend) -> None:
    """What we sealed for a client that keeps the state comes back as thought; what we cannot open is said so."""
    client = servers(upstream={"send_reasoning": "reasoning"}).client
    backend.answer(delta(reasoning="Hm."), *tool_calls(("c1", "look", "{}")))
    tools = [{"type": "function", "name": "look"}]
    first = ask(client, store=False, tools=tools)
    thought, asked = map(dump, first.output)
    assert "Hm." not in thought["encrypted_content"]
    del thought["content"]
    answer = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    second = ask(client, [USER, thought, asked, answer], store=False, tools=tools)
    assert backend.last["messages"][1]["reasoning"] == "Hm."
    assert dump(second)["input_transformations"] is None
    foreign = {**thought, "encrypted_content": "gAAAA-somebody-else"}
    third = ask(client, [USER, foreign, asked, answer], store=False)
    assert "reasoning" not in backend.last["messages"][1]
    assert dump(third)["input_transformations"] == [
        {"id": thought["id"], "action": "removed", "reason": "organization_mismatch", "type": "reasoning"}
    ]


@covers("item:additional_tools", "item:tool_search_output")
@pytest.mark.parametrize(
    "item",
    [
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]},
        {"type": "tool_search_output", "execution": "server", "tools": [{"type": "function", "name": "late"}]},
    ],
    ids=["additional", "found"],
)
def test_tools_among_the_items(client: openai.OpenAI, backend: FakeBackend, item: Any) -> None:
    """They are offered beside the request's own, from here on, through the chain too."""
    response = ask(client, [item, USER], tools=[{"type": "function", "name": "early"}])
    assert [tool["function"]["name"] for tool in backend.last["tools"]] == ["early", "late"]
    ask(client, "more", previous_response_id=response.id)
    assert [tool["function"]["name"] for tool in backend.last["tools"]] == ["late"]
    assert listed(client, response.id)[0]["tools"] == item["tools"]


@covers("item:configuration_update")
def test_configuration_update(client: openai.OpenAI, backend: FakeBackend) -> None:
    """It changes effort and format for this response and the later ones of the chain."""
    update = {
        "type": "configuration_update",
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_object"}},
    }
    response = ask(client, [update, USER], reasoning={"effort": "low"})
    assert backend.last["reasoning_effort"] == "high"
    assert backend.last["response_format"] == {"type": "json_object"}
    ask(client, "more", previous_response_id=response.id)
    assert backend.last["reasoning_effort"] == "high"


@covers("item:compaction_trigger")
def test_compaction_trigger(client: openai.OpenAI) -> None:
    """There is no compaction yet, so asking for one is refused by name."""
    refused(
        lambda: ask(client, [USER, {"type": "compaction_trigger"}]),
        param="input[1].type",
        code="unsupported_parameter",
    )


@covers("item:item_reference")
def test_item_reference(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A stored item's id stands for it, without ``previous_response_id`` too, with or without ``type``."""
    backend.answer(*tool_calls(("c1", "look", "{}")))
    first = ask(client, "q", tools=[{"type": "function", "name": "look"}])
    (asked,) = first.output
    answer = {"type": "function_call_output", "call_id": "c1", "output": "seen"}
    backend.answer(*text("I see"))
    second = ask(client, [USER, {"type": "item_reference", "id": asked.id}, answer])
    assert backend.last["messages"] == [ASKED, call("look", "{}"), result("seen")]
    third = ask(client, [USER, {"id": asked.id}, answer, {"id": second.output[0].id}, USER])
    assert backend.last["messages"] == [
        ASKED,
        call("look", "{}"),
        result("seen"),
        {"role": "assistant", "content": "I see"},
        ASKED,
    ]
    assert listed(client, third.id)[1]["type"] == "function_call"
    gone = {"type": "item_reference", "id": "rs_nobody"}
    refused(lambda: ask(client, [USER, gone]), param="input[1].id", code="not_found", error=openai.NotFoundError)
    refused(lambda: ask(client, [{"type": "item_reference"}]), param="input[0].id", code="missing_required_parameter")


@covers("item:item_reference")
def test_a_chain_over_references(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A response whose input was references can be continued and referred to again."""
    backend.answer(*text("one"))
    first = ask(client, "q")
    backend.answer(*text("two"))
    reference = {"type": "item_reference", "id": first.output[0].id}
    second = ask(client, [USER, reference, USER])
    ask(client, "more", previous_response_id=second.id)
    assert [m["content"] for m in backend.last["messages"]] == ["go on", "one", "go on", "two", "more"]
    ask(client, [USER, reference, USER])
    assert [m["content"] for m in backend.last["messages"]] == ["go on", "one", "go on"]


@covers("item:message")
def test_file_by_url(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A file's URL is read once, here; the chain still has its content when the URL is gone."""
    backend.files["/v1/files/t.txt"] = ("text/plain", b"inside")
    url = f"{backend.url}/files/t.txt"
    part = {"type": "input_file", "file_url": url}
    response = ask(client, [{"role": "user", "content": [part]}])
    told = {"role": "user", "content": "File: t.txt\n\ninside"}
    assert backend.last["messages"] == [told]
    backend.files.clear()
    ask(client, "more", previous_response_id=response.id)
    assert backend.last["messages"][0] == told
    missing = {"type": "input_file", "file_url": f"{backend.url}/files/none.txt"}
    refused(
        lambda: ask(client, [USER, {"role": "user", "content": [missing]}]),
        param="input[1].content[0].file_url",
        code="invalid_file_url",
    )


@covers("item:message")
def test_files_that_are_not_there(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A ``file_id`` that names nothing is a 400 that says where it stands."""
    for kind in ("input_file", "input_image"):
        item = {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": kind, "file_id": "file-1"}]}
        refused(lambda: ask(client, [item]), param="input[0].content[1].file_id", code="not_found")  # noqa: B023
    assert backend.calls == []


@covers("item:easy_message")
def test_developer_role_where_it_is_known(servers: Any, backend: FakeBackend) -> None:
    """A back end that knows the role ``developer`` gets it."""
    client = servers(upstream={"developer_role": True}).client
    ask(client, [{"role": "developer", "content": "rule"}, USER])
    assert backend.last["messages"][0] == {"role": "developer", "content": "rule"}


def test_our_output_is_good_input(servers: Any, backend: FakeBackend) -> None:
    """Everything a response holds goes back verbatim as input, as SDK objects too, and means the same as the chain."""
    client = servers(upstream={"send_reasoning": "reasoning_content"}).client
    tools: list[Any] = [
        {"type": "function", "name": "look"},
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "mcp__s", "description": "S.", "tools": [{"type": "function", "name": "find"}]},
    ]
    backend.answer(
        delta(reasoning_content="Hm."),
        delta(content="Let me see."),
        *tool_calls(("c1", "look", "{}"), ("c2", "patch", '{"input":"x"}'), ("c3", "mcp__s__find", '{"q":1}')),
    )
    first = ask(client, "q", tools=tools, include=["reasoning.encrypted_content"])
    kinds = ["reasoning", "message", "function_call", "custom_tool_call", "function_call"]
    assert [item.type for item in first.output] == kinds
    outputs = [
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "2"},
        {"type": "function_call_output", "call_id": "c3", "output": "3"},
    ]
    ask(client, outputs, previous_response_id=first.id, tools=tools)
    chained = backend.last["messages"]
    assert [message["role"] for message in chained] == ["user", "assistant", "tool", "tool", "tool"]
    assert [c["function"]["name"] for c in chained[1]["tool_calls"]] == ["look", "patch", "mcp__s__find"]
    user = {"role": "user", "content": "q"}
    for replayed in ([dump(item) for item in first.output], list(first.output)):
        again = ask(client, [user, *replayed, *outputs], tools=tools)
        assert backend.last["messages"] == chained
    page = listed(client, again.id)
    assert page[1:6] == [{**item, "status": item["status"]} for item in map(dump, first.output)]
    ask(client, page, tools=tools)
    assert backend.last["messages"] == chained, "what input_items lists is good input too"
