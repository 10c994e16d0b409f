"""The tape on the server's doors: what leaves is recorded or replayed, in the scope that the request names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from starlette.routing import Mount

from antiphon import ambient
from antiphon.config import TapeConfig
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.faults import Faults, load
from antiphon.tape.model import Boundary, End
from antiphon.tape.proxy import control
from antiphon.tape.scope import ASGIApp, ScopeMiddleware
from antiphon.tape.transport import TapeTransport, boundary_of
from antiphon.upstream.door import ExchangeFailed, FailureKind, Transport

#: Where the clock stands while a scope is recorded or replayed: 2026-01-01.
FROZEN_AT = 1_767_225_600.0

_ENDS: dict[FailureKind, End] = {"broken": "reset"}


class Taping:
    """One tape, the transport that it hangs on, and the middleware that knows the scopes."""

    def __init__(self, config: TapeConfig, environ: Mapping[str, str]) -> None:
        assert config.dir is not None
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
        """The door with the tape on it."""
        return TapeTransport(
            door, self.tape, broken=_broken, ending=_ending, provider=self._provider, boundary=self._boundary
        )

    def name(self, urls: Mapping[str, str]) -> None:
        """The back ends by name: what goes elsewhere is a tool's."""
        self._names = {url: name for name, url in urls.items()}

    def control(self) -> Mount:
        """The routes that tell of the tape and steer it."""
        return Mount("/_tape", app=control(self.tape))

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


def _ending(failure: Exception) -> tuple[End, str] | None:
    if not isinstance(failure, ExchangeFailed):
        return None
    return _ENDS.get(failure.kind, "error"), f"{failure.kind}: {failure.message}"


__all__ = ["FROZEN_AT", "Taping"]
