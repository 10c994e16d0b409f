"""Servers with a tape, for as long as a test needs them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.server import Server, Servers


@contextlib.contextmanager
def taped(servers: Servers, directory: Path, mode: str = "record-if-missing", **tables: Any) -> Iterator[Server]:
    """A server that stands on this directory of recordings; what it heard is written when it has stopped."""
    tape = {"dir": str(directory), "mode": mode, **tables.pop("tape", {})}
    server = servers.fresh(tape=tape, **tables)
    try:
        yield server
    finally:
        server.stop()


def recordings(directory: Path) -> list[Path]:
    """The files of a directory of recordings."""
    return sorted(path for path in directory.rglob("*.json") if ".tape" not in path.parts)


def stored(path: Path) -> Any:
    """A recording as JSON."""
    return json.loads(path.read_text())


def ask(server: Server, said: str = "Say it.", *, scope: str = "", headers: Any = None, **more: Any) -> Any:
    """The reply to a request for a response."""
    path = f"/s/{scope}/v1/responses" if scope else "/v1/responses"
    return server.http.post(path, json={"model": "m", "input": said, **more}, headers=headers or {})
