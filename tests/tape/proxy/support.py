"""A proxy on loopback for tests: uvicorn in a thread of its own, as the command runs it, before a scripted back end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import openai
import uvicorn

from antiphon.cli.tape.way import network_way
from antiphon.http.protocol import AntiphonHttpProtocol
from antiphon.tape.engine import Tape
from antiphon.tape.faults import Faults
from antiphon.tape.proxy import Proxy
from antiphon.tape.proxy.relay import Way
from antiphon.tape.settings import Settings
from tests.upstreams import PATIENCE

MESSAGES: Any = [{"role": "user", "content": "Say it."}]


class Running:
    """A running proxy. ``root`` is its address, ``tape`` what it writes on, ``http`` a plain client of it."""

    def __init__(self, tape: Tape, upstreams: Mapping[str, str], *, way: Way | None = None, **more: Any) -> None:
        self.tape = tape
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.root = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.http = httpx2.Client(base_url=self.root, timeout=PATIENCE, trust_env=False)
        self._clients: list[openai.OpenAI] = []
        protocol = more.pop("protocol", AntiphonHttpProtocol)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                Proxy(tape, upstreams, way or network_way(), **more),
                http=protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._sock]}, daemon=True)

    def start(self) -> None:
        """Returns once it answers."""
        self._thread.start()
        assert self.http.get("/_tape/mode").status_code == 200

    def stop(self) -> None:
        """Returns once all is written."""
        for client in self._clients:
            client.close()
        self.http.close()
        self._uvicorn.should_exit = True
        self._thread.join(PATIENCE)
        self._sock.close()
        assert not self._thread.is_alive(), "the proxy did not stop"

    def sdk(self, scope: str = "", upstream: str = "openai", **more: Any) -> openai.OpenAI:
        """The official SDK, pointed at an upstream through the proxy."""
        base = f"{self.root}/s/{scope}/{upstream}/v1" if scope else f"{self.root}/{upstream}/v1"
        transport = httpx2.Client(timeout=PATIENCE, trust_env=False)
        client = openai.OpenAI(
            **{"api_key": "sk-of-the-client-0123456789", "base_url": base, "max_retries": 0, **more},
            http_client=transport,
        )
        self._clients.append(client)
        return client

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A control request that must succeed."""
        reply = self.http.request(method, f"/_tape/{path}", **({} if body is None else {"json": body}))
        assert reply.status_code == 200, reply.text
        return reply.json()

    def files(self) -> list[Path]:
        """The recordings, once what was heard is written."""
        self.tape.flush()
        return recordings(Path(self.tape.settings.directory))


def recordings(directory: Path) -> list[Path]:
    """The files of a directory of recordings."""
    return sorted(path for path in directory.rglob("*.json") if ".tape" not in path.parts)


@contextlib.contextmanager
def proxy(directory: Path, url: str, mode: Any = "record-if-missing", **more: Any) -> Iterator[Running]:
    """A proxy before one upstream, ``openai``. ``settings`` are those of the tape."""
    settings = Settings(str(directory), mode, **more.pop("settings", {}))
    tape = Tape(settings, environ=more.pop("environ", {}), faults=Faults(), background=True)
    running = Running(tape, more.pop("upstreams", {"openai": url}), **more)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def text_of(stream: Any) -> list[str]:
    """The pieces of text of a streamed chat completion."""
    return [piece for chunk in stream for choice in chunk.choices if (piece := choice.delta.content)]


def stored(path: Path) -> Any:
    """A recording as JSON."""
    return json.loads(path.read_text())
