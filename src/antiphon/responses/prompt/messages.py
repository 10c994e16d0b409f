"""Items to messages, under the order that strict back ends enforce.

Every call stands in an assistant message and is followed at once by its result, wherever the client had put it. Calls
that follow each other are one assistant message; text directly before them is theirs. Pictures from tools go into a
user message after all results of that assistant message. Receipts of hosted tools (searches, lists, approvals,
programs) are not shown: what came of them is in the assistant's text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import NotFound
from antiphon.responses.prompt.calls import (
    PENDING,
    AnyCall,
    call_id,
    is_call,
    is_dropped,
    is_output,
    mcp_result,
    pair,
    result_parts,
    tool_call,
)
from antiphon.responses.prompt.content import ChatPart, chat_parts, one_text, simplest, split_media
from antiphon.responses.toolbox import Toolbox
from antiphon.wire import inputs
from antiphon.wire.inputs import InputItem

ChatMessage = dict[str, Any]


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """What this back end and this request want of the messages. ``input_from``: where the request's own items begin."""

    toolbox: Toolbox
    developer_role: bool
    reasoning_field: Literal["", "reasoning_content", "reasoning"]
    all_reasoning: bool
    open_sealed: Callable[[str], str | None]
    input_from: int = 0


def text_messages(instructions: str | None, text: str) -> list[ChatMessage]:
    """The chat messages of an input that is one text, which must not be empty."""
    said: ChatMessage = {"role": "user", "content": text}
    return [said] if instructions is None else [{"role": "system", "content": instructions}, said]


def messages_of(instructions: str | None, items: Sequence[InputItem], manner: Manner) -> list[ChatMessage]:
    """The chat messages of a conversation. Raises InvalidRequest, NotFound for a reference left unresolved."""
    messages = _texts(items, manner)
    if messages is None:
        scribe = _Scribe(items, manner)
        for n, item in enumerate(items):
            scribe.take(n, item)
        scribe.close_calls()
        messages = scribe.messages
    return messages if instructions is None else [{"role": "system", "content": instructions}, *messages]


def _texts(items: Sequence[InputItem], manner: Manner) -> list[ChatMessage] | None:
    """The messages of a conversation that is nothing but texts, as most are; None for any other."""
    messages: list[ChatMessage] = []
    for item in items:
        if type(item) is not inputs.Message or not (text := one_text(item.content)):
            return None
        messages.append({"role": _role(item, manner), "content": text})
    return messages


def _role(item: inputs.Message, manner: Manner) -> str:
    spoken = item.role == "user" or item.role == "assistant"
    return item.role if spoken or manner.developer_role else "system"


