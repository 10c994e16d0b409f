"""The Turn: one upstream chat stream becomes Responses events.

A pure translator: ``feed(chunks) -> events``, ``flush() -> events``. No clock, no I/O, and no ids but those given.

The law: items never overlap. Writers stand in a queue in the order in which the model began them; each collects its own
events, and only those of the first are let out. The first leaves when nothing more can come for it: prose as soon as
anything else begins, a call as soon as its arguments are a whole JSON object and another item has begun, everything at
``flush``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from antiphon.errors import UpstreamError
from antiphon.responses.turn.calls import continued
from antiphon.responses.turn.cite import Annotation
from antiphon.responses.turn.think import ThinkTags
from antiphon.responses.turn.writers import (
    CallShape,
    CallWriter,
    MessageWriter,
    PartWriter,
    ReasoningWriter,
    Seal,
    Writer,
)
from antiphon.wire.chat import ChatChunk, ChatUsage, Choice, FunctionDelta, ToolCallDelta, only_text
from antiphon.wire.events import OUTPUT_TEXT, REFUSAL, AnyEvent, Delta
from antiphon.wire.items import Logprob
from antiphon.wire.response import NO_USAGE, InputTokensDetails, OutputTokensDetails, Usage

__all__ = ["CallShape", "Served", "Turn", "TurnOptions"]

Voice = Literal["text", "reasoning", "refusal"]

#: Reasons of a back end after which the last item is incomplete.
_CUT_SHORT = frozenset({"length", "content_filter"})

#: OpenAI's own number for "too unlikely to be counted"; some back ends say null.
_UNLIKELY = -9999.0


class TurnOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the request and the back end say about reading this stream.

    ``first_index`` is the ``output_index`` of the first item, ``position`` the number of items before it in the chain.
    ``shape_of`` tells what a call of this function name becomes on the wire. ``sources`` are what the text may cite by
    markers (``turn.cite``). ``max_held`` is how many characters may wait behind a call that does not end.
    """

    new_id: Callable[[str], str]
    shape_of: Callable[[str], CallShape]
    first_index: int = 0
    position: int = 0
    think_tags: bool = True
    logprobs: bool = False
    summary: bool = False
    seal: Seal | None = None
    sources: Mapping[str, Annotation] | None = None
    max_held: int = 64 * 1024 * 1024


class Served(msgspec.Struct, frozen=True):
    """A call that is ours to make: ``name`` as the model knows it, ``arguments`` as it wrote them."""

    id: str
    name: str
    arguments: str


