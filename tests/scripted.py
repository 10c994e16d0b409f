"""The shared scripted back end as a fixture: a subprocess on a free port, for as long as the test session runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.shared import shared


class Scripted:
    """A running scripted back end. ``url`` is its base, with ``/v1``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"

    def requests(self) -> list[dict[str, Any]]:
        """The last requests as it received them: ``{path, headers, body}``, without Authorization."""
        with urllib.request.urlopen(f"{self.root}/_requests", timeout=10) as reply:
            found: list[dict[str, Any]] = json.load(reply)
        return found

    def reset(self) -> None:
        """Forgets requests and counters."""
        urllib.request.urlopen(urllib.request.Request(f"{self.root}/_reset", data=b"{}"), timeout=10).close()


@pytest.fixture(scope="session")
def scripted() -> Iterator[Scripted]:
    """The scripted back end; the test is skipped where the shared tools are absent."""
    script = shared("tools", "scripted_upstream.py")
    process = subprocess.Popen([sys.executable, str(script), "--port", "0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r":(\d+)/v1", line)
        assert found is not None, f"the scripted back end did not start: {line}"
        yield Scripted(int(found[1]))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