class _Scribe:
    """Writes one message after the other. ``_calls`` are the places of the calls that wait to be written together."""

    def __init__(self, items: Sequence[InputItem], manner: Manner) -> None:
        self.messages: list[ChatMessage] = []
        self._items = items
        self._manner = manner
        self._answers = pair(items)
        self._calls: list[int] = []
        self._ids: set[str] = set()
        self._reasoning: list[str] = []
        self._turn_from = -1 if manner.all_reasoning or not manner.reasoning_field else _last_user(items)
        #: The last message, while it is assistant text that calls may still join.
        self._open_text: ChatMessage | None = None

    def take(self, n: int, item: InputItem) -> None:
        """Write this item, or keep it for the message it belongs to."""
        if type(item) is inputs.Message:
            self.close_calls()
            self._say(n, item)
        elif is_call(item):
            self._call(n, item)
        elif type(item) is inputs.Reasoning:
            self._think(n, item)
        elif is_output(item):
            self.close_calls()  # its text is written with its call
            if type(item) is inputs.FunctionCallOutput and item.call_id is None:
                self._late_result(n, item)
        elif type(item) is inputs.Compaction:
            self.close_calls()
            self._summary(item)
        elif type(item) is inputs.ItemReference:
            raise NotFound(f"Item with id '{item.id}' not found.", param=self._path(n))

    def close_calls(self) -> None:
        """Write the waiting calls as one assistant message, their results, and what the results show."""
        if not self._calls:
            return
        message = self._open_text
        if message is None:
            message = self._append("assistant", "")
        self._attach_reasoning(message)
        calls = [self._items[n] for n in self._calls]
        message["tool_calls"] = [tool_call(item, self._manner.toolbox) for item in calls if is_call(item)]
        media: list[ChatPart] = []
        for n in self._calls:
            media += self._result(n)
        if media:
            self._append("user", media)
        self._calls.clear()
        self._ids.clear()
        self._open_text = None

    def _call(self, n: int, item: AnyCall) -> None:
        if n not in self._answers and is_dropped(item):
            return
        alone = type(item) is inputs.McpCall  # its result is part of it, so the next call came after
        if alone or call_id(item) in self._ids:
            self.close_calls()
        self._calls.append(n)
        self._ids.add(call_id(item))
        if alone:
            self.close_calls()

    def _result(self, n: int) -> list[ChatPart]:
        """Write the tool message of the call at ``n``; gives back what a tool message cannot hold."""
        item, answer = self._items[n], self._answers.get(n)
        media: list[ChatPart] = []
        content: str | list[ChatPart] = PENDING
        if type(item) is inputs.McpCall:
            content = mcp_result(item)
        elif answer is not None:
            output = self._items[answer]
            assert is_output(output)
            texts, media = split_media(result_parts(output, self._path(answer)), mark=True)
            content = simplest(texts)
        assert is_call(item)
        self.messages.append({"role": "tool", "tool_call_id": call_id(item), "content": content})
        return media

    def _say(self, n: int, item: inputs.Message) -> None:
        text = one_text(item.content)
        parts = [] if text else chat_parts(item.content, f"{self._path(n)}.content")
        if item.role == "user":
            self._reasoning.clear()
            self._append("user", text or simplest(parts))
            return
        texts, media = split_media(parts)
        if item.role != "assistant":
            self._append(_role(item, self._manner), text or simplest(texts))
        elif text or texts:  # an empty answer says nothing, and strict back ends refuse it
            message = self._append("assistant", text or simplest(texts))
            self._attach_reasoning(message)
            self._open_text = message
        if media:
            self._append("user", media)

    def _think(self, n: int, item: inputs.Reasoning) -> None:
        if not self._manner.reasoning_field or n < self._turn_from:
            return
        text = "".join(part.text for part in item.content or ())
        if not text and item.encrypted_content:
            text = self._manner.open_sealed(item.encrypted_content) or ""
        if text:
            self._reasoning.append(text)

    def _attach_reasoning(self, message: ChatMessage) -> None:
        if not self._reasoning:
            return
        field = self._manner.reasoning_field
        earlier = [message[field]] if field in message else []
        message[field] = "\n\n".join(earlier + self._reasoning)
        self._reasoning.clear()

    def _summary(self, item: inputs.Compaction) -> None:
        text = self._manner.open_sealed(item.encrypted_content)
        if text is not None:
            self._append("user", f"Summary of the conversation so far:\n\n{text}")

    def _late_result(self, n: int, item: inputs.FunctionCallOutput) -> None:
        parts = result_parts(item, self._path(n))
        label = f"Result of {item.name}:" if item.name else "Result of an earlier call:"
        self._append("user", [{"type": "text", "text": label}, *parts])

    def _append(self, role: str, content: str | list[ChatPart]) -> ChatMessage:
        message: ChatMessage = {"role": role, "content": content}
        self.messages.append(message)
        self._open_text = None
        return message

    def _path(self, n: int) -> str:
        at = n - self._manner.input_from
        return f"input[{at}]" if at >= 0 else f"history[{n}]"


def _last_user(items: Sequence[InputItem]) -> int:
    """The place of the last user message, -1 without one: reasoning after it is of the current turn."""
    for n in range(len(items) - 1, -1, -1):
        item = items[n]
        if type(item) is inputs.Message and item.role == "user":
            return n
    return -1
