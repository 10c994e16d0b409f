"""Requests as real clients make them, with all their ballast: Codex, Agents SDK, llama-index, Vercel, langchain."""

from __future__ import annotations

from typing import Any

import openai

from tests.api.talk import ask, dump, stream, types
from tests.server import Server
from tests.upstreams import FakeBackend, delta, text, tool_calls

CODEX_TOOLS: list[Any] = [
    {"type": "function", "name": "shell", "description": "Runs.", "strict": False, "parameters": {"type": "object"}},
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Patches.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
    },
    {
        "type": "namespace",
        "name": "mcp__docs",
        "description": "Documents.",
        "tools": [
            {
                "type": "function",
                "name": "search",
                "description": "Finds.",
                "parameters": {"type": "object"},
                "strict": False,
            },
            {"type": "function", "name": "shell", "description": "Another shell.", "parameters": {"type": "object"}},
        ],
    },
    {"type": "web_search", "external_web_access": False, "search_content_types": ["text"]},
]
CODEX: dict[str, Any] = {
    "instructions": "You are a coding agent.",
    "tools": CODEX_TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "thread-1",
    "extra_body": {"client_metadata": {"x-codex-installation-id": "i"}},
    "extra_headers": {"originator": "codex_exec", "session-id": "s", "thread-id": "t", "x-codex-window-id": "w"},
}


def codex_input(*more: Any) -> list[Any]:
    """What Codex says first."""
    return [
        {
            "type": "message",
            "id": "msg_1",
            "role": "developer",
            "content": [{"type": "input_text", "text": "permissions"}],
        },
        {"type": "message", "id": "msg_2", "role": "developer", "content": [{"type": "input_text", "text": "more"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "environment"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "do it"}]},
        *more,
    ]


