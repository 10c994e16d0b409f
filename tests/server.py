"""A real Antiphon on loopback for tests: uvicorn in a thread of its own, a free port, a data directory of its own.

One server per configuration and test worker, started when the first test asks for it. ``client`` is the official SDK,
``backend`` the foreign back end behind the server, ready to be scripted.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import openai
import pytest
import uvicorn

from antiphon.app import create_app
from antiphon.config import Config, UpstreamConfig
from antiphon.http.protocol import settings
from antiphon.knowledge.arrays import numpy
from antiphon.tools.base import Kit
from tests.upstreams import PATIENCE, FakeBackend

#: Now: hypothesis looks at it in the middle of an import, if a server begins that in its thread.
numpy()

Settings = Mapping[str, Any]
_Client = TypeVar("_Client", openai.OpenAI, httpx2.Client)


class Server:
    """A running server: ``root`` is its address, ``url`` the base URL for clients."""

    def __init__(self, config: Config, *, environ: Mapping[str, str] | None = None, kits: Sequence[Kit] = ()) -> None:
        self.config = config
        self._sock = socket.create_server(("127.0.0.1", 0))
        own = [("127.0.0.1", int(self._sock.getsockname()[1]))]
        self.root = f"http://127.0.0.1:{own[0][1]}"
        self.url = f"{self.root}/v1"
        app = create_app(config, environ or {}, own, kits)
        self._uvicorn = uvicorn.Server(settings(app, loop="uvloop", lifespan="on", timeout_graceful_shutdown=2))
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._sock]}, daemon=True)
        self._clients: list[openai.OpenAI | httpx2.Client] = []

    def start(self) -> None:
        """Returns once it answers."""
        self._thread.start()
        self.http = self._keep(httpx2.Client(base_url=self.root, timeout=PATIENCE, trust_env=False))
        assert self.http.get("/health").status_code == 200
        self.client = self.sdk()

    def stop(self) -> None:
        """Returns once it has stored what it had to and let go."""
        self.begin_stop()
        self._thread.join(PATIENCE)
        self._sock.close()
        assert not self._thread.is_alive(), "the server did not stop"

    def begin_stop(self) -> None:
        """Hang up, and tell it to stop."""
        for client in self._clients:
            client.close()
        self._uvicorn.should_exit = True

    def events(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The events of a streamed response as JSON, without ``[DONE]``, which must be there."""
        return self.read_events("POST", "/v1/responses", json={**body, "stream": True})

    def read_events(self, method: str, path: str, **more: Any) -> list[dict[str, Any]]:
        """The same of any request that is answered with a stream."""
        lines = self.http.request(method, path, **more).raise_for_status().text.splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        assert data.pop() == "[DONE]"
        return [json.loads(one) for one in data]

    def ended(self, response_id: str) -> dict[str, Any]:
        """A stored response once its run is over: its input is listed only then."""
        assert self.http.get(f"/v1/responses/{response_id}/input_items").status_code == 200
        response: dict[str, Any] = self.http.get(f"/v1/responses/{response_id}").json()
        return response

    def sdk(self, **more: Any) -> openai.OpenAI:
        """An SDK client of this server, closed with it."""
        transport = httpx2.Client(timeout=PATIENCE, trust_env=False)
        client = openai.OpenAI(api_key="test", base_url=self.url, max_retries=0, http_client=transport, **more)
        return self._keep(client)

    def _keep(self, client: _Client) -> _Client:
        self._clients.append(client)
        return client


class Servers:
    """Starts a server per configuration, once; all of them stand before the same back end."""

    def __init__(self, backend: FakeBackend, folder: Path) -> None:
        self._backend = backend
        self._folder = folder
        self._running: dict[bytes, Server] = {}

    def __call__(self, *, upstream: Settings = {}, **tables: Settings) -> Server:  # noqa: B006 - never changed
        """The server with these settings: ``servers(upstream={"schemas": "validated"}, responses={...})``."""
        key = msgspec.json.encode([upstream, tables], order="sorted")
        if key not in self._running:
            server = Server(self._config(upstream, tables))
            server.start()
            self._running[key] = server
        return self._running[key]

    def without_upstreams(self) -> Server:
        """The server that knows the demo model only."""
        key = b"none"
        if key not in self._running:
            self._running[key] = Server(msgspec.structs.replace(self._config({}, {}), upstreams={}))
            self._running[key].start()
        return self._running[key]

    def fresh(self, *, upstream: Settings = {}, **tables: Settings) -> Server:  # noqa: B006 - never changed
        """One more server, for a test that stops it itself."""
        server = Server(self._config(upstream, tables))
        server.start()
        return server

    def _config(self, upstream: Settings, tables: Mapping[str, Settings]) -> Config:
        back_end = UpstreamConfig(**{"url": self._backend.url, **upstream})
        config = Config(upstreams={"local": back_end}, discover=False)
        data_dir = self._folder / f"data{len(list(self._folder.iterdir()))}"
        data_dir.mkdir()
        changes = {**tables, "storage": {"data_dir": str(data_dir), **tables.get("storage", {})}}
        for table, change in changes.items():
            inner = msgspec.structs.replace(getattr(config, table), **change)
            config = msgspec.structs.replace(config, **{table: inner})
        return config

    def stop(self) -> None:
        """All of them, together."""
        for server in self._running.values():
            server.begin_stop()
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="session")
def fake_backend() -> Iterator[FakeBackend]:
    """The back end of this worker."""
    with FakeBackend() as backend:
        yield backend


@pytest.fixture(scope="session")
def servers(fake_backend: FakeBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers by configuration."""
    servers = Servers(fake_backend, tmp_path_factory.mktemp("servers"))
    try:
        yield servers
    finally:
        servers.stop()


@pytest.fixture
def backend(fake_backend: FakeBackend) -> FakeBackend:
    """The back end, with nothing scripted and nothing recorded."""
    fake_backend.reset()
    return fake_backend


@pytest.fixture
def server(servers: Servers, backend: FakeBackend) -> Server:
    """The server as it comes, with the back end ``local`` as its default."""
    return servers()


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    """The official SDK, pointed at the server."""
    return server.client


@pytest.fixture
async def async_client(server: Server) -> Any:
    """The SDK's asynchronous client."""
    transport = httpx2.AsyncClient(timeout=PATIENCE, trust_env=False)
    async with openai.AsyncOpenAI(
        api_key="test", base_url=server.url, max_retries=0, http_client=transport
    ) as async_client:
        yield async_client
