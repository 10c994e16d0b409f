"""The Vercel AI SDK drives the server: its schemas find nothing wrong, and its caller sees what the model said."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from antiphon.config import WebSearchConfig
from antiphon.tools.prompts import web_source
from tests.clients.conftest import Suite
from tests.clients.driver import Complaint, Driver, Refused
from tests.server import Servers
from tests.tools.loop.test_taped import provider
from tests.tools.mcp.things import PNG
from tests.tools.mcp.threads import Thread
from tests.upstreams import Break, FakeBackend, delta, text, tool_calls

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def hosted(things: Thread, **more: Any) -> dict[str, Any]:
    return {"serverLabel": "s", "serverUrl": things.url, "requireApproval": "never", **more}


def test_text(vercel: Suite, backend: FakeBackend) -> None:
    """Text, the reason why it ended, and what it cost."""
    backend.answer(*text("Hel", "lo."))
    saw = vercel("generate", system="Be brief.", prompt="Hi.", maxOutputTokens=50, temperature=0.5)
    assert (saw["text"], saw["finish"]) == ("Hello.", "stop")
    assert (saw["usage"]["inputTokens"], saw["usage"]["outputTokens"]) == (7, 3)
    assert saw["metadata"]["openai"]["responseId"].startswith("resp_")
    asked = [(message["role"], message["content"]) for message in backend.last["messages"]]
    assert asked == [("system", "Be brief."), ("user", "Hi.")]


def test_a_stream(vercel: Suite, backend: FakeBackend) -> None:
    """Its parts come in the SDK's order, and the deltas are the text."""
    backend.answer(*text("Hel", "lo", "."))
    saw = vercel("stream")
    assert (saw["text"], saw["deltas"], saw["finish"]) == ("Hello.", "Hello.", "stop")
    assert saw["parts"] == [
        *("start", "start-step", "text-start", "text-delta", "text-delta", "text-delta", "text-end"),
        *("finish-step", "finish"),
    ]


@both
def test_reasoning(vercel: Suite, backend: FakeBackend, stream: bool) -> None:
    """Thoughts, then the answer; each where it belongs."""
    backend.answer(delta(reasoning_content="Let me "), delta(reasoning_content="think."), *text("So it is."))
    saw = vercel("stream" if stream else "generate")
    assert saw["text"] == "So it is."
    assert [each["type"] for each in saw["steps"][0]] == ["reasoning", "text"]
    assert saw["usage"]["outputTokens"] == 3


@both
def test_tools_of_the_client(vercel: Suite, backend: FakeBackend, stream: bool) -> None:
    """Two calls at once, their results, the answer: the model is shown calls and results in the order of the calls."""
    backend.answer(*tool_calls(("c1", "weather", '{"city": "Rome"}'), ("c2", "weather", '{"city": "Oslo"}')))
    backend.answer(*text("Sunny in both."))
    saw = vercel("tools", stream=stream, prompt="Weather?")
    assert saw["text"] == "Sunny in both."
    assert [[each["type"] for each in step] for step in saw["steps"]] == [
        ["tool-call", "tool-call", "tool-result", "tool-result"],
        ["text"],
    ]
    told = [message for message in backend.last["messages"] if message["role"] == "tool"]
    assert [message["content"] for message in told] == ["Sunny in Rome.", "Sunny in Oslo."]


@both
def test_reasoning_between_calls(vercel: Suite, backend: FakeBackend, stream: bool) -> None:
    """Thoughts before a call travel with it into the next round."""
    backend.answer(delta(reasoning_content="Hm."), *tool_calls(("c1", "weather", '{"city": "Rome"}')))
    backend.answer(delta(reasoning_content="Ah."), *text("Sunny."))
    saw = vercel("tools", stream=stream)
    assert [[each["type"] for each in step] for step in saw["steps"]] == [
        ["reasoning", "tool-call", "tool-result"],
        ["reasoning", "text"],
    ]
    assert backend.last["messages"][-1]["content"] == "Sunny in Rome."


