"""From a request to a plan: the history, the tools, the prompt, and the Response as it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig, UpstreamConfig
from antiphon.conversations.service import Conversations
from antiphon.conversations.turns import Hold
from antiphon.errors import APIError, InvalidRequest
from antiphon.responses import echo, history, prompt
from antiphon.responses.run import ClientHeaders, Plan
from antiphon.responses.schema import SchemaCheck
from antiphon.responses.sealing import Sealer
from antiphon.responses.toolbox import Toolbox
from antiphon.responses.turn import TurnOptions
from antiphon.storage.model import Owner, Store
from antiphon.upstream.routing import Route, Router
from antiphon.wire.chat import ChatRequest
from antiphon.wire.encode import Dialect
from antiphon.wire.inputs import FormatJsonObject, FormatJsonSchema, read_items
from antiphon.wire.requests import CreateResponse
from antiphon.wire.response import Response
from antiphon.wire.tools import without_secrets

ItemDict = dict[str, Any]

_encode = msgspec.json.Encoder().encode

#: Characters that stand for a token where only a rough guess is needed: how much to drop, never what to bill.
_CHARACTERS_PER_TOKEN = 3

#: Linked files of one request.
_MAX_FILES = 16

#: Items that bring tools along.
_ADD_TOOLS = frozenset({"additional_tools", "tool_search_output"})


#: Gets a file by its URL, as a ``data:`` URL. Raises a 400 that names what went wrong.
Fetch = Callable[[str], Awaitable[str]]


class Rendered(msgspec.Struct, frozen=True):
    """A chat request, and how to make it again of fewer items. See ``run.Prompt``."""

    request: ChatRequest
    items: Sequence[ItemDict]
    render: Callable[[Sequence[ItemDict]], ChatRequest]
    may_drop: bool

    def shorter(self, context_window: int | None) -> Rendered | None:
        """Without its oldest turn; without as many as it takes where the model's limit is known."""
        if not self.may_drop:
            return None
        shorter: Rendered | None = self
        while shorter is not None:
            left = prompt.drop_oldest_turn(shorter.items)
            if left is None:
                return None if shorter is self else shorter
            shorter = msgspec.structs.replace(self, request=self.render(left), items=left)
            if context_window is None or shorter._fits(context_window):
                break
        return shorter

    def _fits(self, context_window: int) -> bool:
        return len(_encode(self.request["messages"])) <= context_window * _CHARACTERS_PER_TOKEN


