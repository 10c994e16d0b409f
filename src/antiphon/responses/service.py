"""Responses as a service: make one, get it, follow it, cancel it, delete it, list its input, count its tokens.

It owns the runs that are going on, and awaits every one of them before it lets go. What it says of a running response
comes from the live Journal, what it says of a finished one from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from antiphon.config import ResponsesConfig
from antiphon.conversations.service import Conversations
from antiphon.errors import InvalidRequest, NotFound, Unavailable
from antiphon.responses.asking import ClientHeaders, Keep
from antiphon.responses.attachments import Attachments
from antiphon.responses.journal import Journal
from antiphon.responses.planning import Fetch, Planner, Tooling
from antiphon.responses.run import Plan, Run, whole
from antiphon.responses.sealing import Sealer
from antiphon.responses.waiting import Waiting
from antiphon.storage.model import CursorNotFound, ItemPage, Owner, Store, StoredResponse
from antiphon.upstream import tokens
from antiphon.upstream.routing import Router
from antiphon.wire import segments
from antiphon.wire.encode import Dialect, Frame
from antiphon.wire.requests import CreateResponse

_encode = msgspec.json.Encoder().encode


class TokenCount(msgspec.Struct, frozen=True):
    """Input tokens, and whether the back end itself counted them."""

    tokens: int
    exact: bool


class Service:
    """The operations of ``/v1/responses``, for any owner."""

    def __init__(
        self,
        config: ResponsesConfig,
        router: Router,
        store: Store,
        conversations: Conversations,
        sealer: Callable[[], Sealer],
        fetch: Fetch,
        attachments: Attachments,
        tooling: Tooling,
        keep: Keep | None = None,
    ) -> None:
        """``keep`` makes of an answer of a model what is stored of it; without it nothing is."""
        self._config = config
        self._keep = keep
        self._store = store
        self._conversations = conversations
        self._planner = Planner(config, router, store, conversations, sealer, fetch, attachments, tooling)
        self._running: dict[Run, asyncio.Task[None]] = {}
        self._stored: dict[tuple[Owner, str], Run] = {}
        self._opening = Waiting(config.status_wait_seconds, Run.begin)
        self._closing = False

    async def start(self, request: CreateResponse, owner: Owner, dialect: Dialect, headers: ClientHeaders) -> Run:
        """A run under way. The caller waits for ``opened`` and reads its journal."""
        if request.conversation_id is None:
            return self._begin(await self._planner.plan(request, owner, dialect, headers), stream=request.stream)
        hold = await self._conversations.begin(owner, request.conversation_id)
        try:
            plan = await self._planner.plan(request, owner, dialect, headers, hold)
            return self._begin(plan, stream=request.stream)
        except BaseException:
            await hold.release()
            raise

    def _begin(self, plan: Plan, *, stream: bool | None) -> Run:
        if self._closing:
            raise Unavailable("The server is shutting down.", headers={"retry-after": "1"})
        run = Run(plan, self._store, self._config, self._keep, self._over)
        self._running[run] = run.start(self._opening if stream else None)
        if plan.response.store:
            self._stored[plan.owner, plan.response.id] = run
        return run

    def hang_up(self, run: Run, *, dropped: bool = False) -> None:
        """The client of this run has gone. A stored run may be configured to go on without it.

        It also goes on when the client was ``dropped`` because it did not read: that one may come again for the rest.
        """
        if not run.plan.response.store or (self._config.on_disconnect == "cancel" and not dropped):
            run.stop()

    async def retrieve(self, owner: Owner, response_id: str) -> bytes:
        """The Response as JSON. Raises ``NotFound``."""
        run = self._live(owner, response_id)
        if run is not None:
            return _encode(run.response)
        row = await self._row(owner, response_id)
        output = await self._store.output(owner, response_id)
        return whole(row.result, [item.data for item in output])

    async def follow(self, owner: Owner, response_id: str) -> Journal | list[Frame]:
        """Its events: the live journal, or the stored log. Raises ``NotFound``, or a 400 when the log has expired."""
        run = self._live(owner, response_id)
        if run is not None:
            return run.journal
        await self._row(owner, response_id)
        stored = await self._store.segments(owner, response_id)
        if not stored:
            raise InvalidRequest(
                f"The events of response '{response_id}' are no longer kept; retrieve it without 'stream'.",
                param="stream",
                code="events_expired",
            )
        return [frame for segment in stored for frame in segments.decode(segment.data)]

    async def delete(self, owner: Owner, response_id: str) -> None:
        """Remove it, content at once. A running one is stopped first. Raises ``NotFound``."""
        run = self._live(owner, response_id)
        if run is not None:
            run.stop()
            await run.finished()
        if not await self._store.delete(owner, response_id):
            raise _unknown(response_id)

    async def cancel(self, owner: Owner, response_id: str) -> bytes:
        """Only background responses can be cancelled. Raises ``NotFound`` or a 400."""
        if self._live(owner, response_id) is None:
            await self._row(owner, response_id)
        raise InvalidRequest(
            f"Response '{response_id}' was not created with 'background', so it cannot be cancelled.",
            param="response_id",
            code="not_cancellable",
        )

    async def input_items(
        self, owner: Owner, response_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"]
    ) -> ItemPage:
        """One page of its own input. Raises ``NotFound``, or a 400 for a cursor that names nothing."""
        run = self._live(owner, response_id)
        if run is not None:
            await run.finished()
        await self._row(owner, response_id)
        try:
            return await self._store.input_items(owner, response_id, after=after, limit=limit, order=order)
        except CursorNotFound as unknown:
            raise InvalidRequest(
                f"'after' names no input item of response '{response_id}'.", param="after", code="invalid_cursor"
            ) from unknown

    async def count(self, request: CreateResponse, owner: Owner) -> TokenCount:
        """The size of the rendered request: by the back end's own tokenizer where it has one, else estimated."""
        route, chat = await self._planner.prompt(request, owner)
        exact = await route.upstream.count_tokens(chat)
        if exact is not None:
            return TokenCount(exact, exact=True)
        return TokenCount(await tokens.estimate(chat), exact=False)

    def stop(self) -> None:
        """Begin no more runs, and stop those that are under way."""
        self._closing = True
        for run in self._running:
            run.stop()

    async def close(self) -> None:
        """Stop what runs, and wait until all of it is stored."""
        self.stop()
        if self._running:
            await asyncio.wait(list(self._running.values()))
        self._opening.close()

    def _live(self, owner: Owner, response_id: str) -> Run | None:
        """The run, while its end is not stored yet."""
        run = self._stored.get((owner, response_id))
        return run if run is not None and run.journal.frames and not run.journal.ended else None

    async def _row(self, owner: Owner, response_id: str) -> StoredResponse:
        row = await self._store.response(owner, response_id)
        if row is None or row.deleted:
            raise _unknown(response_id)
        return row

    def _over(self, run: Run) -> None:
        del self._running[run]
        self._stored.pop((run.plan.owner, run.plan.response.id), None)


def _unknown(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id}' not found.", param="response_id", code="not_found")
