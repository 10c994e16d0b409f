"""What README and the guide of the server say of recordings works: their commands run as printed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.config.load import load
from tests.docs.test_readme import clean, run
from tests.docs.tree import blocks

_PATIENCE = 30.0
_PAGE = "docs/recording/server.md"


def _command(page: str, words: str) -> list[str]:
    """The command of a page that begins so, without the place where it is installed; on a free port."""
    found = next(block for block in blocks(page, "sh") if block.removeprefix(".venv/bin/").startswith(words))
    return [*shlex.split(found.removeprefix(".venv/bin/"))[1:], "--port", "0"]


@contextmanager
def _started(command: list[str], folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that runs this, and what it has said."""
    environ = {**clean(), "ANTIPHON_DISCOVER": "false"}
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon", *command],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    root: list[str] = []
    news = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"(http://127\.0\.0\.1:\d+)", line):
                root.append(found[1])
                news.set()
        news.set()

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        assert news.wait(_PATIENCE), "it says no address"
        assert root, "".join(lines)
        yield root[-1], lines
    finally:
        process.terminate()
        process.wait(_PATIENCE)
        reader.join(_PATIENCE)
        assert process.stdout is not None
        process.stdout.close()


def _curl(page: str, part: str, root: str, folder: Path) -> Any:
    example = next(block for block in blocks(page, "sh") if block.startswith("curl") and part in block)
    told = run(["sh", "-c", example.replace("http://127.0.0.1:8321", root).replace("curl ", "curl -sS ", 1)], folder)
    return json.loads(told)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_server_records_and_replays(tmp_path: Path) -> None:
    """As the guide says: recorded by the first command, replayed by the second, the same to the byte."""
    record = _command(_PAGE, "antiphon serve --tape recordings --tape-mode record")
    assert _command("README.md", "antiphon serve --tape") == record
    replay = _command(_PAGE, "antiphon serve --tape recordings --tape-mode replay")
    answers = []
    for command, data in ((record, "first"), (replay, "second")):
        with _started([*command, "--data-dir", data], tmp_path) as (root, lines):
            answers.append(_curl(_PAGE, "/v1/responses", root, tmp_path))
            if command is record:
                started = _curl(_PAGE, "scopes/start", root, tmp_path)
                assert started == {"scope": "my-first-test"}
        if command is record:  # it has ended, so all that it said is here
            assert any("Tape: recordings, mode record-if-missing." in line for line in lines), "".join(lines)
    assert answers[1] == answers[0]
    assert answers[0]["status"] == "completed"
    assert len(list((tmp_path / "recordings" / "my-first-test").glob("*.json"))) == 1


def test_the_proxy_starts(tmp_path: Path) -> None:
    """The command of the README starts a proxy."""
    with _started(_command("README.md", "antiphon tape proxy"), tmp_path) as (root, _):
        assert root


def test_pytest_knows_its_option(tmp_path: Path) -> None:
    """The command of the README runs, in a folder with one test."""
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    command = next(block for block in blocks("README.md", "sh") if "-m pytest" in block)
    arguments = shlex.split(command)[1:]
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=clean(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_settings_are_valid(tmp_path: Path) -> None:
    """The TOML of the guide loads."""
    (tmp_path / "antiphon.toml").write_text(blocks(_PAGE, "toml")[0])
    tape = load(tmp_path / "antiphon.toml", {}, {}).tape
    assert (tape.dir, tape.mode, tape.tools) == ("recordings", "replay", "live")
