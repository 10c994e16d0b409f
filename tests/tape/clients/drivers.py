"""Five clients behind one face: each asks over real sockets and tells what it heard, read by read."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pytest


class Heard(NamedTuple):
    """``failure`` is the class name of the exception that ended it; ``times`` are seconds after the request."""

    status: int
    headers: dict[str, str]
    reads: list[bytes]
    failure: str = ""
    times: tuple[float, ...] = ()

    @property
    def sizes(self) -> list[int]:
        """The lengths of the reads."""
        return [len(read) for read in self.reads]

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.reads)


class Driver(Protocol):
    """``stop_after``: how many reads to take before hanging up. ``on_read`` is called after each."""

    name: str

    def ask(
        self,
        url: str,
        body: Any,
        *,
        stop_after: int | None = None,
        on_read: Callable[[int], None] = lambda n: None,
        headers: dict[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Heard: ...


class _Notes:
    def __init__(self, stop_after: int | None, on_read: Callable[[int], None]) -> None:
        self.reads: list[bytes] = []
        self.times: list[float] = []
        self._began = time.perf_counter()
        self._stop_after = stop_after
        self._on_read = on_read

    def take(self, data: bytes) -> bool:
        """False when it is enough."""
        self.reads.append(data)
        self.times.append(time.perf_counter() - self._began)
        self._on_read(len(self.reads))
        return len(self.reads) != self._stop_after

    def heard(self, status: int, headers: Any, failure: str) -> Heard:
        return Heard(status, {k.lower(): v for k, v in headers.items()}, self.reads, failure, tuple(self.times))


class HttpxSync:
    """``httpx.Client``, or its twin's."""

    def __init__(self, package: str) -> None:
        self.name = f"{package}-sync"
        self._package = package

    def ask(self, url, body, *, stop_after=None, on_read=lambda n: None, headers=None, timeout=20.0) -> Heard:  # type: ignore[no-untyped-def]
        module = importlib.import_module(self._package)
        notes, failure = _Notes(stop_after, on_read), ""
        with (
            module.Client(timeout=timeout) as client,
            client.stream("POST", url, content=json.dumps(body), headers=_json(headers)) as response,
        ):
            try:
                for data in response.iter_raw():
                    if not notes.take(data):
                        break
            except module.TransportError as broken:
                failure = type(broken).__name__
        return notes.heard(response.status_code, response.headers, failure)


class HttpxAsync:
    """``httpx.AsyncClient``, or its twin's."""

    def __init__(self, package: str) -> None:
        self.name = f"{package}-async"
        self._package = package

    def ask(self, url, body, **options) -> Heard:  # type: ignore[no-untyped-def]
        return asyncio.run(self._ask(url, body, **options))

    async def _ask(self, url, body, *, stop_after=None, on_read=lambda n: None, headers=None, timeout=20.0) -> Heard:  # type: ignore[no-untyped-def]
        module = importlib.import_module(self._package)
        notes, failure = _Notes(stop_after, on_read), ""
        async with (
            module.AsyncClient(timeout=timeout) as client,
            client.stream("POST", url, content=json.dumps(body), headers=_json(headers)) as response,
        ):
            try:
                async for data in response.aiter_raw():
                    if not notes.take(data):
                        break
            except module.TransportError as broken:
                failure = type(broken).__name__
        return notes.heard(response.status_code, response.headers, failure)


class Aiohttp:
    """``aiohttp.ClientSession``."""

    name = "aiohttp"

    def ask(self, url, body, **options) -> Heard:  # type: ignore[no-untyped-def]
        return asyncio.run(self._ask(url, body, **options))

    async def _ask(self, url, body, *, stop_after=None, on_read=lambda n: None, headers=None, timeout=20.0) -> Heard:  # type: ignore[no-untyped-def]
        import aiohttp

        notes, failure = _Notes(stop_after, on_read), ""
        limits = aiohttp.ClientTimeout(total=None, sock_read=timeout)
        async with (
            aiohttp.ClientSession(timeout=limits) as session,
            session.post(url, data=json.dumps(body), headers=_json(headers)) as response,
        ):
            try:
                async for data in response.content.iter_any():
                    if not notes.take(data):
                        break
            except aiohttp.ClientError as broken:
                failure = type(broken).__name__
        return notes.heard(response.status, response.headers, failure)


def _json(headers: dict[str, str] | None) -> dict[str, str]:
    return {"content-type": "application/json", **(headers or {})}


_ALL: list[Any] = [HttpxSync("httpx"), HttpxAsync("httpx"), HttpxSync("httpx2"), HttpxAsync("httpx2"), Aiohttp()]


def drivers() -> list[Any]:
    """All clients as parameters; those that are not installed are skipped."""
    found = []
    for driver in _ALL:
        package = driver.name.partition("-")[0]
        absent = importlib.util.find_spec(package) is None
        mark = [pytest.mark.skip(reason=f"{package} is not installed")] if absent else []
        found.append(pytest.param(driver, id=driver.name, marks=mark))
    return found
