"""One test per request parameter: forwarded, echoed, honoured or refused by name, as ``docs/parameters.md`` says."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.api.talk import ask, dump, refused, stream
from tests.server import Server, Servers
from tests.upstreams import FakeBackend, delta, text, tool_calls, usage

covers = pytest.mark.covers

FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    "strict": True,
}
OTHER: dict[str, Any] = {"type": "function", "name": "listen", "parameters": None, "strict": None}


@pytest.mark.parametrize(
    ("name", "value", "without"),
    [
        pytest.param("temperature", 0.5, 1.0, marks=covers("param:temperature")),
        pytest.param("top_p", 0.25, 1.0, marks=covers("param:top_p")),
        pytest.param("presence_penalty", -0.5, 0.0, marks=covers("param:presence_penalty")),
        pytest.param("frequency_penalty", 1.5, 0.0, marks=covers("param:frequency_penalty")),
        pytest.param("user", "ann", None, marks=covers("param:user")),
        pytest.param("safety_identifier", "s-1", None, marks=covers("param:safety_identifier")),
        pytest.param("prompt_cache_key", "k-1", None, marks=covers("param:prompt_cache_key")),
        pytest.param("prompt_cache_retention", "24h", None, marks=covers("param:prompt_cache_retention")),
    ],
)
def test_forwarded_and_echoed(client: openai.OpenAI, backend: FakeBackend, name: str, value: Any, without: Any) -> None:
    """The model gets the value and the Response repeats it; unsent, nothing goes and the default is echoed."""
    sent = dump(ask(client, extra_body={name: value}))
    assert (backend.last[name], sent[name]) == (value, value)
    for nothing in ({}, {name: None}):
        absent = dump(ask(client, extra_body=nothing))
        assert name not in backend.last
        assert absent[name] == without


def test_nothing_else_goes_upstream(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A plain request is four keys upstream, whatever ballast came with it."""
    ask(client, extra_body={"client_metadata": {"a": "b"}, "metadata": {"k": "v"}, "store": True, "whatever": [1]})
    assert backend.last == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@covers("param:model")
