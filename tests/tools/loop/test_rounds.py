"""The loop over a socket: the model asks, our tools answer, and the model goes on with what they gave."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import Response

from tests.behaviour.hosts import Host, Hosts
from tests.tools.loop.probe import Meeting, Probe, ProbeKit, forever, gives, raises
from tests.upstreams import FakeBackend, call_piece, delta, text, tool_calls, usage

TOOLS: list[Any] = [{"type": "web_search"}]
THEIRS: dict[str, Any] = {"type": "function", "name": "theirs", "parameters": {"type": "object", "properties": {}}}


def ask(server: Host, **more: Any) -> Response:
    body = {"model": "m", "input": "Look it up.", "tools": TOOLS, **more}
    return server.client.responses.create(**body)


def shown(backend: FakeBackend, n: int) -> list[tuple[str, Any]]:
    """The n-th prompt as (role, what it says): calls as names and arguments, results as text."""
    told = []
    for message in backend.requests[n]["messages"]:
        calls = [(one["function"]["name"], one["function"]["arguments"]) for one in message.get("tool_calls", ())]
        told.append((message["role"], calls or message["content"]))
    return told


def kinds(response: Response) -> list[str]:
    return [item.type for item in response.output]


def test_a_call_and_its_answer(hosts: Hosts, backend: FakeBackend) -> None:
    """The model is asked again with its own call and what came of it; the tool's item stands before the answer."""
    kit = ProbeKit(Probe("look", gives("It is 42.")))
    server = hosts(kits=[kit])
    backend.answer(*tool_calls(("c1", "look", '{"q": 1}')))
    backend.answer(*text("So: 42."))
    response = ask(server)
    assert response.status == "completed"
    assert response.output_text == "So: 42."
    assert kinds(response) == ["web_search_call", "message"]
    assert shown(backend, 1) == [
        ("user", "Look it up."),
        ("assistant", [("look", '{"q": 1}')]),
        ("tool", "It is 42."),
    ]
    assert response.usage is not None
    assert response.usage.output_tokens == 2 * 3
    assert kit.closed == 1


def test_the_stream_is_the_response(hosts: Hosts, backend: FakeBackend) -> None:
    """Events of tools are numbered with the others, and the SDK's own accumulation gives the response."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("fine")))])
    backend.answer(*text("One moment.")[:1], *tool_calls(("c1", "look", "{}"), ("c2", "look", "{}")))
    backend.answer(*text("Done."))
    with server.client.responses.stream(model="m", input="x", tools=TOOLS) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert kinds(final) == ["message", "web_search_call", "web_search_call", "message"]
    added = [event.output_index for event in events if event.type == "response.output_item.added"]
    assert added == [0, 1, 2, 3]
    stored = server.client.responses.retrieve(final.id)
    assert stored.to_dict()["output"] == server.http.get(f"/v1/responses/{final.id}").json()["output"]
    assert [item.id for item in stored.output] == [item.id for item in final.output]
    again = server.read_events("GET", f"/v1/responses/{final.id}?stream=true")
    assert [event["type"] for event in again] == [event.type for event in events]


def test_together_and_in_order(hosts: Hosts, backend: FakeBackend) -> None:
    """Calls that can only end together end, the last first; their items and results stand in the order of the calls."""
    server = hosts(kits=[ProbeKit(Probe("look", Meeting(4)))])
    backend.answer(*tool_calls(*((f"c{n}", "look", f'{{"n": {n}}}') for n in range(4))))
    backend.answer(*text("ok"))
    response = ask(server)
    queries = [item.action.query for item in response.output if item.type == "web_search_call"]  # type: ignore[union-attr]
    assert queries == [f'{{"n": {n}}}' for n in range(4)]
    assert [said for role, said in shown(backend, 1) if role == "tool"] == [f"answer {n}" for n in range(4)]


def test_one_after_the_other(hosts: Hosts, backend: FakeBackend) -> None:
    """Without ``parallel_tool_calls`` a call begins when the one before it is over."""
    seen: list[str] = []

    async def act(arguments: dict[str, Any]) -> str:
        seen.append(f"in {arguments['n']}")
        for _ in range(3):
            await __import__("asyncio").sleep(0)
        seen.append(f"out {arguments['n']}")
        return "ok"

    server = hosts(kits=[ProbeKit(Probe("look", act))])
    backend.answer(*tool_calls(("a", "look", '{"n": 0}'), ("b", "look", '{"n": 1}')))
    ask(server, parallel_tool_calls=False)
    assert seen == ["in 0", "out 0", "in 1", "out 1"]


def test_ours_run_and_theirs_are_returned(hosts: Hosts, backend: FakeBackend) -> None:
    """One answer with both: the response ends with theirs, and goes on with its output in the next request."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("found")))])
    backend.answer(*tool_calls(("c1", "look", "{}"), ("c2", "theirs", "{}")))
    first = ask(server, tools=[*TOOLS, THEIRS])
    assert sorted(kinds(first)) == ["function_call", "web_search_call"]
    assert len(backend.requests) == 1
    backend.answer(*text("Both."))
    output = {"type": "function_call_output", "call_id": "c2", "output": "mine"}
    second = ask(server, tools=[*TOOLS, THEIRS], input=[output], previous_response_id=first.id)
    assert second.output_text == "Both."
    said = shown(backend, 1)
    assert said[0] == ("user", "Look it up.")
    assert sorted(said[1][1]) == [("look", "{}"), ("theirs", "{}")]
    assert sorted(said[2:]) == [("tool", "found"), ("tool", "mine")]


