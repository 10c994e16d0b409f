"""The Run: the agent loop of one response. Ask the model, translate, and put what comes into the Journal.

It owns no state that outlives it but through the Journal. Streaming or not, there is this one path; who asked for no
stream reads the same log to its end.

The order of an end is a promise: the terminal event is numbered, folded, committed, and only then published. Whatever a
client was told is there after a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig
from antiphon.conversations.turns import Hold
from antiphon.errors import APIError, InternalError, Unavailable
from antiphon.responses import lifecycle, toolbox
from antiphon.responses.asking import Asking, ClientHeaders, Keep
from antiphon.responses.composing import Composer, Prompt, Round
from antiphon.responses.journal import Journal
from antiphon.responses.record import ItemDict, Record
from antiphon.responses.schema import SchemaCheck
from antiphon.responses.serving import Job, Made, Serving
from antiphon.responses.turn import Turn
from antiphon.responses.waiting import Waiting
from antiphon.storage.model import Finished, Owner, Store, StoredItem, StoredResponse
from antiphon.upstream.routing import Route
from antiphon.wire.encode import Dialect, Frame
from antiphon.wire.events import AnyEvent, Event
from antiphon.wire.response import IncompleteReason, Response

_log = logging.getLogger("antiphon.run")

#: How a turn must end to become part of its conversation: as a response must that is to be continued.
_APPENDED = frozenset({"completed", "incomplete"})

#: Where a Response begins in the frame that carries it, and what comes behind it.
_RESPONSE, _END = b'"response":', b"}\n\n"

#: What the model is told to have stopped at, by its own word for it.
_CUT_SHORT: dict[str | None, IncompleteReason] = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run needs to know, decided before it starts.

    ``response`` is the Response as it begins; ``request`` the request as stored (JSON, without its input); ``items``
    its input items. ``hold`` is that of the conversation whose turn this is; the run lets it go.

    Either ``prompt`` is the one that there will be, made already so that what is wrong with it was refused in time; or
    there are tools of ours, ``serving``, and ``compose`` makes the composer once they are known. ``said`` is all that
    was said before and now, ``approved`` the calls in it that may be made now.
    """

    owner: Owner
    response: Response
    request: bytes
    items: Sequence[StoredItem]
    dialect: Dialect
    route: Route
    prompt: Prompt | None = None
    serving: Serving | None = None
    compose: Callable[[Sequence[toolbox.Served]], Composer] | None = None
    said: Sequence[ItemDict] = ()
    approved: Sequence[ItemDict] = ()
    check: SchemaCheck | None = None
    unserved: Sequence[str] = ()
    headers: ClientHeaders = ()
    hold: Hold | None = None


