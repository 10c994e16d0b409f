"""A project of a user's, in which pytest is run as the user would.

Runs are forked from a server that has imported the libraries already: a process of their own, in a tenth of the time.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

from tests.tape.clients.far_side import FarSide

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["pytest", "openai", "httpx2", "aiohttp", "antiphon.tape.engine", "anyio.pytest_plugin"])

#: Plugins that happen to be installed beside ours: some take seconds to load.
_STRANGERS = sorted({one.name for one in entry_points(group="pytest11")} - {"antiphon", "recording", "cassetter"})

#: What most tests of the project say.
ASK = """
import os
import httpx2
import pytest

FAR = os.environ["FAR"]

def ask(text, **more):
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return httpx2.post(FAR, json=body, timeout=20)
"""


class Run:
    """What a run of pytest came to. ``outcomes`` counts tests by ``passed``, ``failed``, ``skipped``, ``error``."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        last = next((line for line in reversed(text.splitlines()) if re.search(r" in [\d.]+s", line)), "")
        found = re.findall(r"(\d+) (passed|failed|skipped|error)", last.partition(" in ")[0])
        self.outcomes = {word: int(n) for n, word in found}

    @property
    def line(self) -> str:
        """The closing line of the recordings; empty when there is none."""
        return next((line for line in self.text.splitlines() if line.startswith("recordings: ")), "")


class Project:
    """A directory with tests."""

    def __init__(self, root: Path, far: FarSide) -> None:
        self.root = root
        self.far = far

    def write(self, name: str, text: str, *, asking: bool = True) -> None:
        """A file of the project, after what its tests have in common."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ASK if asking else "") + textwrap.dedent(text), "utf-8")

    def run(
        self,
        *options: str,
        fresh: bool = False,
        autoload: bool = False,
        path: str = "",
        plugins: str = "anyio",
        directory: str = "",
    ) -> Run:
        """pytest, in a process of its own; ``fresh``: one that has imported nothing.

        ``autoload``: plugins are found by their entry points, those of ``path`` too, and are not named. ``directory``
        is that in which it is started.
        """
        env = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_XDIST_WORKER")}
        env |= {"FAR": self.far.url, "PYTHONDONTWRITEBYTECODE": "1"}
        env |= {} if autoload else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        env["PYTHONPATH"] = os.pathsep.join(part for part in (path, env.get("PYTHONPATH", "")) if part)
        wanted = (
            [f"no:{name}" for name in _STRANGERS] if autoload else [*plugins.split(), "antiphon.tape.pytest.plugin"]
        )
        loaded = [part for name in wanted for part in ("-p", name)]
        # The fork server has imported more than a pytest of its own would have.
        arguments = ["-q", "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning", *loaded, *options]
        if fresh:
            command = [sys.executable, "-m", "pytest", *arguments]
            done = subprocess.run(
                command, cwd=self.root / directory, env=env, capture_output=True, text=True, timeout=120
            )
            return Run(done.returncode, done.stdout + done.stderr)
        output = self.root.parent / f"{self.root.name}.out"
        process = _forks.Process(target=_forked, args=(arguments, str(self.root / directory), env, str(output)))
        process.start()
        process.join(120)
        assert process.exitcode is not None, "pytest hangs"
        return Run(process.exitcode, output.read_text("utf-8", "replace"))

    @property
    def tree(self) -> dict[str, bytes]:
        """All files that git would see, but for the tests and pytest's cache."""
        hidden = (".tape", ".pytest_cache", "__pycache__")
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.suffix != ".py" and not any(part in hidden for part in path.parts)
        }


def _forked(arguments: list[str], directory: str, env: dict[str, str], output: str) -> None:
    """pytest, in a child of the fork server."""
    import pytest

    os.environ.clear()
    os.environ.update(env)
    os.chdir(directory)
    sys.path[:0] = [part for part in env["PYTHONPATH"].split(os.pathsep) if part]
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    code = pytest.main(arguments)
    sys.stdout.flush()
    sys.exit(int(code))
