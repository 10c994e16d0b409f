"""One function of the model's on the web: a call becomes an item, its events in order, and what the model reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from antiphon.errors import APIError
from antiphon.tools.base import Around, Call, Held, Json, Outcome
from antiphon.tools.web_search.steps import Step
from antiphon.wire.events import AnyEvent, Event, item_added, item_done, item_step
from antiphon.wire.items import HostedStatus, WebSearchCall

#: With it in ``include``, the item says which pages a search found.
SOURCES = "web_search_call.action.sources"


class WebTool:
    """A step as a tool. ``kind`` is the type of the entry of ``tools`` that brought it."""

    label: str | None = None
    #: It changes nothing out there.
    deferred = False
    repeatable = True

    def __init__(self, step: Step, kind: str, provider: str) -> None:
        self.kind = kind
        self._step = step
        self._provider = f"web:{provider}"

    @property
    def definition(self) -> dict[str, Any]:
        """The chat function."""
        return self._step.definition

    async def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome | Held]:
        """The item ``web_search_call``: ``in_progress``, ``searching``, ``completed``; a failed one is only done, for
        no event says so."""
        step = self._step
        given, wrong = _read(call, step.definition)
        item = _Item(around.new_id("web_search_call"), step.action(given))
        for event in item.begin():
            yield event
        if wrong is not None:
            yield item.end("failed")
            yield Outcome(wrong, failed=True)
            return
        yield item.searching()
        answer = await self._outside(given, around)
        if "error" in answer:
            yield item.end("failed")
            yield Outcome(step.failure(answer["error"]), failed=True)
            return
        found = step.sources(answer) if SOURCES in around.include else []
        yield item.completed()
        yield item.end("completed", found)
        yield step.outcome(given, answer, around.max_output_bytes)

    async def _outside(self, given: dict[str, str], around: Around) -> dict[str, Any]:
        """What the step brings back; a failure of the way there is an error like any other."""
        step = self._step

        async def perform() -> Json:
            return await step.perform(given, around.timeout)

        try:
            answer = await around.outside(self._provider, step.name, step.arguments(given), perform)
        except APIError:
            raise
        except Exception as failure:  # noqa: BLE001 - a recording or an injected fault may raise anything
            return {"error": f"the call broke off ({type(failure).__name__})"}
        return answer if isinstance(answer, dict) else {"error": "what came back cannot be read"}


class _Item:
    """The events of one item; every item of a call stands at index 0."""

    def __init__(self, item_id: str, action: dict[str, Any]) -> None:
        self._id = item_id
        self._action = action

    def begin(self) -> list[Event]:
        return [item_added(0, self._as("in_progress")), self._step("in_progress")]

    def searching(self) -> Event:
        return self._step("searching")

    def completed(self) -> Event:
        return self._step("completed")

    def end(self, status: HostedStatus, found: list[str] | None = None) -> Event:
        if found:
            self._action = {**self._action, "sources": [{"type": "url", "url": url} for url in found]}
        return item_done(0, self._as(status))

    def _as(self, status: HostedStatus) -> WebSearchCall:
        return WebSearchCall(id=self._id, status=status, action=self._action)

    def _step(self, step: str) -> Event:
        return item_step(f"web_search_call.{step}", 0, self._id)


def _read(call: Call, definition: dict[str, Any]) -> tuple[dict[str, str], str | None]:
    """The arguments that can be used, and what is wrong with the others, in words for the model."""
    wanted: list[str] = definition["parameters"]["required"]
    form = json.dumps(dict.fromkeys(wanted, "..."))
    try:
        found = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {}, f"The arguments of {definition['name']} must be a JSON object such as {form}, and they are none."
    given = {name: value.strip() for name in wanted if isinstance(value := found.get(name), str) and value.strip()}
    missing = [name for name in wanted if name not in given]
    if missing:
        what = " and ".join(f"'{name}'" for name in missing)
        return given, f"The arguments of {definition['name']} must have text in {what}: {form}."
    return given, None
