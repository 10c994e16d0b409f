"""The built-in model, through the door and through the official SDK."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import ambient
from antiphon.errors import UpstreamError
from antiphon.upstream.demo import DemoTransport, demo_upstream
from antiphon.upstream.demo.markers import Script
from antiphon.upstream.demo.prompt import pieces
from antiphon.upstream.demo.schema import instance
from antiphon.upstream.door import Door, read_all
from antiphon.wire.chat import ChatChunk
from tests.upstream.loopback import ask, bridged, collect, text_of

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK, talking to the demo model over a socket."""
    async with (
        bridged(DemoTransport(), "demo://model/v1") as url,
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client,
    ):
        yield client


async def answered(door: Door, text: str, **more: object) -> list[ChatChunk]:
    return await collect(await demo_upstream(door).stream(ask(text, **more)))


def calls_of(chunks: list[ChatChunk]) -> list[tuple[str, str]]:
    """The calls of a stream: (name, arguments)."""
    calls: dict[int | None, list[str]] = {}
    for choice in (o for c in chunks for o in c.choices or []):
        for call in (choice.delta.tool_calls if choice.delta is not None else None) or []:
            assert call.function is not None
            held = calls.setdefault(call.index, ["", ""])
            held[0] += call.function.name or ""
            held[1] += str(call.function.arguments or "")
    return [(name, arguments) for name, arguments in calls.values()]


def finish_of(chunks: list[ChatChunk]) -> list[str]:
    return [o.finish_reason for c in chunks for o in c.choices or [] if o.finish_reason is not None]


async def test_it_quotes_what_it_hears(door: Door) -> None:
    """Without a marker the answer quotes the last message, streams in pieces and counts its tokens."""
    chunks = await answered(door, "Good morning, machine!")
    assert "Good morning, machine!" in text_of(chunks)
    assert finish_of(chunks) == ["stop"]
    assert len(chunks) > 4
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens


async def test_the_same_question_has_the_same_answer(door: Door) -> None:
    """Two streams of one request are equal to the byte."""
    demo = demo_upstream(door)
    body = json.dumps(ask("[[think a]] [[call weather]]", tools=[WEATHER])).encode()
    answers = []
    for _ in range(2):
        with ambient.freeze("test"):
            answers.append(await read_all(await demo.forward("POST", "/chat/completions", body), 1 << 20))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("prompt", "text", "finish"),
    [
        ("[[say Hello {user}!]] Ann", "Hello Ann!", "stop"),
        ("[[say {nothing} {model}]]", "{nothing} demo", "stop"),
        ("[[long 3]]", "word1 word2 word3", "stop"),
        ('[[json {"a": [[1], "]]"]}]]', '{"a": [[1], "]]"]}', "stop"),
        ('[[json {"a": "x]] y"}]]', '{"a": "x]] y"}', "stop"),
        ("[[say one two three four]] [[cut 2]]", "one two", "length"),
        ("[[say no]] [[filter]]", "no", "content_filter"),
        ("[[think-tags hm]] [[say ok]]", "<think>hm</think>ok", "stop"),
        ("[[unknown x]]", 'You said: "[[unknown x]]".', "stop"),
        ("[[say open", 'You said: "[[say open".', "stop"),
    ],
)
async def test_markers_for_text(door: Door, prompt: str, text: str, finish: str) -> None:
    """Each marker does what the manual says."""
    chunks = await answered(door, prompt)
    assert (text_of(chunks), finish_of(chunks)) == (text, [finish])


@pytest.mark.parametrize(("verb", "field"), [("think", "reasoning_content"), ("think-field", "reasoning")])
async def test_it_reasons_aloud(door: Door, verb: str, field: str) -> None:
    """Reasoning comes before the text, in the field asked for, and is counted."""
    chunks = await answered(door, f"[[{verb} first, then]] [[say done]]")
    thoughts = [getattr(o.delta, field) for c in chunks for o in c.choices or [] if o.delta is not None]
    assert "".join(t for t in thoughts if t) == "first, then"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == len(pieces("first, then"))


async def test_it_refuses(door: Door) -> None:
    """A refusal is a refusal, not text."""
    chunks = await answered(door, "[[refuse Not that.]]")
    said = [o.delta.refusal for c in chunks for o in c.choices or [] if o.delta is not None and o.delta.refusal]
    assert ("".join(said), text_of(chunks)) == ("Not that.", "")


async def test_calls_in_turn_then_the_answer(door: Door) -> None:
    """The calls of a script come one a turn, and the answer after the last result."""
    script = '[[call weather {"city": "Rome", "days": 2}]] [[call clock]] [[then Got {results}.]]'
    messages: list[dict[str, Any]] = [{"role": "user", "content": script}]
    seen = []
    for turn in range(3):
        chunks = await answered(door, "", messages=messages, tools=[WEATHER, CLOCK])
        calls = calls_of(chunks)
        if not calls:
            break
        seen += calls
        assert finish_of(chunks) == ["tool_calls"]
        (name, arguments) = calls[0]
        made = {"id": f"c{turn}", "type": "function", "function": {"name": name, "arguments": arguments}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [made]})
        messages.append({"role": "tool", "tool_call_id": f"c{turn}", "content": f"r{turn}"})
    assert seen == [("weather", '{"city": "Rome", "days": 2}'), ("clock", "{}")]
    assert text_of(chunks) == "Got r0; r1."