class Planner:
    """Makes plans for one server: it knows the routes, the store and the limits."""

    def __init__(
        self,
        config: ResponsesConfig,
        router: Router,
        store: Store,
        conversations: Conversations,
        sealer: Callable[[], Sealer],
        fetch: Fetch,
    ) -> None:
        self._config = config
        self._conversations = conversations
        self._fetch = fetch
        self._router = router
        self._store = store
        self._sealer = sealer

    async def plan(
        self,
        request: CreateResponse,
        owner: Owner,
        dialect: Dialect,
        headers: ClientHeaders,
        hold: Hold | None = None,
    ) -> Plan:
        """Everything decided; ``hold`` is of the conversation it is a turn of. Raises the 4xx the request deserves."""
        route = await self._router.resolve(request.model)
        before, items = await self._said(request, owner, hold)
        rendered, toolbox = self._render(request, route, before, items, owner)
        new_id = ambient.new_id
        response = echo.begin(request, response_id=new_id("response"), created_at=int(ambient.now()))
        dropped = self._unreadable(items, owner)
        if dropped:
            response = msgspec.structs.replace(response, input_transformations=dropped)
        # With references and linked files put in: the chain must not depend on what becomes of those later.
        kept = history.as_stored(items) if response.store or hold is not None else ()
        return Plan(
            owner=owner,
            response=response,
            request=_stored_request(request) if response.store else b"",
            items=kept,
            position=len(before) + len(items),
            dialect=dialect,
            route=route,
            prompt=rendered,
            turn=self._turn_options(request, response, route, toolbox, len(before) + len(items), owner),
            check=_check(request, route.upstream.config),
            unserved=toolbox.unserved,
            headers=headers,
            hold=hold,
        )

    async def prompt(self, request: CreateResponse, owner: Owner) -> tuple[Route, ChatRequest]:
        """Only the chat request of it, for counting."""
        route = await self._router.resolve(request.model)
        before, items = await self._said(request, owner)
        rendered, _ = self._render(request, route, before, items, owner)
        return route, rendered.request

    async def _said(
        self, request: CreateResponse, owner: Owner, hold: Hold | None = None
    ) -> tuple[list[ItemDict], list[ItemDict]]:
        """What was said before, and the input with references and linked files put in."""
        before = await self._before(request, owner, hold)
        items = request.input_items()
        if isinstance(request.input, str):
            return before, items
        wanted = prompt.references(items)
        if wanted:
            items = prompt.resolve(items, await history.find(self._store, owner, wanted, before))
        return before, await self._with_files(items)

    async def _before(self, request: CreateResponse, owner: Owner, hold: Hold | None) -> list[ItemDict]:
        """The chain or the conversation. An item that was put into a conversation may still link a file."""
        if request.previous_response_id is not None:
            return await history.chain(self._store, owner, request.previous_response_id, self._config)
        if request.conversation_id is None:
            return []
        return await self._with_files(await self._conversations.history(owner, request.conversation_id, hold))

    async def _with_files(self, items: list[ItemDict]) -> list[ItemDict]:
        urls = prompt.file_urls(items)
        return prompt.inline_files(items, await self._fetched(urls, items)) if urls else items

    async def _file(self, url: str, items: Sequence[ItemDict]) -> str:
        """The file at this URL. The 400 for one that cannot be had names the part that asked for it."""
        try:
            return await self._fetch(url)
        except InvalidRequest as failure:
            raise InvalidRequest(failure.message, param=_part_of(url, items), code=failure.code) from failure

    async def _fetched(self, urls: Sequence[str], items: Sequence[ItemDict]) -> dict[str, str]:
        """The files of these URLs, all fetched together; the first that fails stops the others."""
        if len(urls) > _MAX_FILES:
            raise InvalidRequest(
                f"The input links {len(urls)} files; at most {_MAX_FILES} are fetched for one request.",
                param="input",
                code="too_many_files",
            )
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {url: group.create_task(self._file(url, items)) for url in urls}
        except* APIError as failures:
            raise _first(failures) from failures
        return {url: task.result() for url, task in tasks.items()}

    def _render(
        self, request: CreateResponse, route: Route, before: list[ItemDict], items: list[ItemDict], owner: Owner
    ) -> tuple[Rendered, Toolbox]:
        config = route.upstream.config
        added = [item for item in (*before, *items) if item.get("type") in _ADD_TOOLS]
        toolbox = Toolbox.of(
            request.tools, request.tool_choice, request.parallel_tool_calls, items=read_items(added) if added else ()
        )

        def render(earlier: Sequence[ItemDict], new: Sequence[ItemDict] = ()) -> ChatRequest:
            return prompt.render(
                request,
                toolbox,
                config,
                route.model,
                history=earlier,
                items=new,
                open_sealed=lambda sealed: self._sealer().open(owner, sealed),
            )

        may_drop = request.truncation == "auto"
        return Rendered(render(before, items), [*before, *items], render, may_drop), toolbox

    def _turn_options(
        self,
        request: CreateResponse,
        response: Response,
        route: Route,
        toolbox: Toolbox,
        position: int,
        owner: Owner,
    ) -> Callable[[int], TurnOptions]:
        sealed = not response.store or "reasoning.encrypted_content" in (request.include or ())
        options = TurnOptions(
            new_id=ambient.new_id,
            shape_of=toolbox.shape_of,
            think_tags=route.upstream.config.think_tags,
            logprobs=request.wants_logprobs,
            summary=response.reasoning["summary"] is not None,
            seal=(lambda text: self._sealer().seal(owner, text)) if sealed else None,
        )
        return lambda first: msgspec.structs.replace(options, first_index=first, position=position + first)

    def _unreadable(self, items: Sequence[ItemDict], owner: Owner) -> list[dict[str, Any]]:
        """Reasoning that came back sealed and that we cannot open, said so in OpenAI's words."""
        return [
            {"id": item.get("id") or "", "action": "removed", "reason": "organization_mismatch", "type": "reasoning"}
            for item in items
            if item.get("type") == "reasoning"
            and item.get("encrypted_content")
            and self._sealer().open(owner, item["encrypted_content"]) is None
        ]


def _part_of(url: str, items: Sequence[ItemDict]) -> str:
    """The JSON path of the first ``file_url`` that is this one."""
    for n, item in enumerate(items):
        for key in ("content", "output"):
            parts = item.get(key)
            for k, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict) and part.get("file_url") == url:
                    return f"input[{n}].{key}[{k}].file_url"
    return "input"


def _first(failures: BaseExceptionGroup[APIError]) -> APIError:
    """One of them: a client is told of one failure at a time."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure


def _stored_request(request: CreateResponse) -> bytes:
    """The request as it is kept: without its input, which is in the items, and without anybody's secrets."""
    kept = {key: value for key, value in request.raw.items() if key != "input"}
    if request.tools:
        kept["tools"] = without_secrets(request.tools)
    return _encode(kept)


def _check(request: CreateResponse, config: UpstreamConfig) -> SchemaCheck | None:
    form = request.text.format if request.text is not None else None
    if config.schemas != "validated" or form is None:
        return None
    if isinstance(form, FormatJsonSchema):
        check = SchemaCheck(form.name, form.schema)
        if (problem := check.broken()) is not None:
            raise InvalidRequest(f"Invalid schema for 'text.format': {problem}", param="text.format.schema")
        return check
    return SchemaCheck("json_object", None) if isinstance(form, FormatJsonObject) else None
