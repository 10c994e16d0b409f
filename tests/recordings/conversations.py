"""Recordings strung together into the conversations they come from, and a client that has those conversations again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import openai

from tests.recordings.backend import SCOPE
from tests.recordings.tape import Json, Recording

#: Fields of a recorded request that the Responses API has under the same name.
_SAME = ("parallel_tool_calls", "temperature", "top_p", "tool_choice")
#: Those that our server says by itself, or that say nothing.
_IMPLIED = {"model", "messages", "tools", "stream", "stream_options", "service_tier", "response_format"}


class Conversation(tuple[Recording, ...]):
    """Turns of one conversation in order. A turn before the first may be missing: then its words are input."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """What a test calls it, and its scope at the back end."""
        return self[-1].name[:16]

    @property
    def expressible(self) -> bool:
        """Whether function tools and messages suffice to have it."""
        forms = [one.request.get("response_format") or {"type": "text"} for one in self]
        known = all(one.request.keys() <= _IMPLIED | set(_SAME) for one in self)
        return (
            known and all(form["type"] == "text" for form in forms) and all(one.request.get("stream") for one in self)
        )

    def scoped(self) -> Iterator[Recording]:
        """Its recordings, findable as this conversation's only."""
        return (dataclasses.replace(one, scope=self.name) for one in self)


def strung(recordings: Sequence[Recording]) -> list[Conversation]:
    """The conversations that end in a recording which no other one continues."""
    parents = {one.name: _parent(one, recordings) for one in recordings}
    continued = {parent.name for parent in parents.values() if parent is not None}
    found = []
    for one in recordings:
        if one.name not in continued:
            turns = [one]
            while (parent := parents[turns[0].name]) is not None:
                turns.insert(0, parent)
            found.append(Conversation(turns))
    return found


def _parent(child: Recording, recordings: Sequence[Recording]) -> Recording | None:
    """The recording after whose answer this request was made."""
    for one in recordings:
        told = len(one.request["messages"])
        if one.scope == child.scope and told < len(child.request["messages"]):
            answer = child.request["messages"][told]
            same = answer["role"] == "assistant" and (answer.get("content") or "") == one.text
            if same and _calls(answer) == one.calls and child.messages[:told] == one.messages:
                return one
    return None


def _calls(message: Json) -> list[tuple[str, str, str]]:
    calls = message.get("tool_calls") or ()
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


def play(client: openai.OpenAI, conversation: Conversation, *, stream: bool) -> None:
    """Has the conversation through the SDK, in the part of the tools; every answer must be the recorded one."""
    previous: str | None = None
    told = 0
    for turn in conversation:
        response = _ask(client, conversation.name, turn, told, previous, stream=stream)
        assert response.status == "completed", response.error
        assert response.output_text == turn.text
        calls = [(one.call_id, one.name, one.arguments) for one in response.output if one.type == "function_call"]
        assert calls == turn.calls
        # What comes next in the chat is what the model has just said; the server remembers that by itself.
        previous, told = response.id, len(turn.request["messages"]) + 1


def _ask(
    client: openai.OpenAI, scope: str, turn: Recording, told: int, previous: str | None, *, stream: bool
) -> openai.types.responses.Response:
    request = turn.request
    tools: list[Any] = [{"type": "function", "strict": None, **tool["function"]} for tool in request.get("tools") or ()]
    asked = {name: request[name] for name in _SAME if name in request}
    made = client.responses.create(
        model=request["model"],
        input=list(items(request["messages"][told:])),
        previous_response_id=previous,
        tools=tools,
        extra_headers={SCOPE: scope},
        stream=stream,
        **asked,
    )
    if not isinstance(made, openai.Stream):
        return made
    with made:
        events = list(made)
    last = events[-1]
    assert last.type == "response.completed", last
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == last.response.output_text
    return last.response


def items(messages: Sequence[Json]) -> Iterator[Any]:
    """The messages as a client of the Responses API sends them."""
    for message in messages:
        content, role = message.get("content"), message["role"]
        kind = "output_text" if role == "assistant" else "input_text"
        if isinstance(content, list):
            content = [{"type": kind, "text": part["text"]} for part in content]
        if role == "tool":
            yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": content}
            continue
        if content:
            yield {"role": role, "content": content}
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield {"type": "function_call", "call_id": call["id"], **function}