async def test_calls_together(door: Door) -> None:
    """All at once when told to, unless the client does not want parallel calls."""
    script = "[[together]] [[call weather]] [[call clock]] city=Oslo days=3"
    assert calls_of(await answered(door, script, tools=[WEATHER, CLOCK])) == [
        ("weather", '{"city":"Oslo","days":3}'),
        ("clock", "{}"),
    ]
    alone = await answered(door, script, tools=[WEATHER, CLOCK], parallel_tool_calls=False)
    assert [name for name, _ in calls_of(alone)] == ["weather"]


async def test_no_tool_when_none_may_be_called(door: Door) -> None:
    """``tool_choice: none`` wins over the script."""
    chunks = await answered(door, "[[call clock]]", tools=[CLOCK], tool_choice="none")
    assert calls_of(chunks) == []


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", []),
        ("auto", []),
        ("required", ["weather"]),
        ({"type": "function", "function": {"name": "clock"}}, ["clock"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "clock"}}]},
            },
            ["clock"],
        ),
    ],
)
async def test_tool_choice_is_obeyed(door: Door, choice: Any, called: list[str]) -> None:
    """Every form of tool_choice decides."""
    chunks = await answered(door, "hello", tools=[WEATHER, CLOCK], tool_choice=choice)
    assert [name for name, _ in calls_of(chunks)] == called


async def test_a_tool_that_is_not_offered_is_not_called(door: Door) -> None:
    """A call needs its tool."""
    chunks = await answered(door, "[[call nothing]]", tools=[WEATHER])
    assert (calls_of(chunks), finish_of(chunks)) == ([], ["stop"])


async def test_it_calls_for_ever_when_told(door: Door) -> None:
    """[[again]] repeats the call whatever came before."""
    made = {"id": "c", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    messages = [{"role": "user", "content": "[[again]] [[call clock]]"}]
    messages += [{"role": "assistant", "tool_calls": [made]}, {"role": "tool", "tool_call_id": "c", "content": "1"}] * 5  # type: ignore[list-item]
    assert [n for n, _ in calls_of(await answered(door, "", messages=messages, tools=[CLOCK]))] == ["clock"]


async def test_instructions_may_be_the_script(door: Door) -> None:
    """Markers in the instructions count where the message has none."""
    messages = [{"role": "system", "content": "Be brief. [[say {system} {user}]]"}, {"role": "user", "content": "yo"}]
    assert text_of(await answered(door, "", messages=messages)) == "Be brief. yo"


async def test_trouble_on_demand(door: Door) -> None:
    """Statuses, breaks, errors in the stream and a window that is too small."""
    for prompt, status, code in (
        ("[[error 503 code=busy retry-after=2 Come back]]", 503, "busy"),
        ("[[window 3]] much too long a text", 400, "context_length_exceeded"),
        ("[[break 2]] [[long 9]]", 502, "upstream_stream_cut"),
        ("[[fail 2]] [[long 9]]", 502, "server_error"),
    ):
        with pytest.raises(UpstreamError) as caught:
            await answered(door, prompt)
        assert (caught.value.status, caught.value.code) == (status, code)


async def test_a_hanging_stream_can_be_left(door: Door) -> None:
    """[[hang]] waits until the reader goes."""
    stream = await demo_upstream(door).stream(ask("[[hang 2]] [[long 9]]"))
    await anext(stream)
    await anext(stream)
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stream.aclose()


async def test_it_counts_exactly(door: Door) -> None:
    """Its tokenizer endpoint agrees with its usage."""
    request = ask("count these words", tools=[WEATHER])
    chunks = await collect(await demo_upstream(door).stream(request))
    assert chunks[-1].usage is not None
    assert await demo_upstream(door).count_tokens(request) == chunks[-1].usage.prompt_tokens


async def test_the_sdk_streams(client: openai.AsyncOpenAI) -> None:
    """The SDK's accumulator reads the stream."""
    async with client.chat.completions.stream(
        model="demo", messages=[{"role": "user", "content": "[[say hi there]]"}], stream_options={"include_usage": True}
    ) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "hi there"
    assert final.usage is not None


async def test_the_sdk_without_streaming(client: openai.AsyncOpenAI) -> None:
    """Whole completions: text, alternatives, calls, log probabilities."""
    whole = await client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "[[say a b]]"}], n=2, logprobs=True, top_logprobs=2
    )
    assert [c.message.content for c in whole.choices] == ["a b", "a b (2)"]
    assert whole.choices[0].logprobs is not None
    assert whole.choices[0].logprobs.content is not None
    assert [t.token for t in whole.choices[0].logprobs.content] == ["a", " b"]
    assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2
    called = await client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "[[call weather]]"}],
        tools=[WEATHER],  # type: ignore[list-item]
    )
    assert called.choices[0].message.tool_calls is not None
    assert called.choices[0].finish_reason == "tool_calls"