def test_the_next_request_knows_the_words(hosts: Hosts, backend: FakeBackend) -> None:
    """A chain and a conversation show the model its earlier calls exactly as the round before did."""
    server = hosts(kits=[ProbeKit(Probe("look", gives([{"type": "text", "text": "in parts"}])))])
    talk = server.client.conversations.create().id
    for more in ({}, {"conversation": talk}):
        backend.reset()
        backend.answer(*tool_calls(("c1", "look", '{"q":"ä"}')))
        backend.answer(*text("First."))
        first = ask(server, **more)
        backend.answer(*text("Second."))
        ask(server, input="And?", **(more or {"previous_response_id": first.id}))
        within, after = backend.requests[1]["messages"], backend.requests[2]["messages"]
        assert after[: len(within)] == within
        assert [message["role"] for message in after[len(within) :]] == ["assistant", "user"]


def test_the_limit_of_calls(hosts: Hosts, backend: FakeBackend) -> None:
    """Calls beyond ``max_tool_calls`` are not made; the model is told so in these words, and answers."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("made")))])
    backend.answer(*tool_calls(("a", "look", "{}"), ("b", "look", "{}")))
    backend.answer(*tool_calls(("c", "look", "{}")))
    backend.answer(*text("Enough."))
    response = ask(server, max_tool_calls=1)
    skipped = "Tool call skipped: maximum tool calls limit (1) reached."
    assert kinds(response) == ["web_search_call", "message"]
    assert [said for role, said in shown(backend, 2) if role == "tool"] == ["made", skipped, skipped]
    backend.answer(*text("ok"))
    ask(server, input="Go on.", previous_response_id=response.id)
    assert [said for role, said in shown(backend, 3) if role == "tool"] == ["made", skipped, skipped]


def test_the_limit_of_rounds(hosts: Hosts, backend: FakeBackend) -> None:
    """The last time the model may call nothing, and answers with what it has."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("made")))], responses={"max_rounds": 3})
    for n in range(2):
        backend.answer(*tool_calls((f"c{n}", "look", "{}")))
    backend.answer(*text("As far as I know."))
    response = ask(server)
    assert response.output_text == "As far as I know."
    assert [body.get("tool_choice") for body in backend.requests] == [None, None, "none"]