def test_model_chooses_the_back_end(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A prefix that names a back end is taken off for it and stays in the echo; ids with slashes are left alone."""
    assert ask(client, model="local/m").model == "local/m"
    assert backend.last["model"] == "m"
    assert ask(client, model="org/model").model == "org/model"
    assert backend.last["model"] == "org/model"
    assert "demo" in ask(client, "hello", model="demo").model
    assert len(backend.calls) == 2
    refused(lambda: client.responses.create(input="hi"), param="model", code="missing_required_parameter")


@covers("param:input")
def test_input(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A string is one user message, a list its messages; none at all, or an empty prompt, is refused by name."""
    ask(
        client,
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
    )
    assert [m["content"] for m in backend.last["messages"]] == ["a", "b", "c"]
    refused(lambda: client.responses.create(model="m"), param="input", code="missing_required_parameter")
    refused(lambda: ask(client, []), param="input", code="invalid_value")
    refused(lambda: ask(client, 5), param="input", code="invalid_type")
    refused(lambda: ask(client, [{"type": "odd"}]), param="input[0].type", code="invalid_value")


@covers("param:instructions")
def test_instructions(client: openai.OpenAI, backend: FakeBackend) -> None:
    """They are the first system message of this response alone, and are echoed."""
    first = ask(client, instructions="Be brief.")
    assert first.instructions == "Be brief."
    assert backend.last["messages"][0] == {"role": "system", "content": "Be brief."}
    ask(client, "more", previous_response_id=first.id)
    assert [m["role"] for m in backend.last["messages"]] == ["user", "assistant", "user"]


@covers("param:max_output_tokens")
def test_max_output_tokens(client: openai.OpenAI, backend: FakeBackend, servers: Servers) -> None:
    """It goes to the model under the name that back end knows; reaching it ends the response as incomplete."""
    backend.answer(*text("a long", finish="length"))
    response = ask(client, max_output_tokens=16)
    assert backend.last["max_completion_tokens"] == 16
    assert (response.status, response.max_output_tokens) == ("incomplete", 16)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == "a long"
    older = servers(upstream={"max_tokens_field": "max_tokens"})
    ask(older.client, max_output_tokens=20)
    assert backend.last["max_tokens"] == 20
    assert "max_completion_tokens" not in backend.last


@covers("param:max_tool_calls")
def test_max_tool_calls(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Echoed, never sent on; client functions are not counted."""
    backend.answer(*tool_calls(("c1", "look", "{}"), ("c2", "look", "{}")))
    response = ask(client, max_tool_calls=1, tools=[FUNCTION])
    assert response.max_tool_calls == 1
    assert [item.type for item in response.output] == ["function_call", "function_call"]
    assert "max_tool_calls" not in backend.last


@covers("param:metadata")
def test_metadata(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Kept and echoed as sent, null or absent as an empty object, never sent on."""
    kept = ask(client, metadata={"k": "v"})
    assert client.responses.retrieve(kept.id).metadata == {"k": "v"}
    assert "metadata" not in backend.last
    assert ask(client, metadata=None).metadata == {}


@covers("param:parallel_tool_calls")
def test_parallel_tool_calls(client: openai.OpenAI, backend: FakeBackend) -> None:
    """It goes beside tools only, and is true unless given."""
    for sent, effective in (({"parallel_tool_calls": False}, False), ({}, True)):
        assert ask(client, tools=[FUNCTION], **sent).parallel_tool_calls is effective
        assert backend.last["parallel_tool_calls"] is effective
    assert ask(client, parallel_tool_calls=False).parallel_tool_calls is False
    assert "parallel_tool_calls" not in backend.last


@covers("param:previous_response_id")
def test_previous_response_id(client: openai.OpenAI, backend: FakeBackend) -> None:
    """The chain, input and output, comes before the input; it is echoed, and alone it is enough."""
    backend.answer(*text("one"))
    first = ask(client, "1")
    backend.answer(*text("two"))
    second = ask(client, "2", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    client.responses.create(model="m", previous_response_id=second.id)
    assert [m["content"] for m in backend.last["messages"]] == ["1", "one", "2", "two"]
    refused(
        lambda: ask(client, previous_response_id="resp_nobody"),
        param="previous_response_id",
        code="previous_response_not_found",
    )


@covers("param:reasoning")
def test_reasoning_effort_and_summary(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Effort goes to the model; asked for a summary, the thoughts come as one; both keys are always echoed."""
    backend.answer(delta(reasoning_content="Hm."), *text("ok"))
    response = ask(client, reasoning={"effort": "low", "summary": "auto"})
    assert backend.last["reasoning_effort"] == "low"
    assert dump(response)["reasoning"] == {"effort": "low", "summary": "auto"}
    assert dump(response.output[0])["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert dump(ask(client))["reasoning"] == {"effort": None, "summary": None}
    assert "reasoning_effort" not in backend.last
    refused(lambda: ask(client, reasoning={"mode": "pro"}), param="reasoning.mode", code="unsupported_parameter")


@covers("param:reasoning")
def test_reasoning_context(servers: Servers, backend: FakeBackend) -> None:
    """``all_turns`` shows the model every earlier thought, otherwise only those of the current turn come back."""
    client = servers(upstream={"send_reasoning": "reasoning_content"}).client
    backend.answer(delta(reasoning_content="Hm."), *text("ok"))
    first = ask(client)
    ask(client, "again", previous_response_id=first.id)
    assert backend.last["messages"][1] == {"role": "assistant", "content": "ok"}
    ask(client, "again", previous_response_id=first.id, reasoning={"context": "all_turns"})
    assert backend.last["messages"][1] == {"role": "assistant", "content": "ok", "reasoning_content": "Hm."}


@covers("param:service_tier")
def test_service_tier(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Sent only when the client sends it; the Response shows what the back end used."""
    backend.answer(*text("ok", service_tier="priority"))
    assert ask(client, service_tier="fast").service_tier == "priority"
    assert backend.last["service_tier"] == "fast"
    assert ask(client).service_tier == "default"
    assert "service_tier" not in backend.last


@covers("param:store")
def test_store_false_keeps_nothing(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Not retrievable, not listed, not to be continued; never sent on."""
    response = ask(client, store=False)
    assert dump(response)["store"] is False
    assert "store" not in backend.last
    gone = openai.NotFoundError
    refused(lambda: client.responses.retrieve(response.id), param="response_id", code="not_found", error=gone)
    refused(lambda: client.responses.input_items.list(response.id), param="response_id", code="not_found", error=gone)
    refused(lambda: client.responses.delete(response.id), param="response_id", code="not_found", error=gone)
    refused(
        lambda: ask(client, previous_response_id=response.id),
        param="previous_response_id",
        code="previous_response_not_found",
    )
    item = response.output[0].id
    refused(
        lambda: ask(client, [{"type": "item_reference", "id": item}]), param="input[0].id", code="not_found", error=gone
    )
    assert dump(ask(client, extra_body={"store": None}))["store"] is True


@covers("param:stream")
def test_stream(client: openai.OpenAI, backend: FakeBackend) -> None:
    """True gives events, false and null one object of the same content; the model is always read as a stream."""
    backend.answer(*text("a", "b"))
    streamed = stream(client)[-1].response
    for value in (False, None):
        backend.answer(*text("a", "b"))
        whole = client.responses.create(model="m", input="hi", stream=value)
        assert whole.output_text == streamed.output_text == "ab"
        assert backend.last["stream"] is True


@covers("param:stream_options")
def test_stream_options(client: openai.OpenAI) -> None:
    """Accepted; no event is ever padded."""
    events = stream(client, stream_options={"include_obfuscation": True})
    assert not any("obfuscation" in dump(event) for event in events)


@covers("param:text")
def test_text_format(client: openai.OpenAI, backend: FakeBackend) -> None:
    """A schema or JSON mode becomes ``response_format``, plain text sends nothing; each is echoed, verbosity too."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: dict[str, Any] = {
        "type": "json_schema",
        "name": "count",
        "schema": schema,
        "strict": True,
        "description": "d",
    }
    response = ask(client, text={"format": form, "verbosity": "low"})
    inner = {"name": "count", "schema": schema, "strict": True, "description": "d"}
    assert backend.last["response_format"] == {"type": "json_schema", "json_schema": inner}
    assert backend.last["verbosity"] == "low"
    assert dump(response)["text"] == {"format": form, "verbosity": "low"}
    assert dump(ask(client, text={"format": {"type": "json_object"}}))["text"]["format"] == {"type": "json_object"}
    assert backend.last["response_format"] == {"type": "json_object"}
    assert dump(ask(client, text={"format": {"type": "text"}}))["text"] == {"format": {"type": "text"}}
    assert "response_format" not in backend.last
    refused(
        lambda: ask(client, text={"format": {"type": "json_schema", "name": "x"}}),
        param="text.format.schema",
        code="missing_required_parameter",
    )


@covers("param:text")
def test_text_format_is_checked_where_the_model_is_not_held_to_it(servers: Servers, backend: FakeBackend) -> None:
    """An answer that does not fit goes back once with what is wrong, unseen by the client; both attempts are paid."""
    client = servers(upstream={"schemas": "validated"}).client
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"format": {"type": "json_schema", "name": "count", "schema": schema}}
    backend.answer(*text('{"n": "x"}'))
    backend.answer(*text('{"n": 1}'))
    response = ask(client, text=form)
    assert response.output_text == '{"n": 1}'
    assert len(response.output) == 1
    assert response.usage is not None
    assert response.usage.total_tokens == 20
    assert [m["role"] for m in backend.last["messages"]] == ["user", "assistant", "user"]
    for _ in range(2):
        backend.answer(*text("no"))
    failed = ask(client, text=form)
    assert failed.status == "failed"
    assert failed.error is not None
    assert "count" in failed.error.message
    broken: dict[str, Any] = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "nonsense"}}}
    refused(lambda: ask(client, text=broken), param="text.format.schema", code=None)