async def test_the_sdk_sees_typed_errors(client: openai.AsyncOpenAI) -> None:
    """Statuses become the SDK's exceptions."""
    for prompt, error in (("[[error 429]]", openai.RateLimitError), ("[[error 401]]", openai.AuthenticationError)):
        with pytest.raises(error):
            await client.chat.completions.create(model="demo", messages=[{"role": "user", "content": prompt}])
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="other", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="demo", messages=[])


async def test_legacy_completions(client: openai.AsyncOpenAI) -> None:
    """``/completions``, streamed and not."""
    whole = await client.completions.create(model="demo", prompt=["[[say a]]", "[[say b]]"])
    assert [c.text for c in whole.choices] == ["a", "b"]
    parts = [p async for p in await client.completions.create(model="demo", prompt="[[say a b]]", stream=True)]
    assert "".join(c.text for p in parts for c in p.choices) == "a b"


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    """Unit vectors, the same in both encodings, near for texts that share words, of the length asked for."""
    texts = ["the cat sat on the mat", "a cat on a mat", "quarterly revenue grew"]
    plain = await client.embeddings.create(model="demo", input=texts, encoding_format="float")
    packed = await client.post(
        "/embeddings", body={"model": "demo", "input": texts, "encoding_format": "base64"}, cast_to=dict[str, Any]
    )
    one, two, three = [d.embedding for d in plain.data]
    assert math.isclose(math.fsum(x * x for x in one), 1.0)
    assert sum(map(float.__mul__, one, two)) > sum(map(float.__mul__, one, three)) + 0.2
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack(f"<{len(one)}f", raw) == pytest.approx(one, abs=1e-6)
    short = await client.embeddings.create(model="demo", input="x", dimensions=7)
    assert len(short.data[0].embedding) == 7


async def test_models(client: openai.AsyncOpenAI) -> None:
    """It lists itself."""
    assert [m.id async for m in client.models.list()] == ["demo"]
    assert (await client.models.retrieve("demo")).id == "demo"


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer", "exclusiveMinimum": 3}}, "required": ["a"]},
    {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2},
    {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 9, "maxLength": 12}]},
    {"$defs": {"n": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}},
     "required": ["next"]}}, "$ref": "#/$defs/n"},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
               {"properties": {"b": {"const": 1}}, "required": ["b"]}]},
    {"type": ["null", "number"], "minimum": 2.5, "maximum": 3},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date"}}, "required": ["when"]},
    {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}, "required": ["tags"]},
]  # fmt: skip


def test_a_list_of_lists_takes_no_values_from_the_prompt() -> None:
    """``key=a|b`` fills a list of plain values; a list of anything else is made as if nothing was said."""
    schema = {"properties": {"k": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}}}
    assert instance(schema, {"k": "a|b"}) == {"k": [["demo"]]}
    assert instance({"properties": {"k": {"type": "array", "items": {}}}}, {"k": "a|b"}) == {"k": ["a", "b"]}


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_schemas_are_filled(door: Door, schema: dict[str, Any]) -> None:
    """The answer under a JSON schema fits the schema."""
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    answer = json.loads(text_of(await answered(door, "please", response_format=form)))
    jsonschema.validate(answer, schema)


async def test_fields_take_their_values_from_the_prompt(door: Door) -> None:
    """``key=value`` fills the field of that name, as its type."""
    schema = WEATHER["function"]["parameters"]  # type: ignore[index]
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    answer = text_of(await answered(door, 'city="New York" days=4', response_format=form))
    assert json.loads(answer) == {"city": "New York", "days": 4}
    plain = text_of(await answered(door, "a=1, b=x", response_format={"type": "json_object"}))
    assert json.loads(plain) == {"a": "1", "b": "x"}


SCALARS = st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda t: {"type": t})
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3).map(
            lambda p: {"type": "object", "properties": p, "required": list(p)}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda o: {"anyOf": o}),
    ),
    max_leaves=8,
)


@given(NESTED, st.dictionaries(st.text(min_size=1, max_size=3), st.text(max_size=4), max_size=2))
def test_any_schema_is_filled(schema: dict[str, Any], given_values: dict[str, str]) -> None:
    """Whatever the schema, the value fits it, whatever the prompt said."""
    jsonschema.validate(instance(schema, given_values), schema)


@given(st.text(alphabet='[]{}"\\ say:,x\n', max_size=40))
def test_no_text_confuses_the_script(text: str) -> None:
    """Brackets and quotes of any kind make a script or plain text, and never raise."""
    script = Script(text)
    assert bool(script) == bool(script.markers)


@given(st.text(max_size=60))
def test_tokens_join_to_the_text(text: str) -> None:
    """Cutting into tokens loses nothing."""
    assert "".join(pieces(text)) == text
