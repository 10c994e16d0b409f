"""Servers of one test alone: any configuration, any HTTP implementation, and a look inside."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from antiphon.config import Config, UpstreamConfig
from antiphon.tools.base import Kit
from tests.server import Server
from tests.upstreams import PATIENCE, FakeBackend

_RUN = "Run._live"
_WORK = frozenset({_RUN, "RequestResponseCycle.run_asgi"})


class Host(Server):
    """A server whose event loop can be looked at. ``http`` names another of uvicorn's HTTP implementations."""

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str] | None = None,
        http: str | None = None,
        kits: Sequence[Kit] = (),
    ) -> None:
        super().__init__(config, environ=environ, kits=kits)
        settings: Any = self._uvicorn.config
        app = settings.app

        async def noting_its_loop(scope: Any, receive: Any, send: Any) -> None:
            self._loop = asyncio.get_running_loop()
            await app(scope, receive, send)

        settings.app = noting_its_loop
        if http is not None:
            settings.http = http

    def inside(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine gives inside the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def tasks(self) -> list[str]:
        """What is under way in the loop, by the name of its coroutine."""

        async def names() -> list[str]:
            return sorted(_name(task) for task in asyncio.all_tasks() - {asyncio.current_task()})

        found: list[str] = self.inside(names())
        return found

    def idle(self) -> None:
        """Waits until no run and no request is under way."""

        async def done() -> None:
            while busy := [task for task in asyncio.all_tasks() if _name(task) in _WORK]:
                await asyncio.wait(busy)

        self.inside(done())

    def has_told(self, kind: str) -> None:
        """Waits until the one run that is going on has an event of this type in its log."""

        async def told() -> None:
            async for batch in _journal().follow():
                if any(frame.startswith(b"event: %b\n" % kind.encode()) for frame in batch):
                    return

        self.inside(told())

    def holds(self) -> None:
        """Waits until the one run that is going on is held by its reader."""

        async def held() -> None:
            while not _journal().held:  # noqa: ASYNC110 - a held journal tells nobody
                await asyncio.sleep(0.001)

        self.inside(held())

    def has_lost_its_client(self, *, abandoned: bool = False) -> None:
        """Waits until every connection of a client but our own is closed; ``abandoned``: until no request is answered.

        A server that does not show its transport cannot be told to break a connection at once.
        """

        async def lost() -> None:
            state = self._uvicorn.server_state
            while state.tasks if abandoned else len(state.connections) > 1:  # noqa: ASYNC110 - nowhere to be awaited
                await asyncio.sleep(0.001)

        self.inside(lost())

    @property
    def data_dir(self) -> Path:
        """Where it keeps everything."""
        return Path(self.config.storage.data_dir)


class Hosts:
    """Makes hosts before the same back end."""

    def __init__(self, backend: FakeBackend, folder: Path) -> None:
        self._backend = backend
        self.folder = folder
        self._running: list[Host] = []

    def __call__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        http: str | None = None,
        kits: Sequence[Kit] = (),
        **settings: Mapping[str, Any],
    ) -> Host:
        """A running host with these settings."""
        host = Host(self.config(**settings), environ=environ, http=http, kits=kits)
        self._running.append(host)
        host.start()
        return host

    def config(self, *, upstream: Mapping[str, Any] = {}, **tables: Mapping[str, Any]) -> Config:
        """A configuration that stands before the back end: ``config(upstream={...}, responses={...})``."""
        config = Config(upstreams={"local": UpstreamConfig(**{"url": self._backend.url, **upstream})}, discover=False)
        storage = {"data_dir": str(self.folder / "data"), **tables.pop("storage", {})}
        for table, settings in {"storage": storage, **tables}.items():
            inner = msgspec.structs.replace(getattr(config, table), **settings)
            config = msgspec.structs.replace(config, **{table: inner})
        return config

    def stop(self) -> None:
        """All of them."""
        for host in self._running:
            host.stop()


def open_files() -> int:
    """File descriptors of this process, sockets included."""
    return int(psutil.Process().num_fds())


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "?")


def _journal() -> Any:
    """The log of the one run that is going on in this loop."""
    (task,) = [task for task in asyncio.all_tasks() if _name(task) == _RUN]
    return task.get_coro().cr_frame.f_locals["self"].journal  # type: ignore[union-attr]  # it is a coroutine, not done