class Turn:
    """One model call's stream, read to events; ``finish``, ``usage`` and ``service_tier`` tell how it went, and
    ``served`` which calls are ours to make.

    ``feed`` and ``flush`` may raise ``UpstreamError`` for calls that make no sense; ``flush(cut=True)`` never does, and
    ends the items well even then.
    """

    __slots__ = (
        "_begun", "_by_index", "_call_ids", "_held", "_logprobs", "_options", "_out", "_placed", "_queue", "_spoke",
        "_text", "_think", "calls", "finish", "served", "service_tier", "usage",
    )  # fmt: skip

    def __init__(self, options: TurnOptions) -> None:
        self.finish: str | None = None
        self.usage = NO_USAGE
        self.service_tier: str | None = None
        self.calls = 0
        """Tool calls begun."""
        self.served: list[Served] = []
        self._options = options
        self._think = ThinkTags(options.think_tags)
        self._logprobs: list[Logprob] | None = None
        self._text: PartWriter | None = None
        """The text being written, while it is all there is to write to."""
        self._held = 0
        """Characters that came behind an item that was still open."""
        self._queue: deque[Writer] = deque()
        self._out: list[AnyEvent] = []
        self._placed = 0
        self._begun = 0
        self._spoke = False
        self._by_index: dict[int, list[CallWriter]] = {}
        self._call_ids: set[str] = set()

    def token(self, chunks: Sequence[ChatChunk]) -> Delta | None:
        """The hot path: the one event of these chunks when they are a single piece more of the text being written.
        None for all others, which ``feed`` reads."""
        if self._text is None or len(chunks) != 1:
            return None
        chunk = chunks[0]
        text = only_text(chunk)
        if not text:
            return None
        if chunk.service_tier:
            self.service_tier = chunk.service_tier
        return self.more(text)

    def more(self, text: str) -> Delta | None:
        """The same for the text of a chunk that says nothing else. None where there is no text to go on with:
        ``feed`` reads the chunk."""
        part = self._text
        if part is None:
            return None
        part.pieces.append(text)
        return Delta(part.channel, text)

    def feed(self, chunks: Sequence[ChatChunk], *, last: bool = False) -> list[AnyEvent]:
        """The events of these chunks; after the ``last``, those of ``flush`` too. When it raises, what was said before
        comes with ``flush(cut=True)``."""
        if not last and self._text is not None and (token := self.token(chunks)) is not None:
            return [token]
        for chunk in chunks:
            if chunk.usage is not None:
                self.usage = _usage(chunk.usage)
            if chunk.service_tier:
                self.service_tier = chunk.service_tier
            if chunk.choices:
                for choice in chunk.choices:
                    if choice.index == 0:
                        self._choice(choice)
                if len(self._queue) > 1:  # at once: what comes behind a whole call must not be taken for more of it
                    self._advance()
                    self._bound()
        if last:
            return self.flush()
        self._advance()
        self._text = self._growing_text()
        out, self._out = self._out, []
        return out

    def flush(self, *, cut: bool = False) -> list[AnyEvent]:
        """Close what is open. ``cut``: the stream broke off, so the item being written is incomplete."""
        self._text = None
        self._unhold()
        if cut or self.finish in _CUT_SHORT:
            self._cut()
        else:
            if not self._spoke and not self.calls:
                # An answer of nothing is still an answer: agents that find no message would ask again for ever.
                self._say("text", "")
            for writer in self._queue:
                if not writer.closed:
                    writer.close("completed")
        self._advance()
        out, self._out = self._out, []
        return out

    def _growing_text(self) -> PartWriter | None:
        queue = self._queue
        if len(queue) != 1 or not self._think.settled or self._options.logprobs or self._options.sources:
            return None
        last = queue[0]
        part = last.part if type(last) is MessageWriter and not last.closed else None
        return part if part is not None and part.channel.kind is OUTPUT_TEXT else None

    # -- one chunk

    def _choice(self, choice: Choice) -> None:
        if choice.finish_reason:
            self.finish = choice.finish_reason
        delta = choice.delta
        if delta is None:
            return
        reasoning = delta.reasoning_content or delta.reasoning
        if reasoning:
            self._unhold()
            self._say("reasoning", reasoning)
        if delta.content is not None:
            assert isinstance(delta.content, str), "the upstream's quirks make it one string"
            self._content(delta.content, choice)
        if delta.refusal:
            self._unhold()
            self._say("refusal", delta.refusal)
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._call(call)

    def _content(self, text: str, choice: Choice) -> None:
        if self._options.logprobs and choice.logprobs is not None and choice.logprobs.content:
            # Kept until there is text to go with them: half a character has none yet, nor has what may become a tag.
            self._logprobs = [*(self._logprobs or ()), *map(_logprob, choice.logprobs.content)]
        if not text:
            return
        if self._think.settled:
            self._say("text", text)
            return
        pieces = self._think.feed(text)
        if self._think.tagged and pieces != [("text", text)]:
            self._logprobs = None  # those of the tags, and of a token that was cut at one
        for voice, piece in pieces:
            self._say(voice, piece)

    def _unhold(self) -> None:
        """Something else than the answer's text comes: what was held back is what it is."""
        if not self._think.settled:
            for voice, piece in self._think.flush():
                self._say(voice, piece)

    def _bound(self) -> None:
        if self._held > self._options.max_held:
            raise UpstreamError(
                f"The model wrote over {self._options.max_held} characters behind an unfinished tool call.",
                code="upstream_invalid_response",
            )

    def _say(self, voice: Voice, text: str) -> None:
        """Prose goes on in the last item if that is of its kind, and begins an item otherwise."""
        last = self._queue[-1] if self._queue else None
        if voice == "reasoning":
            if not isinstance(last, ReasoningWriter):
                options = self._options
                item_id, index = options.new_id("reasoning"), self._next_index()
                last = ReasoningWriter(item_id, index, summary=options.summary, seal=options.seal)
                self._begin(last)
            last.write(text)
        else:
            if not isinstance(last, MessageWriter):
                last = MessageWriter(self._options.new_id("message"), self._next_index(), self._options.sources)
                self._spoke = True
                self._begin(last)
            if voice == "text":
                last.write(OUTPUT_TEXT, text, self._logprobs)
            else:
                last.write(REFUSAL, text)
        self._logprobs = None
        if self._queue[0] is not last:
            self._held += len(text)

    # -- calls

    def _call(self, piece: ToolCallDelta) -> None:
        function = piece.function or FunctionDelta()
        arguments = function.arguments or ""
        assert isinstance(arguments, str), "the upstream's quirks make it JSON text"
        if not (piece.id or function.name or arguments):
            return
        self._unhold()
        calls = self._by_index.setdefault(piece.index or 0, [])
        call = continued(calls, piece)
        if call is None:
            call = self._begin_call()
            if calls and calls[-1].again and not function.name:
                self._name(call, calls[-1].name)
            calls.append(call)
        if piece.id and call.given_id is None:
            call.given_id = piece.id
            if piece.id not in self._call_ids and call.call_id is None:
                self._call_ids.add(piece.id)
                call.call_id = piece.id
        self._name(call, function.name)
        call.write(arguments)
        if self._queue and self._queue[0] is not call:
            self._held += len(arguments)

    def _begin_call(self) -> CallWriter:
        self._settle()
        call = CallWriter(self._take_index, self._options.position + self._begun, self._options.new_id)
        self.calls += 1
        self._begin(call)
        return call

    def _name(self, call: CallWriter, name: str | None) -> None:
        if name and call.shape is None:
            call.name = name
            call.shape = self._options.shape_of(name)

    # -- the queue

    def _next_index(self) -> int:
        if self._queue:
            self._settle()
        return self._take_index()

    def _take_index(self) -> int:
        self._placed += 1
        return self._options.first_index + self._placed - 1

    def _settle(self) -> None:
        if self._queue and type(call := self._queue[-1]) is CallWriter:
            call.settle()

    def _begin(self, writer: Writer) -> None:
        self._begun += 1
        if self._queue and not isinstance(self._queue[-1], CallWriter):
            self._queue[-1].close("completed")
        self._queue.append(writer)

    def _advance(self) -> None:
        """Let out the events of the first writer, and of those behind it as far as nothing can come before them."""
        queue = self._queue
        while queue:
            first = queue[0]
            if len(queue) > 1 and isinstance(first, CallWriter) and not first.closed and first.complete:
                first.close("completed")
            self._out += first.events
            first.events = []
            if not first.closed:
                break
            queue.popleft()
            if isinstance(first, CallWriter) and first.served and first.status == "completed":
                assert first.name is not None
                assert first.call_id is not None
                self.served.append(Served(first.call_id, first.name, first.arguments))

    def _cut(self) -> None:
        """Only the last item may be incomplete: what stands behind it has not been seen by anybody, and is dropped."""
        kept: deque[Writer] = deque()
        for writer in self._queue:
            if isinstance(writer, CallWriter) and writer.shape is None:
                break
            kept.append(writer)
            if writer.closed:
                continue
            whole = isinstance(writer, CallWriter) and writer.complete
            writer.close("completed" if whole else "incomplete")
            if not whole:
                break
        self._queue = kept


def _usage(usage: ChatUsage) -> Usage:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    read = usage.prompt_tokens_details
    thought = usage.completion_tokens_details
    return Usage(
        prompt,
        InputTokensDetails(read.cached_tokens or 0, read.cache_write_tokens or 0) if read else InputTokensDetails(),
        completion,
        OutputTokensDetails(thought.reasoning_tokens or 0) if thought else OutputTokensDetails(),
        usage.total_tokens or prompt + completion,
    )


def _logprob(token: dict[str, Any]) -> Logprob:
    return {**_token(token), "top_logprobs": [_token(top) for top in token.get("top_logprobs") or ()]}


def _token(token: dict[str, Any]) -> Logprob:
    logprob = token.get("logprob")
    return {
        "token": token.get("token") or "",
        "bytes": token.get("bytes") or [],
        "logprob": _UNLIKELY if logprob is None else logprob,
    }
