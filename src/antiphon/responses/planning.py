"""From a request to a plan: the history, the tools, the prompt, and the Response as it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from antiphon import ambient
from antiphon.config import ResponsesConfig, ToolsConfig, UpstreamConfig
from antiphon.conversations.service import Conversations
from antiphon.conversations.turns import Hold
from antiphon.errors import APIError, InvalidRequest, first_of
from antiphon.files.showing import reads
from antiphon.responses import echo, history, prompt
from antiphon.responses.asking import ClientHeaders
from antiphon.responses.attachments import Attachments
from antiphon.responses.composing import Composer
from antiphon.responses.history import Past, Said
from antiphon.responses.run import Plan
from antiphon.responses.schema import SchemaCheck
from antiphon.responses.sealing import Sealer
from antiphon.responses.serving import Limits, Serving
from antiphon.responses.toolbox import Served, Toolbox
from antiphon.responses.turn import TurnOptions
from antiphon.storage.model import Owner, Store
from antiphon.tools.base import Around, Kit, Outside, Toolset
from antiphon.upstream.routing import Route, Router
from antiphon.wire.chat import ChatRequest
from antiphon.wire.encode import Dialect
from antiphon.wire.inputs import FormatJsonObject, FormatJsonSchema, InputItem, read_items
from antiphon.wire.requests import CreateResponse
from antiphon.wire.seen import approval_requests, refusals
from antiphon.wire.tools import without_secrets

ItemDict = dict[str, Any]

_encode = msgspec.json.Encoder().encode

#: Linked files of one request.
_MAX_FILES = 16

#: Items that bring tools along.
_ADD_TOOLS = frozenset({"additional_tools", "tool_search_output"})


#: Gets a file by its URL, as a ``data:`` URL. Raises a 400 that names what went wrong.
Fetch = Callable[[str], Awaitable[str]]


class Tooling(msgspec.Struct, frozen=True):
    """The tools that this server runs: a kit for each type of ``tools``, the way out, and their limits.

    ``missing`` says, for types that lack a setting, which: what needs one of them is refused in these words.
    """

    kits: Mapping[str, Kit]
    missing: Mapping[str, str]
    outside: Outside
    limits: ToolsConfig


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
        attachments: Attachments,
        tooling: Tooling,
    ) -> None:
        self._config = config
        self._attachments = attachments
        self._tooling = tooling
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
        said = history.only_text(request) or await self._said(request, owner, hold)
        approved = _approved(said.past.items, said.items) if "mcp_approval_response" in said.kinds else ()
        if isinstance(request.tool_choice, dict):
            self._check_choice(request.tool_choice)
        added = _added_tools(said)
        toolsets = self._toolsets(request.tools) if request.tools else {}
        shown = await self._shown(route, said, owner) if said.files else said
        serving = prompt = compose = None
        if toolsets:
            compose = partial(self._composer, request, route, shown, added, toolsets.keys(), owner)
            serving = self._serving(request, toolsets, owner)
            unserved = Toolbox.check(request.tools or (), request.tool_choice, added, toolsets.keys())
        else:
            composer = self._composer(request, route, shown, added, (), owner)
            prompt, unserved = composer.prompt(), composer.toolbox.unserved
        response = echo.begin(request, response_id=ambient.new_id("response"), created_at=int(ambient.now()))
        dropped = self._unreadable(said.items, owner) if "reasoning" in said.kinds else ()
        if dropped:
            response = msgspec.structs.replace(response, input_transformations=dropped)
        # With references and linked files put in: the chain must not depend on what becomes of those later.
        kept = history.as_stored(said.items) if response.store or hold is not None else ()
        return Plan(
            owner=owner,
            response=response,
            request=_stored_request(request) if response.store else b"",
            items=kept,
            dialect=dialect,
            route=route,
            prompt=prompt,
            serving=serving,
            compose=compose,
            said=said.all,
            approved=approved,
            check=_check(request, route.upstream.config) if request.text is not None else None,
            unserved=unserved,
            headers=headers,
            hold=hold,
        )

    async def prompt(self, request: CreateResponse, owner: Owner) -> tuple[Route, ChatRequest]:
        """Only the chat request of it, for counting."""
        route = await self._router.resolve(request.model)
        said = history.only_text(request) or await self._said(request, owner)
        shown = await self._shown(route, said, owner) if said.files else said
        composer = self._composer(request, route, shown, _added_tools(said), (), owner)
        return route, composer.prompt().request

    async def _said(self, request: CreateResponse, owner: Owner, hold: Hold | None = None) -> Said:
        """What was said before, and the input with references and linked files put in."""
        past = await self._before(request, owner, hold)
        sent = items = request.input_items()
        wanted = prompt.references(items)
        if wanted:
            items = prompt.resolve(items, await history.find(self._store, owner, wanted, past.items))
        files = prompt.may_hold_files(items)
        if files:
            items = await self._with_files(items)
        said = [*past.items, *items]
        kinds = {item.get("type") for item in said}
        files = files or prompt.may_hold_files(past.items)
        return Said(past, items, said, kinds, as_sent=items is sent, files=files)

    async def _shown(self, route: Route, said: Said, owner: Owner) -> Said:
        """The same with what files hold, for this model. It is not kept: a file that is deleted is shown no more."""
        past, model_reads = said.past, reads(route.upstream.config, route.model)
        told, new = await self._attachments.shown(owner, past.items, said.items, model_reads)
        return msgspec.structs.replace(
            said,
            past=Past(told, past.sources),
            items=new,
            all=[*told, *new],
            as_sent=said.as_sent and new is said.items,
        )

    async def _before(self, request: CreateResponse, owner: Owner, hold: Hold | None) -> Past:
        """The chain or the conversation. An item that was put into a conversation may still link a file."""
        if request.previous_response_id is not None:
            return await history.chain(self._store, owner, request.previous_response_id, self._config)
        if request.conversation_id is None:
            return history.NOTHING
        past = history.past(await self._conversations.history(owner, request.conversation_id, hold))
        return Past(await self._with_files(past.items), past.sources)

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
            raise first_of(failures) from failures
        return {url: task.result() for url, task in tasks.items()}

    def _composer(
        self,
        request: CreateResponse,
        route: Route,
        said: Said,
        added: Sequence[InputItem],
        entries: Collection[int],
        owner: Owner,
        served: Sequence[Served] = (),
    ) -> Composer:
        """What makes the prompts, now that the tools are known that these ``entries`` of ``tools`` bring."""
        toolbox = Toolbox.of(request.tools, request.tool_choice, request.parallel_tool_calls, added, served, entries)
        if added:
            toolbox = toolbox.with_found(toolbox.found_before(added))
        before, items, as_sent = said.past.items, said.items, said.as_sent
        if "mcp_approval_response" in said.kinds:
            before, items, as_sent = refusals(before), refusals(items, before), False
        return Composer(
            request=request,
            config=route.upstream.config,
            model=route.model,
            before=before,
            items=items,
            as_sent=as_sent,
            toolbox=toolbox,
            sources=said.past.sources,
            options=self._turn_options(request, route, toolbox, len(said.all), owner),
            open_sealed=lambda sealed: self._sealer().open(owner, sealed),
        )

    def _turn_options(
        self, request: CreateResponse, route: Route, toolbox: Toolbox, position: int, owner: Owner
    ) -> TurnOptions:
        sealed = request.store is False or "reasoning.encrypted_content" in (request.include or ())
        return TurnOptions(
            new_id=ambient.new_id,
            shape_of=toolbox.shape_of,
            think_tags=route.upstream.config.think_tags,
            position=position,
            logprobs=request.wants_logprobs,
            summary=request.reasoning is not None and request.reasoning.wants_summary,
            seal=(lambda text: self._sealer().seal(owner, text)) if sealed else None,
        )

    def _toolsets(self, tools: Sequence[dict[str, Any]]) -> dict[int, Toolset]:
        """What runs here of a request's ``tools``, by the place in it."""
        return {
            n: kit.toolset(entry, f"tools[{n}]")
            for n, entry in enumerate(tools)
            if (kit := self._tooling.kits.get(str(entry.get("type")))) is not None
        }

    def _serving(self, request: CreateResponse, toolsets: Mapping[int, Toolset], owner: Owner) -> Serving:
        """The tools of this request that run here."""
        tooling, limits = self._tooling, self._tooling.limits
        around = Around(
            new_id=ambient.new_id,
            outside=tooling.outside,
            include=frozenset(request.include or ()),
            timeout=limits.call_seconds,
            max_output_bytes=limits.max_output_bytes,
            owner=owner,
        )
        at_once = 1 if request.parallel_tool_calls is False else limits.calls_at_once
        return Serving(toolsets, around, Limits(request.max_tool_calls, at_once))

    def _check_choice(self, choice: dict[str, Any]) -> None:
        """A choice that forces a tool which is not set up is refused with what it lacks."""
        forced = choice.get("type")
        missing = self._tooling.missing.get(forced) if isinstance(forced, str) else None  # else the toolbox refuses it
        if missing:
            raise InvalidRequest(
                f"Invalid 'tool_choice': the tool '{forced}' is not set up on this server. {missing}",
                param="tool_choice",
                code="tool_not_configured",
            )

    def _unreadable(self, items: Sequence[ItemDict], owner: Owner) -> list[dict[str, Any]]:
        """Reasoning that came back sealed and that we cannot open, said so in OpenAI's words."""
        return [
            {"id": item.get("id") or "", "action": "removed", "reason": "organization_mismatch", "type": "reasoning"}
            for item in items
            if item.get("type") == "reasoning"
            and item.get("encrypted_content")
            and self._sealer().open(owner, item["encrypted_content"]) is None
        ]


