"""The tools of this server: which kits there are, and the way on which their calls leave."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from antiphon.config import Config
from antiphon.errors import UpstreamError
from antiphon.responses.planning import Tooling
from antiphon.tools.base import Json, Kit, Outside
from antiphon.tools.mcp.kit import McpKit
from antiphon.tools.search import SearchKit
from antiphon.tools.web_search.kit import WebSearchKit
from antiphon.upstream.door import Transport
from antiphon.upstream.fetch import Fetcher

if TYPE_CHECKING:
    from antiphon.tape.engine import Tape

_log = logging.getLogger("antiphon")

Perform = Callable[[], Awaitable[Json]]


def own_kits(
    config: Config, environ: Mapping[str, str], door: Transport, fetcher: Fetcher, *, allow_private: bool, replays: bool
) -> list[Kit]:
    """Every kit that there is, to be closed by the caller. ``door`` is the bare one: the tape records whole calls."""
    return [
        SearchKit(),
        WebSearchKit(config.tools, environ, door, fetcher, keyless=replays),
        McpKit(config.tools.mcp, door, allow_private=allow_private),
    ]


def tooling(config: Config, kits: Sequence[Kit], tape: Tape | None) -> Tooling:
    """These kits by the types that they serve, the last one for each; with a ``tape``, calls are recorded there."""
    ready: dict[str, Kit] = {}
    unready: dict[str, Kit] = {}
    for kit in kits:
        missing = getattr(kit, "missing", "")
        if missing:
            _log.info("No %s: %s", min(kit.types, key=len), missing)
        for kind in kit.types:
            (unready if missing else ready)[kind] = kit
    unready = {kind: kit for kind, kit in unready.items() if kind not in ready}
    return Tooling(ready, unready, _plain if tape is None else _taped(tape), config.tools)


async def _plain(_provider: str, _tool: str, _arguments: Json, perform: Perform) -> Json:
    return await perform()


def _taped(tape: Tape) -> Outside:
    from antiphon.tape.refusal import Refusal  # a server without a tape never loads it

    async def outside(provider: str, tool: str, arguments: Json, perform: Perform) -> Json:
        try:
            return await tape.call(provider, tool, arguments, perform)
        except Refusal as why:
            raise UpstreamError(str(why), status=why.status, code=why.code) from why

    return outside
