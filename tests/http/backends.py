"""A back end in a thread, whose whole behaviour is a coroutine that the test gives it; and a server before it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from antiphon.config import Config, StorageConfig, UpstreamConfig
from tests.server import Server
from tests.upstream.loopback import Peer, serving
from tests.upstreams import PATIENCE

Handler = Callable[[Peer], Awaitable[None]]

MODELS = b'{"object":"list","data":[{"id":"listed","object":"model","created":7,"owned_by":"x"},{"id":"a/b/c"}]}'


class Backend:
    """``with Backend() as backend``; ``backend.handler`` serves each request but ``GET /v1/models``."""

    def __init__(self) -> None:
        self.url = ""
        self.handler: Handler | None = None
        self.peers: list[Peer] = []
        self.gone = threading.Event()
        """Set when a client has closed a connection on which it was being answered."""
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def last(self) -> Peer:
        """The latest request, with its head and body."""
        return self.peers[-1]

    def reset(self) -> None:
        """Nothing was asked, nothing will be answered."""
        self.handler = None
        self.peers.clear()
        self.gone.clear()

    def __enter__(self) -> Backend:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        async with serving(self._serve) as self.url:
            self._ready.set()
            await self._stop.wait()

    async def _serve(self, peer: Peer) -> None:
        while await peer.request():
            if peer.head.startswith("GET /v1/models "):
                await peer.answer(MODELS)
                continue
            assert self.handler is not None, f"nobody expected {peer.head}"
            self.peers.append(peer)
            watch = asyncio.ensure_future(self._watch(peer))
            answer = asyncio.ensure_future(self.handler(peer))
            await asyncio.wait([watch, answer], return_when=asyncio.FIRST_COMPLETED)
            for part in (watch, answer):
                part.cancel()
            await asyncio.gather(watch, answer, return_exceptions=True)
            if answer.done() and not answer.cancelled() and answer.exception() is not None:
                raise answer.exception() or AssertionError
            return

    async def _watch(self, peer: Peer) -> None:
        await peer.gone()
        self.gone.set()


KEY = "sk-ours-0123456789"
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CHUNK = (
    b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"%b"}}]}'
)
COMPLETION = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m", "choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"yes"}}],"x":1.50}'
)


@pytest.fixture(scope="module")
def back() -> Iterator[Backend]:
    """The back end ``local`` of this module's server."""
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def module_server(back: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one back end, which needs a key, and the demo model."""
    local = UpstreamConfig(url=back.url, key=KEY, read_seconds=0.5)
    folder = str(tmp_path_factory.mktemp("data"))
    server = Server(Config(upstreams={"local": local}, discover=False, storage=StorageConfig(data_dir=folder)))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def backend(back: Backend) -> Backend:
    """The back end, with nothing scripted."""
    back.reset()
    return back


@pytest.fixture
def server(module_server: Server, backend: Backend) -> Server:
    """The server."""
    return module_server


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def answering(body: bytes, status: str = "200 OK", more: str = "") -> Handler:
    """A back end with one JSON answer."""

    async def handler(peer: Peer) -> None:
        await peer.answer(body, status, more)

    return handler
