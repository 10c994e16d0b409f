"""The model's function: a call becomes an item, its events in order, and what the model reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from antiphon.errors import APIError
from antiphon.tools import prompts
from antiphon.tools.base import Around, Call, Held, Json, Outcome
from antiphon.tools.file_search.options import Options
from antiphon.tools.file_search.searching import Stores, search
from antiphon.wire.events import AnyEvent, item_added, item_done, item_step
from antiphon.wire.items import FileSearchCall

#: With it in ``include``, the item says what was found.
RESULTS = "file_search_call.results"

#: Queries of one call, and characters of each. What is over that is left out.
_MAX_QUERIES, _MAX_QUERY = 8, 4096


class FileSearch:
    """One entry's search."""

    kind = "file_search"
    label: str | None = None
    deferred = False
    #: It changes nothing.
    repeatable = True

    def __init__(self, stores: Stores, options: Options, style: prompts.Style) -> None:
        self._stores = stores
        self._options = options
        self._style = style
        self.definition = prompts.file_search(style)

    async def run(self, call: Call, around: Around) -> AsyncIterator[AnyEvent | Outcome | Held]:
        """The item ``file_search_call``: ``in_progress``, ``searching``, ``completed``; a failed one is only done, for
        no event says so."""
        queries = _queries(call.arguments)
        item = FileSearchCall(id=around.new_id("file_search_call"), status="in_progress", queries=queries)
        failed = msgspec.structs.replace(item, status="failed")
        yield item_added(0, item)
        yield item_step("file_search_call.in_progress", 0, item.id)
        if not queries:
            yield item_done(0, failed)
            yield Outcome(prompts.no_queries(self.definition), failed=True)
            return
        yield item_step("file_search_call.searching", 0, item.id)
        answer = await self._outside(queries, around)
        if "error" in answer:
            yield item_done(0, failed)
            yield Outcome(
                f"The file search failed: {answer['error']}. Say so if it matters to the answer.", failed=True
            )
            return
        yield item_step("file_search_call.completed", 0, item.id)
        found = list(answer["results"])
        shown = found if RESULTS in around.include else None
        yield item_done(0, msgspec.structs.replace(item, status="completed", results=shown))
        yield prompts.found_files(self._style, queries, found, around.max_output_bytes)

    async def _outside(self, queries: list[str], around: Around) -> dict[str, Any]:
        """What the search brings back; a failure of the way there is an error like any other."""
        options = self._options

        async def perform() -> Json:
            return await search(self._stores, around.owner, queries, options, around.timeout)

        arguments = {
            "queries": queries,
            "vector_store_ids": list(options.store_ids),
            "max_num_results": options.limit,
            **options.given,
        }
        try:
            answer = await around.outside("file_search", "search", arguments, perform)
        except APIError:
            raise
        except Exception as failure:  # noqa: BLE001 - a recording or an injected fault may raise anything
            return {"error": f"the call broke off ({type(failure).__name__})"}
        known = isinstance(answer, dict) and ("error" in answer or isinstance(answer.get("results"), list))
        return answer if known else {"error": "what came back cannot be read"}


def _queries(arguments: str) -> list[str]:
    """What to look for, each once: a ``query`` or ``queries``, as the model wrote them."""
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    if not isinstance(given, dict):
        return []
    wanted = given.get("queries", given.get("query"))
    texts = wanted if isinstance(wanted, list) else [wanted]
    found = [text.strip()[:_MAX_QUERY] for text in texts if isinstance(text, str) and text.strip()]
    return list(dict.fromkeys(found))[:_MAX_QUERIES]