@covers("param:tools")
def test_tools(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Functions and custom tools are offered, hosted ones are echoed and named in a header; secrets are not echoed."""
    tools: list[Any] = [
        FUNCTION,
        {"type": "custom", "name": "patch", "description": "Patches."},
        {"type": "web_search", "external_web_access": True},
        {
            "type": "mcp",
            "server_label": "s",
            "server_url": "http://127.0.0.1:9/x?k=1",
            "authorization": "secret",
            "headers": {"a": "b"},
        },
        {"type": "image_generation"},
        {"type": "nobody_knows"},
    ]
    raw = client.responses.with_raw_response.create(model="m", input="hi", tools=tools)
    assert raw.headers["antiphon-unserved-tools"] == "web_search, image_generation, nobody_knows"
    assert [tool["function"]["name"] for tool in backend.last["tools"]] == ["look", "patch"]
    assert backend.last["tools"][0]["function"] == {k: v for k, v in FUNCTION.items() if k != "type"}
    echoed = raw.http_response.json()["tools"]
    assert echoed[0] == FUNCTION
    assert echoed[1:3] == tools[1:3]
    assert echoed[3] == {"type": "mcp", "server_label": "s", "server_url": "http://127.0.0.1:9/x"}
    assert "secret" not in client.responses.with_raw_response.retrieve(raw.parse().id).text
    assert ask(client, tools=[]).tools == []
    assert "tools" not in backend.last
    refused(lambda: ask(client, tools=[{"type": "function"}]), param="tools[0].name", code="missing_required_parameter")


@covers("param:tools")
def test_function_echo_has_every_key(client: openai.OpenAI) -> None:
    """Strict clients look for description, parameters and strict, null or not."""
    echoed = dump(ask(client, tools=[{"type": "function", "name": "f"}]))["tools"][0]
    assert echoed == {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}


@covers("param:tool_choice")
@pytest.mark.parametrize(
    ("choice", "sent", "offered"),
    [
        ("auto", "auto", ["look", "listen"]),
        ("none", "none", ["look", "listen"]),
        ("required", "required", ["look", "listen"]),
        (
            {"type": "function", "name": "listen"},
            {"type": "function", "function": {"name": "listen"}},
            ["look", "listen"],
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}, "auto", ["look"]),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
            "required",
            ["look"],
        ),
        (None, None, ["look", "listen"]),
    ],
)
def test_tool_choice(client: openai.OpenAI, backend: FakeBackend, choice: Any, sent: Any, offered: list[str]) -> None:
    """Every form reaches the model as Chat Completions spells it, and is echoed as sent."""
    backend.answer(*tool_calls(("c1", "look", "{}")))
    response = dump(ask(client, tools=[FUNCTION, OTHER], extra_body={"tool_choice": choice}))
    assert backend.last.get("tool_choice") == sent
    assert [tool["function"]["name"] for tool in backend.last["tools"]] == offered
    assert response["tool_choice"] == (choice or "auto")


@covers("param:tool_choice")
@pytest.mark.parametrize(
    "choice",
    [
        {"type": "web_search"},
        {"type": "file_search"},
        {"type": "mcp", "server_label": "other"},
        {"type": "function", "name": "nobody"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "nobody"}]},
        "sometimes",
        {"type": "function"},
    ],
)
def test_tool_choice_that_cannot_be_met(client: openai.OpenAI, backend: FakeBackend, choice: Any) -> None:
    """Forcing what nobody here can run is a 400 that names ``tool_choice``, before any model is asked."""
    tools = [FUNCTION, {"type": "web_search"}, {"type": "mcp", "server_label": "s", "server_url": "http://127.0.0.1:9"}]
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, tools=tools, tool_choice=choice)
    assert (caught.value.param or "").startswith("tool_choice")
    assert backend.calls == []


@covers("param:top_logprobs", "param:include")
def test_logprobs(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Either way of asking makes the model give them, and they stand on the text, its deltas and its end."""
    token = {"token": "ok", "bytes": [111, 107], "logprob": -0.5, "top_logprobs": []}
    script = [delta(content="ok", logprobs={"content": [token]}), delta("stop"), usage()]
    backend.answer(*script)
    events = stream(client, include=["message.output_text.logprobs"])
    assert backend.last["logprobs"] is True
    assert "top_logprobs" not in backend.last
    told = [dump(event)["logprobs"] for event in events if event.type.startswith("response.output_text.")]
    assert told == [[token], [token]]
    assert dump(events[-1])["response"]["output"][0]["content"][0]["logprobs"] == [token]
    backend.answer(*script)
    assert ask(client, top_logprobs=3).top_logprobs == 3
    assert (backend.last["logprobs"], backend.last["top_logprobs"]) == (True, 3)
    backend.answer(*script)
    assert dump(ask(client))["output"][0]["content"][0]["logprobs"] == []
    assert "logprobs" not in backend.last


@covers("param:include")
def test_include(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Sealed reasoning comes when asked for; names of parts that never come are accepted; odd names are refused."""
    backend.answer(delta(reasoning_content="Hm."), *text("ok"))
    assert dump(ask(client, include=["reasoning.encrypted_content"]).output[0])["encrypted_content"]
    backend.answer(delta(reasoning_content="Hm."), *text("ok"))
    shown = ask(client, include=["file_search_call.results", "code_interpreter_call.outputs"])
    assert "encrypted_content" not in dump(shown.output[0])
    refused(lambda: ask(client, extra_body={"include": ["odd"]}), param="include[0]", code="invalid_value")


@covers("param:truncation")
def test_truncation(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Too much is a 400 by default; ``auto`` drops the oldest turn, never a call without its result, and asks again."""
    too_long = {
        "error": {"message": "This model's maximum context length is 10 tokens.", "code": "context_length_exceeded"}
    }
    items: list[Any] = [
        {"role": "system", "content": "rule"},
        {"role": "user", "content": "one"},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "seen"},
        {"role": "user", "content": "two"},
    ]
    backend.refuse(400, too_long)
    told = refused(lambda: ask(client, items), param=None, code="context_length_exceeded")
    assert "10" in told.message
    backend.refuse(400, too_long)
    response = ask(client, items, truncation="auto")
    assert [m["content"] for m in backend.last["messages"]] == ["rule", "two"]
    assert response.truncation == "auto"
    assert ask(client).truncation == "disabled"
    assert "truncation" not in backend.last


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({"background": True}, "background", marks=covers("param:background")),
        pytest.param({"prompt": {"id": "pmpt_1"}}, "prompt", marks=covers("param:prompt")),
        pytest.param({"moderation": {"model": "m"}}, "moderation", marks=covers("param:moderation")),
        pytest.param(
            {"context_management": [{"type": "compaction"}]},
            "context_management",
            marks=covers("param:context_management"),
        ),
        pytest.param(
            {"image": {"context_compression": "enabled"}}, "image.context_compression", marks=covers("param:image")
        ),
        pytest.param(
            {"prompt_cache_options": {"prewarm": True}},
            "prompt_cache_options.prewarm",
            marks=covers("param:prompt_cache_options"),
        ),
        pytest.param({"multi_agent": {"enabled": True}}, "multi_agent", marks=covers("param:multi_agent")),
    ],
)
def test_refused_by_name(client: openai.OpenAI, backend: FakeBackend, body: dict[str, Any], param: str) -> None:
    """What cannot be honoured is a 400 that names it, before any model is asked; its null is accepted."""
    refused(lambda: ask(client, extra_body=body), param=param, code="unsupported_parameter")
    assert backend.calls == []
    assert ask(client, extra_body=dict.fromkeys(body)).status == "completed"


