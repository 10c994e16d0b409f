"""The tools of this server: which kits there are, and the way on which their calls leave."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from antiphon.config import Config
from antiphon.responses.planning import Tooling
from antiphon.tools.base import Json, Kit, Outside
from antiphon.tools.file_search.kit import FileSearchKit
from antiphon.tools.file_search.searching import Stores
from antiphon.tools.mcp.kit import McpKit
from antiphon.tools.search import SearchKit
from antiphon.tools.web_search.kit import WebSearchKit
from antiphon.upstream.door import Transport
from antiphon.upstream.fetch import Fetcher

_log = logging.getLogger("antiphon")


def own_kits(
    config: Config,
    environ: Mapping[str, str],
    door: Transport,
    fetcher: Fetcher,
    stores: Stores,
    *,
    allow_private: bool,
    replays: bool,
) -> list[Kit]:
    """Every kit that there is, to be closed by the caller. ``door`` is the bare one: the tape records whole calls."""
    return [
        SearchKit(),
        FileSearchKit(stores, config.tools.prompts, replays=replays),
        WebSearchKit(config.tools, environ, door, fetcher, keyless=replays),
        McpKit(config.tools.mcp, door, allow_private=allow_private),
    ]


def tooling(config: Config, kits: Sequence[Kit], outside: Outside | None) -> Tooling:
    """These kits by the types that they serve, the last one for each. ``outside`` is the way of the calls where there
    is something on it (a tape)."""
    ready = {kind: kit for kit in kits if not kit.missing for kind in kit.types}
    missing: dict[str, str] = {}
    for kit in kits:
        lacking = kit.types.difference(ready)
        if kit.missing and lacking:
            _log.info("No %s: %s", min(lacking, key=len), kit.missing)
            missing.update(dict.fromkeys(lacking, kit.missing))
    return Tooling(ready, missing, outside or _plain, config.tools)


async def _plain(_provider: str, _tool: str, _arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
    return await perform()
