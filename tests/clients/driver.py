"""The process that runs the JavaScript clients, and what they complain of.

``node_modules`` beside this file is what the lock names (``make test-clients``). Where the machine's own Node is too
old for the clients, one of the packages there brings a newer one.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MODULES = FOLDER / "node_modules"

#: How long one case may take. Seconds; loading a client is part of the first.
PATIENCE = 60.0


def installed() -> bool:
    """Whether the clients are there, with a Node that runs them."""
    return (MODULES / ".package-lock.json").exists() and node() is not None


def node() -> str | None:
    """The Node to run them with: the packaged one, else the machine's."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packaged = MODULES / f"node-linux-{machine}" / "bin" / "node"
    return str(packaged) if packaged.exists() else shutil.which("node")


class Complaint(AssertionError):
    """A client warned, logged or threw: one of the two sides is wrong."""


class Refused(Exception):
    """A client threw. ``error`` has ``name``, ``message``, ``status`` and ``cause``."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["stack"])
        self.error = error


class Driver:
    """``driver("vercel", "generate", base, prompt="Hi.")``: runs a case of ``vercel.mjs`` and gives what it saw."""

    def __init__(self) -> None:
        program = node()
        assert program is not None
        self._process = subprocess.Popen(
            [program, "driver.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.defpath, "NO_COLOR": "1"},
            text=True,
        )
        self._count = 0

    def __call__(self, suite: str, name: str, base: str, **given: Any) -> Any:
        """What the case saw. Refused when it threw; Complaint when its client said what nobody asked for."""
        self._count += 1
        answer = self._ask({"id": self._count, "suite": suite, "name": name, "base": base, "with": given})
        assert answer["id"] == self._count
        if answer["complaints"]:
            raise Complaint("\n".join([*answer["complaints"], *_stack(answer)]))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["saw"]

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        late = threading.Timer(PATIENCE, self._process.kill)
        late.start()
        try:
            line = self._process.stdout.readline()
        finally:
            late.cancel()
        assert line, f"the clients' process ended, or gave no answer within {PATIENCE:.0f} seconds: {asked}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Returns once the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


def _stack(answer: dict[str, Any]) -> Sequence[str]:
    return [answer["error"]["stack"]] if "error" in answer else []