@covers("param:image", "param:prompt_cache_options", "param:background", "param:context_management")
def test_harmless_forms_of_what_is_refused(client: openai.OpenAI) -> None:
    """What changes nothing is accepted, and the effective value is echoed."""
    body = {
        "background": False,
        "context_management": [],
        "image": {"context_compression": "auto"},
        "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
        "multi_agent": {"enabled": False},
    }
    response = dump(ask(client, extra_body=body))
    assert response["background"] is False
    assert response["image"] == {"context_compression": "disabled"}
    assert response["prompt_cache_options"] == {"mode": "implicit", "ttl": "30m"}


@covers("param:access_programs")
def test_access_programs(client: openai.OpenAI, backend: FakeBackend) -> None:
    """Accepted, null in the Response, never sent on."""
    response = dump(ask(client, extra_body={"access_programs": {"cyber": "standard"}}))
    assert response["access_programs"] is None
    assert "access_programs" not in backend.last


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"temperature": 2.5}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_p": -1}, "top_p", "invalid_value"),
        ({"top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"max_output_tokens": 15}, "max_output_tokens", "invalid_value"),
        ({"max_output_tokens": 20.5}, "max_output_tokens", "invalid_type"),
        ({"max_tool_calls": 0}, "max_tool_calls", "invalid_value"),
        ({"presence_penalty": 3}, "presence_penalty", "invalid_value"),
        ({"frequency_penalty": -3}, "frequency_penalty", "invalid_value"),
        ({"safety_identifier": "x" * 129}, "safety_identifier", "invalid_value"),
        ({"truncation": "sometimes"}, "truncation", "invalid_value"),
        ({"store": "yes"}, "store", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [5]}, "tools[0]", "invalid_type"),
        ({"reasoning": {"summary": "loud"}}, "reasoning.summary", "invalid_value"),
        ({"text": {"verbosity": "huge"}}, "text.verbosity", "invalid_value"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"input": [{"role": "nobody", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user", "content": [{"type": "odd"}]}]}, "input[0].content[0].type", "invalid_value"),
        ({"input": [{"role": "user", "content": None}]}, "input[0].content", "invalid_type"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        ({"instructions": 5}, "instructions", "invalid_type"),
        ({"model": 5}, "model", "invalid_type"),
        ({"previous_response_id": 5}, "previous_response_id", "invalid_type"),
    ],
)
def test_wrong_values_name_their_path(
    client: openai.OpenAI, backend: FakeBackend, body: dict[str, Any], param: str, code: str
) -> None:
    """Each is a 400 with the JSON path as ``param``; no model is asked."""
    refused(lambda: ask(client, extra_body=body), param=param, code=code)
    assert backend.calls == []


@covers("param:metadata")
@pytest.mark.parametrize(
    "metadata",
    [{str(n): "v" for n in range(17)}, {"k" * 65: "v"}, {"k": "v" * 513}, {"k": 5}],
    ids=["17 pairs", "long key", "long value", "number"],
)
def test_metadata_limits(client: openai.OpenAI, metadata: Any) -> None:
    """16 pairs, keys of 64 and values of 512 characters, all text; more is a 400 that names ``metadata``."""
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, metadata=metadata)
    assert (caught.value.param or "").startswith("metadata")
    at_the_limit = {**{str(n): "v" for n in range(15)}, "k" * 64: "v" * 512}
    assert ask(client, metadata=at_the_limit).metadata == at_the_limit


@covers("param:personality", "endpoint:POST /v1/responses/input_tokens")
def test_input_tokens(client: openai.OpenAI, server: Server, backend: FakeBackend) -> None:
    """Counts the rendered request, history included, without asking the model; a header says how sure it is."""
    small = client.responses.input_tokens.count(model="m", input="hi", personality="friendly")
    assert small.object == "response.input_tokens"
    assert small.input_tokens > 0
    first = ask(client, "a much longer text than that, by some words")
    tools: Any = [FUNCTION]
    larger = client.responses.input_tokens.with_raw_response.count(
        model="m", input="hi", previous_response_id=first.id, instructions="Be brief.", tools=tools
    )
    assert larger.headers["antiphon-token-count"] == "estimate"
    assert larger.parse().input_tokens > small.input_tokens
    assert len(backend.calls) == 1
    refused(lambda: client.responses.input_tokens.count(input="hi"), param="model", code="missing_required_parameter")
    refused(
        lambda: client.responses.input_tokens.count(model="m", input="hi", personality="p" * 65),
        param="personality",
        code="invalid_type",
    )


@covers("endpoint:POST /v1/responses/input_tokens")
def test_input_tokens_counted_by_the_back_end(servers: Servers, backend: FakeBackend) -> None:
    """Where the back end has a tokenizer its count is given, and called exact."""
    backend.files["/tokenize"] = ("application/json", b'{"count": 42, "max_model_len": 100}')
    server = servers.fresh()
    try:
        raw = server.client.responses.input_tokens.with_raw_response.count(model="m", input="hi")
    finally:
        server.stop()
    assert raw.headers["antiphon-token-count"] == "exact"
    assert raw.parse().input_tokens == 42
    assert backend.others[0].body["messages"] == [{"role": "user", "content": "hi"}]
