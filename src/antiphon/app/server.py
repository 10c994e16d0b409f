"""The application on uvicorn: a socket, a start that fails in one sentence, and an end in steps."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Mapping
from types import FrameType

import uvicorn

from antiphon.app.application import App, CannotStart, create_app
from antiphon.config import Config
from antiphon.http.logs import log_to_stderr
from antiphon.http.protocol import settings

_log = logging.getLogger("antiphon")

_BACKLOG = 2048
#: How long a stopped run has to tell its end and be stored before its connection is cut.
_CUT_SECONDS = 1.0
#: New objects between two looks of the garbage collector. A request makes a few hundred, nearly all without cycles.
_GC_THRESHOLD = 20_000


class _Server(uvicorn.Server):
    """uvicorn's, with an end in steps: nobody new is let in; at the end of ``grace``, or at a second signal, the runs
    are stopped; and ``_CUT_SECONDS`` later what still holds a connection loses it.

    It opens and closes the application itself, so that a start that fails is one sentence of ours.
    """

    def __init__(self, config: uvicorn.Config, app: App, grace: float) -> None:
        super().__init__(config)
        self._app = app
        self._grace = grace
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await self._app.open()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        patience = asyncio.get_running_loop().call_later(self._grace, self._hurry)
        try:
            await super().shutdown(sockets)
        finally:
            patience.cancel()
            await self._app.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal. uvicorn would raise it again in the end, and the exit code would say that we were killed."""
        if self.should_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self._hurry)
        self.should_exit = True

    def _hurry(self) -> None:
        self._app.stop_runs()
        asyncio.get_running_loop().call_later(_CUT_SECONDS, self._cut)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def serve(config: Config, environ: Mapping[str, str]) -> None:
    """Listen and serve until told to stop. Exits with a sentence when it cannot start."""
    log_to_stderr(config.server.log_level, access_log=config.server.access_log)
    try:
        sock = _listen(config.server.host, config.server.port)
        own = [(config.server.host, sock.getsockname()[1])]
        app = create_app(config, environ, own)
        of_uvicorn = settings(app.http, lifespan="off", backlog=_BACKLOG)
        host = f"[{own[0][0]}]" if ":" in own[0][0] else own[0][0]
        # What is here now stays: the collector need not look at it again, and may look less often at the rest.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        _log.info("Listening on http://%s:%d/v1", host, own[0][1])
        _Server(of_uvicorn, app, config.server.shutdown_seconds).run(sockets=[sock])
    except CannotStart as why:
        logging.shutdown()  # what was said before the end is written before it
        sys.exit(f"antiphon: cannot start: {why}")


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else: who calls early waits in its queue instead of being refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    sock.listen(_BACKLOG)
    return sock
