"""The three ways in behind one face: the official SDK under the tape in this process, through the proxy, through the
server; each before an upstream on loopback.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import openai

from antiphon.config import Config, StorageConfig, TapeConfig, UpstreamConfig
from tests.server import Server
from tests.tape.acceptance.on_tape import SCOPE, Opened, make_sdk, under_clients
from tests.tape.proxy.support import proxy

Json = Any


class Way(Protocol):
    """Opens a tape over the recordings of one directory. ``settings`` are those of the tape."""

    def __call__(self, mode: str, url: str, **settings: Any) -> contextlib.AbstractContextManager[Opened]: ...


@contextlib.contextmanager
def through_proxy(directory: Path, mode: str, url: str, **settings: Any) -> Iterator[Opened]:
    """``antiphon tape proxy``."""
    with proxy(directory, url, mode, settings=settings) as running, contextlib.ExitStack() as stack:

        def sdk(scope: str = SCOPE, **more: Any) -> openai.OpenAI:
            return stack.enter_context(make_sdk(f"{running.root}/s/{scope}/openai/v1", **more))

        yield Opened(sdk, lambda: running.control("GET", "misses")["misses"], lambda: running.control("GET", "stats"))


@contextlib.contextmanager
def through_server(directory: Path, mode: str, url: str, **settings: Any) -> Iterator[Opened]:
    """``antiphon serve --tape``."""
    with serving(directory, mode, url, **settings) as server, contextlib.ExitStack() as stack:

        def sdk(scope: str = SCOPE, **more: Any) -> openai.OpenAI:
            return stack.enter_context(make_sdk(f"{server.root}/s/{scope}/v1", **more))

        yield Opened(sdk, lambda: control(server, "misses")["misses"], lambda: control(server, "stats"))


WAYS: dict[str, Callable[..., contextlib.AbstractContextManager[Opened]]] = {
    "client": under_clients,
    "proxy": through_proxy,
    "server": through_server,
}


@contextlib.contextmanager
def serving(directory: Path, mode: str, url: str, **settings: Any) -> Iterator[Server]:
    """A server with a tape, and a data directory of its own."""
    data = next(path for n in itertools.count() if not (path := directory.parent / f"data{n}").exists())
    data.mkdir(parents=True)
    if "budget" in settings:
        settings["budget_tokens"] = settings.pop("budget")
    server = Server(
        Config(
            upstreams={"openai": UpstreamConfig(url=url)},
            discover=False,
            storage=StorageConfig(data_dir=str(data)),
            tape=TapeConfig(dir=str(directory), mode=mode, **settings),  # type: ignore[arg-type]
        )
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def control(server: Server, name: str, method: str = "GET", scope: str = "", **body: Json) -> Json:
    """A control request of the tape that must succeed."""
    path = f"/s/{scope}/_tape/{name}" if scope else f"/_tape/{name}"
    reply = server.http.request(method, path, json=body or None)
    assert reply.status_code == 200, reply.text
    return reply.json()