def _added_tools(said: Said) -> Sequence[InputItem]:
    """The items that bring tools along."""
    if _ADD_TOOLS.isdisjoint(said.kinds):
        return ()
    return read_items([item for item in said.all if item.get("type") in _ADD_TOOLS])


def _approved(before: Sequence[ItemDict], items: Sequence[ItemDict]) -> list[ItemDict]:
    """The requests that are approved now. Raises InvalidRequest for an answer to a request that was never made."""
    answers = [(n, item) for n, item in enumerate(items) if item.get("type") == "mcp_approval_response"]
    asked = approval_requests(before, items)
    approved: list[ItemDict] = []
    for n, item in answers:
        request = asked.get(item.get("approval_request_id"))
        if request is None:
            raise InvalidRequest(
                f"No approval request found with id '{item.get('approval_request_id')}'.",
                param=f"input[{n}].approval_request_id",
                code="invalid_value",
            )
        if item.get("approve") and request not in approved:
            approved.append(request)
    return approved


def _part_of(url: str, items: Sequence[ItemDict]) -> str:
    """The JSON path of the first ``file_url`` that is this one."""
    for n, item in enumerate(items):
        for key in ("content", "output"):
            parts = item.get(key)
            for k, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict) and part.get("file_url") == url:
                    return f"input[{n}].{key}[{k}].file_url"
    return "input"


def _stored_request(request: CreateResponse) -> bytes:
    """The request as it is kept: without its input, which is in the items, and without anybody's secrets."""
    kept = request.raw.copy()
    kept.pop("input", None)
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