@pytest.mark.parametrize("budget", [{"max_run_tokens": 5}, {"max_run_seconds": 0.000001}])
def test_the_budgets(hosts: Hosts, backend: FakeBackend, budget: dict[str, float]) -> None:
    """So it does once the tokens or the seconds of the run are spent."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("made")))], responses=budget)
    backend.answer(*tool_calls(("c", "look", "{}")))
    ask(server)
    assert backend.last["tool_choice"] == "none"


def test_the_tokens_of_all_rounds(hosts: Hosts, backend: FakeBackend) -> None:
    """``max_output_tokens`` is for the response: the next round gets what is left of it."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("made")))])
    backend.answer(*tool_calls(("c", "look", "{}")))
    ask(server, max_output_tokens=100)
    assert [body["max_completion_tokens"] for body in backend.requests] == [100, 97]


def test_no_tokens_left(hosts: Hosts, backend: FakeBackend) -> None:
    """A response whose calls took all of them is incomplete, with what came of the calls."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("made")))])
    backend.answer(call_piece(0, "a", "look", "{}"), delta("tool_calls"), usage(completion=20))
    response = ask(server, max_output_tokens=16)
    assert (response.status, kinds(response)) == ("incomplete", ["web_search_call"])
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert len(backend.requests) == 1


def test_a_forced_call_is_forced_once(hosts: Hosts, backend: FakeBackend) -> None:
    """Or the run would never end."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("made")))])
    backend.answer(*tool_calls(("c", "look", "{}")))
    ask(server, tool_choice={"type": "web_search"})
    forced = {"type": "function", "function": {"name": "look"}}
    assert [body.get("tool_choice") for body in backend.requests] == [forced, None]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (raises(RuntimeError("secret of the house")), "The tool failed."),
        (forever, "The tool gave no result within 0.05 seconds."),
    ],
)
def test_a_tool_that_fails(
    hosts: Hosts, backend: FakeBackend, act: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is told, the item is closed as failed, and the response is completed."""
    monkeypatch.setattr("antiphon.responses.serving._GRACE", 0.0)
    server = hosts(kits=[ProbeKit(Probe("look", act), Probe("other", gives("fine")))], tools={"call_seconds": 0.05})
    backend.answer(*tool_calls(("a", "look", "{}"), ("b", "other", "{}")))
    backend.answer(*text("Sorry."))
    response = ask(server)
    assert response.status == "completed"
    assert [(item.type, item.status) for item in response.output] == [  # type: ignore[union-attr]
        ("web_search_call", "failed"),
        ("web_search_call", "completed"),
        ("message", "completed"),
    ]
    assert [said for role, said in shown(backend, 1) if role == "tool"] == [words, "fine"]


def test_too_much_output(hosts: Hosts, backend: FakeBackend) -> None:
    """It is cut, and the model is told how much of it there was."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("é" * 1000)))], tools={"max_output_bytes": 101})
    backend.answer(*tool_calls(("a", "look", "{}")))
    ask(server)
    (said,) = (said for role, said in shown(backend, 1) if role == "tool")
    assert said == "é" * 50 + "\n[Cut here: the output has 2000 bytes, and 101 are shown.]"


def test_citations(hosts: Hosts, backend: FakeBackend) -> None:
    """Markers become annotations with places in the text, in this response and in those that follow it."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("see <|web-1|>"), cites="web-1"))])
    backend.answer(*tool_calls(("a", "look", "{}")))
    backend.answer(
        *[delta(content=piece) for piece in ("It ra", "ins <|we", "b-1|>", ". Yes <|web-9|>.")], delta("stop"), usage()
    )
    first = ask(server)
    assert first.output_text == "It rains. Yes."
    (note,) = first.output[-1].content[0].annotations  # type: ignore[union-attr]
    assert (note.url, note.start_index, note.end_index) == ("https://web-1.example", 0, 8)
    backend.answer(*text("Again <|web-1|>."))
    second = ask(server, input="And?", previous_response_id=first.id)
    assert second.output_text == "Again."
    assert len(second.output[-1].content[0].annotations) == 1  # type: ignore[union-attr]
    backend.answer(*text("Once more <|web-1|>."))
    third = ask(server, input="And now?", previous_response_id=second.id, tools=[])
    assert third.output_text == "Once more."


def test_a_call_that_waits(hosts: Hosts, backend: FakeBackend) -> None:
    """An approval is asked for and the response ends; allowed, the call is made before the model is asked again."""
    kit = ProbeKit(Probe("pay", gives("-"), asks=True), approved={"pay": gives("paid")})
    server = hosts(kits=[kit])
    backend.answer(*tool_calls(("c1", "pay", '{"sum": 1}')))
    first = ask(server)
    assert kinds(first) == ["mcp_approval_request"]
    assert first.status == "completed"
    answer = {"type": "mcp_approval_response", "approval_request_id": first.output[0].id, "approve": True}
    backend.answer(*text("Paid."))
    second = ask(server, input=[answer], previous_response_id=first.id)
    assert second.output_text == "Paid."
    assert kinds(second) == ["web_search_call", "message"]
    assert shown(backend, 1)[1:] == [("assistant", [("pay", '{"sum": 1}')]), ("tool", "paid")]
    backend.answer(*text("Bye."))
    ask(server, input="Bye.", previous_response_id=second.id)
    assert shown(backend, 2)[1:3] == shown(backend, 1)[1:]


def test_a_call_that_is_refused(hosts: Hosts, backend: FakeBackend) -> None:
    """The model is told so, with the reason, and nothing is called."""
    server = hosts(kits=[ProbeKit(Probe("pay", gives("-"), asks=True))])
    backend.answer(*tool_calls(("c1", "pay", "{}")))
    first = ask(server)
    answer = {"type": "mcp_approval_response", "approval_request_id": first.output[0].id, "approve": False}
    backend.answer(*text("As you like."))
    second = ask(server, input=[{**answer, "reason": "too much"}], previous_response_id=first.id)
    assert second.output_text == "As you like."
    said = "The user did not approve this call. Reason: too much"
    assert shown(backend, 1)[1:] == [("assistant", [("pay", "{}")]), ("tool", said)]
    reply = server.http.post("/v1/responses", json={"model": "m", "input": [{**answer, "approval_request_id": "x"}]})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "input[0].approval_request_id"


def test_what_is_wrong_with_a_tool(hosts: Hosts, backend: FakeBackend) -> None:
    """Is refused before anything begins, by its path."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("-")))])
    reply = server.http.post("/v1/responses", json={"model": "m", "input": "x", "tools": [{**TOOLS[0], "wrong": 1}]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "tools[0].wrong")
    assert backend.calls == []


def test_who_hangs_up_ends_the_calls(hosts: Hosts, backend: FakeBackend) -> None:
    """The run of a client that has gone does not wait for a tool."""
    server = hosts(kits=[ProbeKit(Probe("look", forever))])
    backend.answer(*tool_calls(("a", "look", "{}")))
    with server.client.responses.stream(model="m", input="x", tools=TOOLS) as stream:
        for event in stream:
            if event.type == "response.web_search_call.searching":
                break
        stream.close()
    server.idle()


def test_a_name_that_comes_late(hosts: Hosts, backend: FakeBackend) -> None:
    """A call whose name comes only after its arguments began is served like any other."""
    server = hosts(kits=[ProbeKit(Probe("look", gives("late")))])
    backend.answer(call_piece(0, "a", None, "{"), call_piece(0, None, "look", "}"), delta("tool_calls"), usage())
    backend.answer(*text("ok"))
    assert kinds(ask(server)) == ["web_search_call", "message"]
