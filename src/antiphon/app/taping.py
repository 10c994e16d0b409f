"""The tape on the server's doors: what leaves is recorded or replayed, in the scope that the request names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.routing import Mount

from antiphon import ambient
from antiphon.config import TapeConfig
from antiphon.errors import UpstreamError
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.faults import Faults, load
from antiphon.tape.model import Boundary, End, Json
from antiphon.tape.outbound import was_reset
from antiphon.tape.proxy import control
from antiphon.tape.refusal import Refusal
from antiphon.tape.scope import ASGIApp, ScopeMiddleware
from antiphon.tape.transport import TapeTransport, boundary_of
from antiphon.upstream.door import ExchangeFailed, Transport

#: Where the clock stands while a scope is recorded or replayed: 2026-01-01.
FROZEN_AT = 1_767_225_600.0

_log = logging.getLogger("antiphon")

_CLOSED = (
    "The control endpoints of this tape are closed: this server listens beyond its own machine, and has no "
    "'tape.control_token' that would open them."
)


class Taping:
    """One tape, the transport that it hangs on, and the middleware that knows the scopes."""

    def __init__(self, config: TapeConfig, environ: Mapping[str, str], *, near: bool) -> None:
        """``near``: only this machine can reach the server."""
        assert config.dir is not None
        self._token = config.control_token
        self._near = near
        modes = {"inference": config.inference, "embeddings": config.embeddings, "tools": config.tools}
        settings = Settings(
            directory=config.dir,
            mode=config.mode,
            modes={boundary: mode for boundary, mode in modes.items() if mode},  # type: ignore[misc]
            strict=config.strict,
            exhausted=config.exhausted,
            timing=config.timing,
            speed=config.speed or None,
            volatile=config.volatile,
            relax=config.relax,
            budget=config.budget_tokens or None,
            allow=config.allow,
        )
        faults = Faults(load(Path(config.faults)) if config.faults is not None else ())
        self.tape = Tape(settings, environ=environ, faults=faults, background=True)
        self.tape.hook(lambda scope: ambient.freezing(scope, FROZEN_AT))
        self._names: dict[str, str] = {}

    def scoped(self, app: ASGIApp) -> ASGIApp:
        """The application, in the scope of each request."""
        return ScopeMiddleware(app, self.tape.within)

    def on(self, door: Transport) -> Transport:
        """The door with the tape on it. What the tape refuses is a reply, as if the back end had refused it."""
        return self._on(door)

    def over(self, way: Transport) -> Transport:
        """Another way out with the tape on it. What the tape refuses is an ``UpstreamError``."""
        return self._on(way, refused=_refused)

    async def outside(self, provider: str, tool: str, arguments: Json, perform: Callable[[], Awaitable[Json]]) -> Json:
        """A tool's call with the tape on it. What the tape refuses is an ``UpstreamError``, which ends the run."""
        try:
            return await self.tape.call(provider, tool, arguments, perform)
        except Refusal as refusal:
            raise _refused(refusal) from refusal

    def _on(self, way: Transport, **more: Any) -> Transport:
        return TapeTransport(
            way, self.tape, broken=_broken, ending=_ending, provider=self._provider, boundary=self._boundary, **more
        )

    def name(self, urls: Mapping[str, str]) -> None:
        """The back ends by name: what goes elsewhere is a tool's."""
        self._names = {url: name for name, url in urls.items()}

    def control(self) -> Mount:
        """The routes that tell of the tape and steer it."""
        return Mount("/_tape", app=control(self.tape, token=self._token, closed="" if self._near else _CLOSED))

    def say(self) -> None:
        """Where the tape is and what it does, for the log."""
        settings = self.tape.settings
        others = "".join(f", {one} {mode}" for one, mode in settings.modes.items() if mode != settings.mode)
        _log.info("Tape: %s, mode %s%s.", settings.directory, settings.mode, others)

    async def close(self) -> None:
        """All that was heard is written."""
        await asyncio.to_thread(self.tape.close)

    def _provider(self, url: str) -> str:
        return next((name for base, name in self._names.items() if url.startswith(base)), "")

    def _boundary(self, url: str) -> Boundary:
        return boundary_of(url) if self._provider(url) else "tools"


def _broken(end: End, words: str) -> ExchangeFailed:
    """How a recorded answer ended badly, as the failure that it was then."""
    kind, _, message = words.partition(": ")
    if kind in ("connect", "timeout", "broken", "refused") and message:
        return ExchangeFailed(kind, message)  # type: ignore[arg-type]
    return ExchangeFailed("broken", words)


def _refused(refusal: Refusal) -> UpstreamError:
    headers = {name: value for name, value in refusal.headers if name != "content-type"}
    return UpstreamError(
        str(refusal), status=refusal.status, type="invalid_request_error", code=refusal.code, headers=headers
    )


def _ending(failure: Exception) -> tuple[End, str] | None:
    if not isinstance(failure, ExchangeFailed):
        return None
    return "reset" if was_reset(failure) else "error", f"{failure.kind}: {failure.message}"


__all__ = ["FROZEN_AT", "Taping"]
