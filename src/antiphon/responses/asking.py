"""One answer of the model: asked for, read, checked where its form must be, and told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from antiphon.config import ResponsesConfig
from antiphon.errors import UpstreamError
from antiphon.responses.composing import Prompt
from antiphon.responses.journal import ResponseTooLarge
from antiphon.responses.record import Record
from antiphon.responses.schema import SchemaCheck, answer, with_complaint
from antiphon.responses.turn import Turn, TurnOptions
from antiphon.upstream.door import Headers
from antiphon.upstream.routing import Route
from antiphon.upstream.stream import ChatStream
from antiphon.wire.chat import ChatChunk, ChatRequest, text_chunk
from antiphon.wire.events import AnyEvent, Delta
from antiphon.wire.response import NO_USAGE

#: How often a prompt that is too long is made shorter before the model's refusal stands.
_SHORTENINGS = 3

ClientHeaders = Sequence[tuple[str, str]]
Emit = Callable[[Sequence[AnyEvent]], None]
#: An answer of a model, by its status, its headers and what each read brought, as it is stored.
Keep = Callable[[int, Headers, Sequence[bytes]], bytes]
#: A piece of text goes out alone; false where it must go as a batch.
Add = Callable[[Delta], bool]


class Asking:
    """The model's side of a run: ``usage`` and ``service_tier`` count all its answers so far.

    ``check`` says what is wrong with an answer, ``keep`` makes of it what is stored of it with its step. ``waits``:
    whether the run waits for a reader that cannot take more.
    """

    def __init__(
        self,
        route: Route,
        headers: ClientHeaders,
        record: Record,
        config: ResponsesConfig,
        check: SchemaCheck | None,
        keep: Keep | None,
        waits: bool,
    ) -> None:
        self.usage = NO_USAGE
        self.service_tier: str | None = None
        self._route = route
        self._headers = headers
        self._record = record
        self._config = config
        self._check = check
        self._keep = keep
        self._waits = waits
        self._turn: Turn | None = None
        self._request: ChatRequest = {}
        """What was asked last."""

    def open(self, prompt: Prompt) -> Awaitable[ChatStream]:
        """The model's answer begins. A prompt that does not fit is made shorter, where the request allows it."""
        if prompt.composer.request.truncation == "auto":
            return self._fitting(prompt)
        return self._ask(prompt.request)

    async def read(self, stream: ChatStream, options: TurnOptions) -> Turn:
        """The answer to its end, and the record of it. A format that must be checked is, before anything is told."""
        record = self._record
        first_item, first_event = record.told, len(record.journal.frames)
        if self._check is None:
            turn = await self._translate(stream, options, record.emit, record.journal.add)
        else:
            turn, stream = await self._checked(self._check, stream, options)
        exchange = None
        if self._keep is not None and stream.kept is not None:
            # Coding a long answer takes its time, in which others want to be served.
            exchange = await asyncio.to_thread(self._keep, stream.status, stream.headers, stream.kept)
        record.asked(self._request, first_item=first_item, first_event=first_event, exchange=exchange)
        return turn

    def close(self) -> list[AnyEvent]:
        """What was open when the stream broke is closed as incomplete by these events."""
        turn, self._turn = self._turn, None
        if turn is None or self._check is not None:
            return []
        closing = turn.flush(cut=True)
        self._count(turn)
        return closing

    async def _fitting(self, prompt: Prompt) -> ChatStream:
        upstream = self._route.upstream
        for attempt in range(_SHORTENINGS + 1):
            try:
                return await self._ask(prompt.request)
            except UpstreamError as refusal:
                if refusal.code != "context_length_exceeded" or attempt == _SHORTENINGS:
                    raise
                shorter = prompt.shorter(upstream.context_window(self._route.model))
                if shorter is None:
                    raise
                prompt = shorter
        raise AssertionError("the last attempt returns or raises")

    def _ask(self, request: ChatRequest) -> Awaitable[ChatStream]:
        self._request = request
        return self._route.upstream.stream(request, headers=self._headers, keep=self._keep is not None)

    async def _checked(self, check: SchemaCheck, stream: ChatStream, options: TurnOptions) -> tuple[Turn, ChatStream]:
        """The answer is held back until it fits; one that does not goes back with what is wrong with it. The one that
        is told, and its stream."""
        retries = self._config.schema_retries
        for attempt in range(retries + 1):
            held: list[AnyEvent] = []
            turn = await self._translate(stream, options, self._holding(held), _adds_nothing)
            text = answer(held) if turn.finish in (None, "stop") and not turn.served else None
            problem = None if text is None else check.problem(text)
            if text is None or problem is None:
                self._record.emit(held)
                return turn, stream
            if attempt == retries:
                self._record.emit(held)
                raise UpstreamError(
                    f"The model's answer does not fit the JSON format '{check.name}' after {attempt + 1} attempts: "
                    f"{problem}.",
                    code="invalid_structured_output",
                )
            stream = await self._ask(with_complaint(self._request, text, problem))
        raise AssertionError("the last attempt returns or raises")

    def _holding(self, held: list[AnyEvent]) -> Emit:
        """Takes events in instead of telling them, as much as a response may hold."""
        size, limit = 0, self._config.max_response_bytes

        def hold(batch: Sequence[AnyEvent]) -> None:
            nonlocal size
            size += sum(len(event.text) for event in batch if type(event) is Delta)
            if size > limit:
                raise ResponseTooLarge(f"The answer grew over max_response_bytes ({limit} bytes) and was ended there.")
            held.extend(batch)

        return hold

    async def _translate(self, stream: ChatStream, options: TurnOptions, emit: Emit, add: Add) -> Turn:
        """One upstream stream to events, as they come."""
        turn = self._turn = Turn(options)
        token, more, journal, waits = turn.token, turn.more, self._record.journal, self._waits
        closed = False

        def take(chunks: list[ChatChunk]) -> bool:
            nonlocal closed
            one = token(chunks)
            if one is None:
                closed = stream.complete  # then they leave with what the end closes: one write instead of two
                emit(turn.feed(chunks, last=closed))
            elif not add(one):
                emit([one])
            return not (waits and journal.held)

        def say(text: str) -> bool:
            one = more(text)
            if one is None:
                return take([text_chunk(text)])
            if not add(one):
                emit([one])
            return not (waits and journal.held)

        try:
            while not await stream.pump(take, say):
                await journal.room()
        finally:
            await stream.aclose()
        if not closed:
            emit(turn.flush())
        self._turn = None
        self._count(turn)
        return turn

    def _count(self, turn: Turn) -> None:
        self.usage = turn.usage if self.usage is NO_USAGE else self.usage + turn.usage
        self.service_tier = turn.service_tier or self.service_tier


def _adds_nothing(_delta: Delta) -> bool:
    return False