def test_codex(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Namespaces are flattened for the model and split again, freeform text streams, thoughts go round sealed."""
    backend.answer(
        delta(reasoning_content="Hm."),
        *tool_calls(
            ("c1", "mcp__docs__search", '{"q":"x"}'),
            ("c2", "apply_patch", '{"input":"*** Begin"}'),
            ("c3", "mcp__docs__shell", "{}"),
        ),
    )
    events = stream(client, codex_input(), **CODEX)
    assert [m["role"] for m in backend.last["messages"]] == ["system", "system", "system", "user", "user"]
    offered = [tool["function"]["name"] for tool in backend.last["tools"]]
    assert offered == ["shell", "apply_patch", "mcp__docs__search", "mcp__docs__shell"]
    assert "start: x" in backend.last["tools"][1]["function"]["description"]
    assert not {"client_metadata", "store", "include"} & set(backend.last)
    assert "originator" not in backend.calls[-1].headers
    done = [dump(event.item) for event in events if event.type == "response.output_item.done"]
    thought, search, patch, shell = done
    assert thought["encrypted_content"]
    assert thought["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert (search["name"], search["namespace"], search["arguments"]) == ("search", "mcp__docs", '{"q":"x"}')
    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "apply_patch", "*** Begin")
    assert (shell["name"], shell["namespace"]) == ("shell", "mcp__docs")
    assert "response.custom_tool_call_input.delta" in types(events)
    results = [
        {"type": "function_call_output", "call_id": "c1", "output": "found"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        {"type": "function_call_output", "call_id": "c3", "output": "ran"},
    ]
    final = stream(client, codex_input(*done, *results), **CODEX)[-1].response
    calls = backend.last["messages"][-4]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["mcp__docs__search", "apply_patch", "mcp__docs__shell"]
    assert [m["content"] for m in backend.last["messages"][-3:]] == ["found", "done", "ran"]
    assert final.output_text == "ok"


def test_long_names_in_namespaces(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Names over 64 characters, and two that would be the same, still find their way back."""
    names = ["x" * 60 + "a", "x" * 60 + "b"]
    tools: Any = [
        {
            "type": "namespace",
            "name": "mcp__long",
            "description": "d",
            "tools": [{"type": "function", "name": name} for name in names],
        },
        {"type": "function", "name": "a__b"},
        {"type": "namespace", "name": "a", "description": "d", "tools": [{"type": "function", "name": "b"}]},
    ]
    ask(client, tools=tools)
    offered = [tool["function"]["name"] for tool in backend.last["tools"]]
    assert len(set(offered)) == 4
    assert all(len(name) <= 64 for name in offered)
    backend.answer(*tool_calls(*((f"c{n}", name, "{}") for n, name in enumerate(offered))))
    told = [dump(item) for item in ask(client, tools=tools).output]
    assert [(item.get("namespace"), item["name"]) for item in told] == [
        ("mcp__long", names[0]),
        ("mcp__long", names[1]),
        (None, "a__b"),
        ("a", "b"),
    ]


def test_agents_sdk(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Empty ``include`` and ``tools``, handoffs as functions, history replayed with ids and status."""
    handoff: Any = {
        "type": "function",
        "name": "transfer_to_ann",
        "description": "d",
        "strict": True,
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    }
    backend.answer(*tool_calls(("c1", "transfer_to_ann", "{}")))
    first = ask(
        client,
        [{"role": "user", "content": "q"}],
        include=[],
        tools=[handoff],
        instructions="i",
        extra_body={"prompt": None, "conversation": None},
    )
    history: list[Any] = [
        {"role": "user", "content": "q"},
        *(dump(item) for item in first.output),
        {"type": "function_call_output", "call_id": "c1", "output": '{"assistant": "ann"}'},
    ]
    second = ask(client, history, include=[], tools=[], instructions="ann")
    assert [m["role"] for m in backend.last["messages"]] == ["system", "user", "assistant", "tool"]
    assert "tools" not in backend.last
    history += [*(dump(item) for item in second.output), {"role": "user", "content": "and?"}]
    assert ask(client, history, include=[], tools=[]).output_text == "ok"


def test_llama_index(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Every optional field as an explicit null."""
    names = """
        include instructions max_output_tokens metadata previous_response_id user tools tool_choice temperature top_p
        reasoning text parallel_tool_calls service_tier truncation top_logprobs background conversation prompt stream
        stream_options max_tool_calls safety_identifier
    """
    nulls = dict.fromkeys(names.split())
    response = ask(
        client, [{"role": "user", "content": "q"}], extra_body={**nulls, "store": False, "truncation": "disabled"}
    )
    assert response.output_text == "ok"
    assert response.usage is not None
    assert set(backend.last) == {"model", "messages", "stream", "stream_options"}


def test_vercel(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Its history names earlier answers and thoughts by ``item_reference`` and repeats only what the user said."""
    backend.answer(delta(reasoning_content="Hm."), *text("one"))
    first = ask(client, [{"role": "user", "content": [{"type": "input_text", "text": "q"}]}])
    references = [{"type": "item_reference", "id": item.id} for item in first.output]
    user = {"role": "user", "content": [{"type": "input_text", "text": "and?"}]}
    second = ask(client, [{"role": "user", "content": [{"type": "input_text", "text": "q"}]}, *references, user])
    assert [m["content"] for m in backend.last["messages"]] == ["q", "one", "and?"]
    assert second.status == "completed"


def test_langchain(client: openai.OpenAI, backend: FakeBackend) -> None:
    """``stream: false`` spelled out, and items of ours that no chat model knows replayed as input."""
    history: list[Any] = [
        {"role": "user", "content": "q"},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [{"name": "t", "input_schema": {}}]},
        {
            "type": "mcp_call",
            "id": "mcp_1",
            "server_label": "s",
            "name": "t",
            "arguments": "{}",
            "output": "seen",
            "status": "completed",
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": []}],
        },
        {"role": "user", "content": "and?"},
    ]
    assert client.responses.create(model="m", input=history, stream=False).output_text == "ok"
    assert [m["role"] for m in backend.last["messages"]] == ["user", "assistant", "tool", "assistant", "user"]


def test_instructor(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A JSON schema and a forced function of the same schema in one request."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    backend.answer(*tool_calls(("c1", "Count", '{"n":1}')))
    response = ask(
        client,
        tools=[{"type": "function", "name": "Count", "parameters": schema, "strict": True}],
        tool_choice={"type": "function", "name": "Count"},
        text={"format": {"type": "json_schema", "name": "Count", "schema": schema, "strict": True}},
    )
    assert dump(response.output[0])["arguments"] == '{"n":1}'
    assert {"tool_choice", "response_format"} <= set(backend.last)


def test_promptfoo_and_dspy(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Plain format, a limit and a temperature."""
    response = ask(client, text={"format": {"type": "text"}}, max_output_tokens=1024, temperature=0)
    assert response.output_text == "ok"
    assert backend.last["temperature"] == 0


def test_parse_of_the_sdk(client: openai.OpenAI, backend: FakeBackend) -> None:
    """``responses.parse`` fills a model from the answer."""
    from pydantic import BaseModel

    class Count(BaseModel):
        n: int

    backend.answer(*text('{"n": 5}'))
    parsed = client.responses.parse(model="m", input="hi", text_format=Count).output_parsed
    assert parsed == Count(n=5)
    assert backend.last["response_format"]["json_schema"]["strict"] is True


def test_the_demo_model(client: openai.OpenAI, server: Server) -> None:
    """Everything a newcomer tries works without any back end: text, thoughts, calls, JSON, refusals, failures."""
    demo = {"model": "demo"}
    assert ask(client, "[[think Two and two.]] [[say Four.]]", **demo).output_text == "Four."
    tools: Any = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    called = ask(client, '[[call look {"at":1}]] [[then It is {results}.]]', tools=tools, **demo)
    call_id = dump(called.output[0])["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "here"}
    assert "here" in ask(client, [output], previous_response_id=called.id, tools=tools, **demo).output_text
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: Any = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    assert ask(client, "n=5", text=form, **demo).output_text == '{"n":5}'
    assert dump(ask(client, "[[refuse No.]]", **demo).output[0])["content"][0]["type"] == "refusal"
    assert ask(client, "[[long 50]]", max_output_tokens=16, **demo).status == "incomplete"
