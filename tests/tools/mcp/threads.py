"""A real MCP server in a thread of its own, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from tests.tools.mcp.things import things
from tests.tools.mcp.world import Watched, serving
from tests.upstreams import PATIENCE


class Thread:
    """The server: ``url`` is its streamable HTTP endpoint, ``watched`` sees what it is asked."""

    def __init__(self, *, many: int = 0, token: str | None = None) -> None:
        self.watched = Watched(things(many=many).streamable_http_app(), token=token)
        self.url = ""
        self._up, self._loop = threading.Event(), asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()], daemon=True)

    async def _serve(self) -> None:
        async with serving(self.watched) as root:
            self.url = f"{root}/mcp"
            self._up.set()
            await self._over.wait()

    def start(self) -> None:
        """Returns once it listens."""
        self._thread.start()
        assert self._up.wait(PATIENCE), "the MCP server did not start"

    def stop(self) -> None:
        """Returns once it is down."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)
        self._loop.close()


@contextlib.contextmanager
def running(*, many: int = 0, token: str | None = None) -> Iterator[Thread]:
    """A server for the block."""
    server = Thread(many=many, token=token)
    server.start()
    try:
        yield server
    finally:
        server.stop()
