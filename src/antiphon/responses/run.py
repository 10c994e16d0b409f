"""The Run: the agent loop of one response. Ask the model, translate, and put what comes into the Journal.

It owns no state that outlives it but through the Journal. Streaming or not, there is this one path; who asked for no
stream reads the same log to its end.

The order of an end is a promise: the terminal event is numbered, folded, committed, and only then published. Whatever a
client was told is there after a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig
from antiphon.conversations.turns import Hold
from antiphon.errors import APIError, InternalError, Unavailable, UpstreamError
from antiphon.responses import lifecycle
from antiphon.responses.fold import Fold
from antiphon.responses.journal import Journal, ResponseTooLarge
from antiphon.responses.schema import SchemaCheck, answer, with_complaint
from antiphon.responses.turn import Turn, TurnOptions
from antiphon.storage.model import Finished, Owner, Step, Store, StoredItem, StoredResponse
from antiphon.upstream.routing import Route
from antiphon.upstream.stream import ChatStream
from antiphon.wire.chat import ChatChunk, ChatRequest
from antiphon.wire.encode import Dialect, Entry
from antiphon.wire.events import AnyEvent, Delta, Event
from antiphon.wire.response import Response, Usage

_log = logging.getLogger("antiphon.run")
_json = msgspec.json.Encoder()

#: How often a prompt that is too long is made shorter before the model's refusal stands.
_SHORTENINGS = 3

#: How a turn must end to become part of its conversation: as a response must that is to be continued.
_APPENDED = frozenset({"completed", "incomplete"})

_NO_OUTPUT = b'"output":[]}'

ClientHeaders = Sequence[tuple[str, str]]


class Prompt(Protocol):
    """A rendered chat request that can be had shorter."""

    @property
    def request(self) -> ChatRequest:
        """The body for the back end."""

    def shorter(self, context_window: int | None) -> Prompt | None:
        """The same without its oldest turns; None when nothing can go (or nothing may)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run needs to know, decided before it starts.

    ``response`` is the Response as it begins; ``request`` the request as stored (JSON, without its input); ``items``
    its input items. ``position`` counts the items before it in the chain. ``hold`` is that of the conversation whose
    turn this is; the run lets it go.
    """

    owner: Owner
    response: Response
    request: bytes
    items: Sequence[StoredItem]
    position: int
    dialect: Dialect
    route: Route
    prompt: Prompt
    turn: Callable[[int], TurnOptions]
    check: SchemaCheck | None = None
    unserved: Sequence[str] = ()
    headers: ClientHeaders = ()
    hold: Hold | None = None


class Run:
    """One response being made. ``start`` it, wait for ``opened``, read its ``journal``, ``stop`` it at will."""

    def __init__(self, plan: Plan, store: Store, config: ResponsesConfig) -> None:
        self.plan = plan
        self.journal = Journal(dialect=plan.dialect, max_bytes=config.max_response_bytes)
        self._config = config
        self._store = store if plan.response.store else None
        self._fold = Fold()
        self._usage = Usage()
        self._tier: str | None = None
        self._turn: Turn | None = None
        self._begun = False
        self._concluding = False
        self._stopping = False
        self._alive = False
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- from outside

    def start(self, *, status_wait: float | None) -> asyncio.Task[None]:
        """Begin. The stream opens at the upstream's status line, or after ``status_wait`` seconds without one.

        The returned task never fails: failures are events, or what ``opened`` raises. Its owner awaits it.
        """
        loop = asyncio.get_running_loop()
        if status_wait is not None:
            self._timer = loop.call_later(status_wait, self._begin)
        self._task = loop.create_task(self._live())
        return self._task

    async def opened(self) -> None:
        """Until the first events are published. Raises what the upstream refused with before that."""
        await self._opened

    async def finished(self) -> None:
        """Until the run is over, whoever waits being cancelled or not."""
        if self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    def stop(self) -> None:
        """End it now: the upstream call is cut, and what was produced is stored as ``cancelled``."""
        if self._task is not None and not self._concluding and not self._stopping:
            self._stopping = True
            if self._alive:  # a task that is cancelled before its first step never takes it, and would settle nothing
                self._task.cancel()

    @property
    def response(self) -> Response:
        """The Response as it stands: the fold of the events so far."""
        return self._fold.snapshot()

    # -- the life of it

    async def _live(self) -> None:
        self._alive = True
        try:
            await (self._stopped() if self._stopping else self._work())
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # we are inside a task
            await self._stopped()
        except APIError as failure:
            await self._fail(failure)
        except Exception:  # noqa: BLE001 - a defect of ours must be seen, and still end the stream properly
            _log.exception("run %s broke", self.plan.response.id)
            await self._fail(InternalError("The server failed while it was making this response."))
        finally:
            self._settle()
            if self.plan.hold is not None:
                self._concluding = True  # what is left to do must not be stopped
                await self.plan.hold.release()

    async def _work(self) -> None:
        request, stream = await self._open(self.plan.prompt)
        self._begin()
        turn = await self._model_step(request, stream)
        response = self._now()
        if turn.finish == "length":
            last = lifecycle.incomplete(
                response, "max_output_tokens", usage=self._usage, service_tier=self._served_tier()
            )
        elif turn.finish == "content_filter":
            last = lifecycle.incomplete(response, "content_filter", usage=self._usage, service_tier=self._served_tier())
        else:
            at = int(ambient.now())
            last = lifecycle.completed(response, usage=self._usage, service_tier=self._served_tier(), at=at)
        await self._conclude([last])

    async def _open(self, prompt: Prompt) -> tuple[ChatRequest, ChatStream]:
        """The model's answer begins. A prompt that does not fit is made shorter, where the request allows it."""
        upstream = self.plan.route.upstream
        for attempt in range(_SHORTENINGS + 1):
            try:
                return prompt.request, await upstream.stream(prompt.request, headers=self.plan.headers)
            except UpstreamError as refusal:
                if refusal.code != "context_length_exceeded" or attempt == _SHORTENINGS:
                    raise
                shorter = prompt.shorter(upstream.context_window(self.plan.route.model))
                if shorter is None:
                    raise
                prompt = shorter
        raise AssertionError("the last attempt returns or raises")

    async def _model_step(self, request: ChatRequest, stream: ChatStream) -> Turn:
        """One answer of the model, and the record of it. A format that must be checked is, before anything is told."""
        first_item, first_event = len(self._now().output), len(self.journal.entries)
        if self.plan.check is None:
            turn = await self._translate(stream, first_item, self._emit)
        else:
            turn = await self._checked(self.plan.check, request, stream, first_item)
        before = len(self.plan.items)
        parameters = {key: value for key, value in request.items() if key != "messages"}
        self.journal.steps.append(
            Step(
                n=len(self.journal.steps),
                kind="model",
                first_seq=first_event,
                last_seq=len(self.journal.entries) - 1,
                item_from=before + first_item,
                item_to=before + len(self._now().output),
                request_parameters=_json.encode(parameters),
            )
        )
        return turn

    async def _checked(self, check: SchemaCheck, request: ChatRequest, stream: ChatStream, first_item: int) -> Turn:
        """The answer is held back until it fits; one that does not goes back with what is wrong with it."""
        for attempt in range(self._config.schema_retries + 1):
            held: list[AnyEvent] = []
            turn = await self._translate(stream, first_item, self._holding(held))
            text = answer(held) if turn.finish in (None, "stop") else None
            problem = None if text is None else check.problem(text)
            if text is None or problem is None:
                self._emit(held)
                return turn
            if attempt == self._config.schema_retries:
                self._emit(held)
                raise UpstreamError(
                    f"The model's answer does not fit the JSON format '{check.name}' after {attempt + 1} attempts: "
                    f"{problem}.",
                    code="invalid_structured_output",
                )
            request = with_complaint(request, text, problem)
            stream = await self.plan.route.upstream.stream(request, headers=self.plan.headers)
        raise AssertionError("the last attempt returns or raises")

    def _holding(self, held: list[AnyEvent]) -> Callable[[Sequence[AnyEvent]], None]:
        """Takes events in instead of telling them, as much as a response may hold."""
        size, limit = 0, self._config.max_response_bytes

        def hold(batch: Sequence[AnyEvent]) -> None:
            nonlocal size
            size += sum(len(event.text) for event in batch if type(event) is Delta)
            if size > limit:
                raise ResponseTooLarge(f"The answer grew over max_response_bytes ({limit} bytes) and was ended there.")
            held.extend(batch)

        return hold

    async def _translate(self, stream: ChatStream, first_item: int, emit: Callable[[Sequence[AnyEvent]], None]) -> Turn:
        """One upstream stream to events, as they come."""
        turn = self._turn = Turn(self.plan.turn(first_item))
        feed, journal, stored = turn.feed, self.journal, self._store is not None

        def take(chunks: list[ChatChunk]) -> bool:
            # The read that completes the answer leaves with what its end closes: one write instead of two.
            emit([*feed(*chunks), *turn.flush()] if stream.complete else feed(*chunks))
            return stored or not journal.held

        try:
            while not await stream.pump(take):
                await journal.room()
        finally:
            await stream.aclose()
        emit(turn.flush())  # nothing, if the end was seen above
        self._turn = None
        self._count(turn)
        return turn

    # -- ends

    async def _stopped(self) -> None:
        if not self._begun:
            self._refuse(Unavailable("The run was stopped before it began.", headers={"retry-after": "1"}))
            return
        self._close_items()
        if self._store is not None:
            await self._conclude([lifecycle.cancelled(self._now(), usage=self._usage)])

    async def _fail(self, failure: APIError) -> None:
        if not self._begun:
            self._refuse(failure)
            return
        self._close_items()
        await self._conclude(lifecycle.failed(self._now(), failure, usage=self._usage))

    def _refuse(self, failure: APIError) -> None:
        """Nothing was told yet: who waits for the opening gets the failure itself."""
        if not self._opened.done():
            self._opened.set_exception(failure)
            self._opened.exception()  # whoever waited may have gone: then nobody is left to tell

    def _close_items(self) -> None:
        """What was open when the stream broke is closed as incomplete."""
        turn, self._turn = self._turn, None
        if turn is not None and self.plan.check is None:
            self._publish(turn.flush(cut=True))
            self._count(turn)

    async def _conclude(self, last: Sequence[AnyEvent]) -> None:
        self._concluding = True
        before = self._now()
        entries = self.journal.number(last, over_limit=True)
        if self._store is not None or self.plan.hold is not None:
            try:
                await self._keep(self._finished(last, entries))
            except APIError as refusal:
                last = lifecycle.failed(before, refusal, usage=self._usage)
            except Exception:  # noqa: BLE001 - whatever the database did, nobody may be told that it is stored
                _log.exception("response %s could not be stored", before.id)
                last = lifecycle.failed(before, Unavailable("The response could not be stored."), usage=self._usage)
            entries = self.journal.number(last, over_limit=True)
        for event in last:
            self._apply(event)
        self.journal.end(last, entries)

    async def _keep(self, finished: Finished) -> None:
        """One commit: the response, where it is stored, and what its conversation gets of it."""
        hold = self.plan.hold
        if self._store is not None:
            await self._store.commit(finished)
        elif hold is not None and finished.claim is not None:
            await hold.append(finished.items)
        if hold is not None and finished.claim is not None:
            hold.ended()

    def _settle(self) -> None:
        """Nobody waits for what will not come."""
        if self._timer is not None:
            self._timer.cancel()
        self.journal.end()
        self._opened.cancel()

    def _finished(self, last: Sequence[AnyEvent], entries: Sequence[Entry]) -> Finished:
        """What one commit writes. The Response is the terminal event's own."""
        plan, end = self.plan, last[-1]
        assert isinstance(end, Event)
        response: Response = end.payload["response"]
        claim = plan.hold.claim if plan.hold is not None and response.status in _APPENDED else None
        row = StoredResponse(
            id=response.id,
            owner=plan.owner,
            previous_id=response.previous_response_id,
            conversation_id=None if plan.hold is None else plan.hold.claim.conversation_id,
            status=response.status,
            created_at=response.created_at,
            dialect=plan.dialect,
            request=plan.request,
            result=without_output(response),
        )
        first = len(plan.items)
        produced = [
            StoredItem(id=item.id, direction="out", position=position, data=_json.encode(item))
            for position, item in enumerate(response.output, first)
        ]
        segment = self.journal.segment(last, entries)
        items = [*plan.items, *produced]
        return Finished(response=row, items=items, steps=self.journal.steps, segments=[segment], claim=claim)

    # -- small things

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self._timer is not None:
            self._timer.cancel()
        self._emit(lifecycle.opening(self.plan.response))
        if not self._opened.done():  # who waited may have been cancelled
            self._opened.set_result(None)

    def _emit(self, batch: Sequence[AnyEvent]) -> None:
        if not batch:
            return
        try:
            self.journal.extend(batch)
        except ResponseTooLarge:
            # What the Turn has told it will not tell again, and what follows refers to it: this batch still goes out.
            self._publish(batch)
            raise
        for event in batch:
            if type(event) is not Delta:
                self._fold.apply(event)

    def _publish(self, batch: Sequence[AnyEvent]) -> None:
        """Events that must be told, whatever the size of the log."""
        if not batch:
            return
        self.journal.publish(batch, self.journal.number(batch, over_limit=True))
        for event in batch:
            self._apply(event)

    def _now(self) -> Response:
        response = self._fold.response
        assert response is not None, "the run has begun"
        return response

    def _apply(self, event: AnyEvent) -> None:
        if type(event) is not Delta:
            self._fold.apply(event)

    def _count(self, turn: Turn) -> None:
        self._usage += turn.usage
        self._tier = turn.service_tier or self._tier

    def _served_tier(self) -> str:
        return self._tier or "default"


def without_output(response: Response) -> bytes:
    """The Response as JSON up to its ``output``, which is its last key: ``whole`` puts the two together again."""
    return _json.encode(msgspec.structs.replace(response, output=[]))


def whole(result: bytes, output: Sequence[bytes]) -> bytes:
    """The JSON of a stored Response: ``result`` as ``without_output`` made it, and its output items."""
    return result[: -len(_NO_OUTPUT)] + b'"output":[' + b",".join(output) + b"]}"