def test_nothing_stored(driver: Driver, servers: Servers, backend: FakeBackend) -> None:
    """With ``store: false`` the SDK sends everything again, sealed thoughts too, and the model has them back
    while its turn lasts."""
    server = servers(upstream={"send_reasoning": "reasoning_content"})
    options = {"store": False, "include": ["reasoning.encrypted_content"], "forceReasoning": True}
    backend.answer(delta(reasoning_content="Hm."), *tool_calls(("c1", "weather", '{"city": "Rome"}')))
    backend.answer(delta(reasoning_content="Ah."), *text("Sunny."))
    backend.answer(*text("Still."))
    assert driver("vercel", "history", server.url, options=options) == {"first": "Sunny.", "second": "Still."}
    roles = [message["role"] for message in backend.last["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert backend.requests[1]["messages"][1]["reasoning_content"] == "Hm."


def test_history_by_reference(vercel: Suite, backend: FakeBackend) -> None:
    """Where things are stored it refers to earlier items by their ids, and the model is shown what they say."""
    backend.answer(delta(reasoning_content="Hm."), *tool_calls(("c1", "weather", '{"city": "Rome"}')))
    backend.answer(*text("Sunny."))
    backend.answer(*text("Still."))
    assert vercel("history") == {"first": "Sunny.", "second": "Still."}
    roles = [message["role"] for message in backend.last["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert backend.last["messages"][3]["content"] == "Sunny."


@both
def test_structured_output(vercel: Suite, backend: FakeBackend, stream: bool) -> None:
    """A schema goes to the model, and the answer comes back as its value."""
    backend.answer(*text('{"city": "Rome"', ', "people": 3}'))
    saw = vercel("structured", stream=stream)
    rome = {"city": "Rome", "people": 3}
    assert (saw["whole"] if stream else saw) == rome
    if stream:
        assert saw["partial"][-1] == rome
    form = backend.last["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["required"] == ["city", "people"]


def test_a_chain(vercel: Suite, backend: FakeBackend) -> None:
    """``previousResponseId`` is enough for the second turn."""
    backend.answer(*text("One."))
    backend.answer(*text("Two."))
    assert vercel("chain", prompt="Count.") == {"first": "One.", "second": "Two."}
    assert [message["content"] for message in backend.last["messages"]] == ["Count.", "One.", "And?"]


def test_a_picture(vercel: Suite, backend: FakeBackend) -> None:
    """Bytes of an image reach the model as they are."""
    picture = base64.b64encode(PNG).decode()
    backend.answer(*text("A pixel."))
    assert vercel("attachments", image=picture)["text"] == "A pixel."
    words, image = backend.last["messages"][0]["content"]
    assert words == {"type": "text", "text": "What is this?"}
    assert image["image_url"]["url"] == f"data:image/png;base64,{picture}"


@both
def test_tools_of_the_server(vercel: Suite, backend: FakeBackend, things: Thread, stream: bool) -> None:
    """An MCP server's list, calls and results are parts that the provider has executed."""
    backend.answer(*tool_calls(("c1", "add", '{"a": 1, "b": 2}'), ("c2", "fail", '{"reason": "no"}')))
    backend.answer(*text("It is 3."))
    saw = vercel("hosted", stream=stream, mcp=hosted(things))
    assert saw["text"] == "It is 3."
    calls = [each for each in saw["steps"][0] if each["type"].startswith("tool")]
    assert [each["type"] for each in calls] == ["tool-call", "tool-result", "tool-call", "tool-result"]
    assert all(each["providerExecuted"] for each in calls)
    assert calls[1]["output"]["output"] == "3"
    assert calls[3]["output"]["error"]["type"] == "mcp_tool_execution_error"


@both
def test_a_server_that_cannot_be_reached(vercel: Suite, backend: FakeBackend, stream: bool) -> None:
    """Is told in the list of its tools, and the answer comes all the same."""
    backend.answer(*text("Without it."))
    gone = {"serverLabel": "s", "serverUrl": "http://127.0.0.1:9/mcp", "requireApproval": "never"}
    assert vercel("hosted", stream=stream, mcp=gone)["text"] == "Without it."


@pytest.mark.parametrize("approve", [True, False])
def test_approvals(vercel: Suite, backend: FakeBackend, things: Thread, *, approve: bool) -> None:
    """The call waits for the answer to the SDK's request, which it refers to by its id, and is made, or is not."""
    backend.answer(*tool_calls(("c1", "put", '{"text": "x"}')))
    backend.answer(*text("Well."))
    mcp = hosted(things, requireApproval="always")
    saw = vercel("approval", mcp=mcp, approve=approve)
    assert (saw["asked"], saw["text"]) == (["mcp.put"], "Well.")
    said = "put x" if approve else "The user did not approve this call."
    assert backend.last["messages"][-1]["content"] == said


def test_an_end_for_want_of_tokens(vercel: Suite, backend: FakeBackend) -> None:
    """Is told as such."""
    backend.answer(*text("It was a", finish="length"))
    saw = vercel("stream", maxOutputTokens=16)
    assert (saw["text"], saw["finish"]) == ("It was a", "length")


@pytest.mark.parametrize("name", ["generate", "stream"])
def test_a_refused_request(vercel: Suite, backend: FakeBackend, name: str) -> None:
    """Keeps its status and its words."""
    backend.refuse(429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}})
    with pytest.raises(Refused) as caught:
        vercel(name)
    assert (caught.value.error["status"], caught.value.error["message"]) == (429, "Slow down.")


def test_a_warning_is_heard(vercel: Suite, backend: FakeBackend) -> None:
    """What a client has to complain of fails a test, whatever it made of the answer."""
    with pytest.raises(Complaint, match="temperature"):
        vercel("generate", temperature=1, options={"forceReasoning": True})


def test_a_stream_that_breaks(vercel: Suite, backend: FakeBackend) -> None:
    """Never looks like one that has ended well."""
    backend.answer(delta(content="It was a"), Break())
    with pytest.raises(Refused) as caught:
        vercel("stream")
    assert "upstream" in str(caught.value.error).lower()


@both
def test_citations(driver: Driver, servers: Servers, backend: FakeBackend, stream: bool) -> None:
    """A web search in the server gives the SDK its sources: those of the search or, where it does not ask for them,
    those that the text cites. No marker reaches the text."""
    saw = []
    with provider() as url:
        server = servers.fresh(tools={"web_search": WebSearchConfig(provider="tavily", key="tvly-a-key", url=url)})
        try:
            for include in (True, False):
                backend.answer(*tool_calls(("c1", "web_search", '{"query": "antiphon"}')))
                marker = web_source("https://a.example/x", "A").key
                backend.answer(*text("They are ", f"sung <|{marker}|>", "."))
                options = {"includeWebSearchSources": include}
                saw.append(driver("vercel", "hosted", server.url, stream=stream, search={}, options=options))
        finally:
            server.stop()
    assert [one["text"] for one in saw] == ["They are sung."] * 2
    found, cited = (one["sources"] for one in saw)
    assert (found, cited) == ([{"url": "https://a.example/x"}], [{"url": "https://a.example/x", "title": "A"}])
    call, result = [each for each in saw[0]["steps"][0] if each["type"].startswith("tool")]
    assert (call["toolName"], call["providerExecuted"]) == ("web_search", True)
    assert result["output"]["action"] == {"type": "search", "query": "antiphon", "queries": ["antiphon"]}
    assert [one["url"] for one in result["output"]["sources"]] == ["https://a.example/x"]


def test_a_file(vercel: Suite, backend: FakeBackend) -> None:
    """Bytes of a document reach the model."""
    note = b"Antiphons are sung by two choirs."
    file = base64.b64encode(note).decode()
    backend.answer(*text("A note."))
    options = {"passThroughUnsupportedFiles": True}
    saw = vercel("attachments", file=file, filename="note.txt", mediaType="text/plain", options=options)
    assert saw["text"] == "A note."
    _, told = backend.last["messages"][0]["content"]
    assert note.decode() in told.get("text", "") or file in told["file"]["file_data"]