class Run:
    """One response being made. ``start`` it, wait for ``opened``, read its ``journal``, ``stop`` it at will."""

    def __init__(
        self, plan: Plan, store: Store, config: ResponsesConfig, keep: Keep | None, over: Callable[[Run], None]
    ) -> None:
        """``keep``: the answers of the model are stored as they came too. ``over`` is called when all is done."""
        stored = plan.response.store
        self.plan = plan
        self.journal = Journal(plan.dialect, config.max_response_bytes)
        self._config = config
        self._store = store if stored else None
        self._over = over
        self._record = Record(self.journal, len(plan.items))
        self._asking = Asking(
            plan.route, plan.headers, self._record, config, plan.check, keep if stored else None, not stored
        )
        self._begun = False
        self._concluding = False
        self._stopping = False
        self._alive = False
        self._loop = loop = asyncio.get_running_loop()
        self._since = loop.time()
        self._waiting: Waiting[Run] | None = None
        self._opened: asyncio.Future[None] = loop.create_future()
        self._task: asyncio.Task[None] | None = None

    # -- from outside

    def start(self, waiting: Waiting[Run] | None) -> asyncio.Task[None]:
        """Begin. The stream opens at the upstream's status line, or when it has been ``waiting`` too long for that.

        The returned task never fails: failures are events, or what ``opened`` raises. Its owner awaits it.
        """
        if waiting is not None:
            self._waiting = waiting
            waiting.add(self, self._since)
        # Not by the loop: uvloop's has each task make up a name before it is given its own.
        self._task = asyncio.Task(self._live(), loop=self._loop, name=self.plan.response.id)
        return self._task

    def begin(self) -> None:
        """The response begins, if it has not: its first events are told."""
        if self._begun:
            return
        self._begun = True
        if self._waiting is not None:
            self._waiting.leave(self)
        self._record.emit(lifecycle.opening(self.plan.response))
        if not self._opened.done():  # who waited may have been cancelled
            self._opened.set_result(None)

    def opened(self) -> Awaitable[None]:
        """Until the first events are published. Raises what the upstream refused with before that."""
        return self._opened

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
        return self._record.snapshot

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
            try:
                self._settle()
                self._concluding = True  # what is left to do must not be stopped
                if self.plan.serving is not None:
                    await self.plan.serving.aclose()
                if self.plan.hold is not None:
                    await self.plan.hold.release()
            finally:
                self._over(self)

    async def _work(self) -> None:
        plan = self.plan
        composer, n = (plan.prompt.composer, 0) if plan.prompt is not None else await self._ready()
        reason: IncompleteReason | None = None
        while (left := self._left(composer)) != 0:
            last = self._is_last(n)
            prompt = plan.prompt or composer.prompt(self._round(n, left, last=last))
            stream = await self._asking.open(prompt)
            self.begin()
            serving = plan.serving
            options = composer.turn(self._record.told, serving.sources if serving is not None else {})
            turn = await self._asking.read(stream, options)
            reason = _CUT_SHORT.get(turn.finish)
            if reason is not None or last or serving is None or not await self._served(serving, composer, turn):
                break
            n += 1
        else:
            reason = "max_output_tokens"
        await self._conclude([self._end(reason)])

    async def _ready(self) -> tuple[Composer, int]:
        """The tools are at hand, and the calls made that were approved: what to ask the model, in which round."""
        plan, serving, compose = self.plan, self.plan.serving, self.plan.compose
        assert serving is not None, "without tools of ours there is a prompt"
        assert compose is not None, "and with tools of ours a way to make the composer"
        composer = compose(await serving.open(plan.said, self._tell))
        serving.hide(composer.toolbox)
        if not plan.approved:
            return composer, 0
        self.begin()
        await self._make(serving, serving.approved(plan.approved))
        return composer, 1

    async def _served(self, serving: Serving, composer: Composer, turn: Turn) -> bool:
        """Makes the calls of this answer that are ours. Whether the model is to be asked again."""
        if not turn.served:
            return False
        made = await self._make(serving, serving.asked(turn.served, composer.toolbox))
        return turn.calls == len(turn.served) and all(one.seen.output is not None for one in made)

    async def _make(self, serving: Serving, jobs: Sequence[Job]) -> list[Made]:
        """Makes these calls of ours, and the record of them."""
        step, told, event = len(self.journal.steps), self._record.told, len(self.journal.frames)
        made = await serving.make(jobs, step, told, self._tell)
        self._record.made(made, first_item=told, first_event=event)
        return made

    def _round(self, n: int, left: int | None, *, last: bool) -> Round:
        serving = self.plan.serving
        found = serving.found if serving is not None else ()
        return Round(n, self._record.produced() if self._begun else (), found, left, last)

    def _left(self, composer: Composer) -> int | None:
        """What is left of the output tokens that the request allows; None where it allows any number."""
        limit = composer.request.max_output_tokens
        return None if limit is None else max(0, limit - self._asking.usage.output_tokens)

    def _is_last(self, n: int) -> bool:
        """Whether a limit allows no more rounds with tools: the model then answers with what it has."""
        if self.plan.serving is None:
            return False
        config, usage = self._config, self._asking.usage
        seconds = self._loop.time() - self._since
        return (
            n + 1 >= config.max_rounds
            or bool(config.max_run_seconds and seconds >= config.max_run_seconds)
            or bool(config.max_run_tokens and usage.total_tokens >= config.max_run_tokens)
        )

    def _end(self, reason: IncompleteReason | None) -> Event:
        response, usage, tier = self._record.response, self._asking.usage, self._served_tier()
        if reason is not None:
            return lifecycle.incomplete(response, reason, usage=usage, service_tier=tier)
        return lifecycle.completed(response, usage=usage, service_tier=tier, at=int(ambient.now()))

    # -- ends

    async def _stopped(self) -> None:
        if not self._begun:
            self._refuse(Unavailable("The run was stopped before it began.", headers={"retry-after": "1"}))
            return
        self._close_items()
        if self._store is not None:
            await self._conclude([lifecycle.cancelled(self._record.response, usage=self._asking.usage)])

    async def _fail(self, failure: APIError) -> None:
        if not self._begun:
            self._refuse(failure)
            return
        self._close_items()
        await self._conclude(lifecycle.failed(self._record.response, failure, usage=self._asking.usage))

    def _refuse(self, failure: APIError) -> None:
        """Nothing was told yet: who waits for the opening gets the failure itself."""
        if not self._opened.done():
            # Without its traceback, which holds us.
            self._opened.set_exception(failure.with_traceback(None))
            self._opened.exception()  # whoever waited may have gone: then nobody is left to tell

    def _close_items(self) -> None:
        """What was open when the run broke off."""
        self._record.publish(self._asking.close())
        if self.plan.serving is not None:
            self._record.publish(self.plan.serving.left_open())

    async def _conclude(self, last: Sequence[AnyEvent]) -> None:
        self._concluding = True
        frames = self.journal.number(last, over_limit=True)
        if self._store is not None or self.plan.hold is not None:
            lost = await self._lost(last, frames)
            if lost is not None:
                last = lifecycle.failed(self._record.response, lost, usage=self._asking.usage)
                frames = self.journal.number(last, over_limit=True)
        self._record.apply(last)
        self.journal.end(frames)

    async def _lost(self, last: Sequence[AnyEvent], frames: Sequence[Frame]) -> APIError | None:
        """Stores what ends so, and what its conversation gets of it, in one commit; or why it could not."""
        hold = self.plan.hold
        try:
            finished = self._finished(last, frames)
            if self._store is not None:
                await self._store.commit(finished)
            elif hold is not None and finished.claim is not None:
                await hold.append(finished.items)
            if hold is not None and finished.claim is not None:
                hold.ended()
        except APIError as refusal:
            return refusal
        except Exception:  # noqa: BLE001 - whatever the database did, nobody may be told that it is stored
            _log.exception("response %s could not be stored", self.plan.response.id)
            return Unavailable("The response could not be stored.")
        return None

    def _settle(self) -> None:
        """Nobody waits for what will not come."""
        if self._waiting is not None and not self._begun:
            self._waiting.leave(self)
        if not self.journal.ended:
            self.journal.end()
        self._opened.cancel()

    def _finished(self, last: Sequence[AnyEvent], frames: Sequence[Frame]) -> Finished:
        """What one commit writes. The Response is the terminal event's own."""
        plan, end = self.plan, last[-1]
        assert isinstance(end, Event)
        response: Response = end.payload["response"]
        output = self._record.stored(response)
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
            result=without_output(frames[-1], [item.data for item in output]),
        )
        segment = self.journal.segment(frames)
        items = [*plan.items, *output]
        return Finished(response=row, items=items, steps=self.journal.steps, segments=[segment], claim=claim)

    # -- small things

    def _tell(self, batch: Sequence[AnyEvent]) -> None:
        """Events of tools, before which the response begins."""
        self.begin()
        self._record.emit(batch)

    def _served_tier(self) -> str:
        return self._asking.service_tier or "default"


def without_output(frame: Frame, output: Sequence[bytes]) -> bytes:
    """The Response that this frame ends with, as JSON, less the items of its output: ``whole`` puts them in again."""
    ending = _ending(output) + _END
    assert frame.endswith(ending), "the output is the last key of a Response"
    return frame[frame.index(_RESPONSE) + len(_RESPONSE) : -len(ending)] + _NO_OUTPUT


def whole(result: bytes, output: Sequence[bytes]) -> bytes:
    """The JSON of a stored Response: ``result`` as ``without_output`` made it, and its output items."""
    return result[: -len(_NO_OUTPUT)] + _ending(output)


def _ending(output: Sequence[bytes]) -> bytes:
    return b'"output":[%b]}' % b",".join(output)


_NO_OUTPUT = _ending(())
