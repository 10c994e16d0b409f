"""What the README says works: its commands exist and its examples run as printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from antiphon.cli import main
from antiphon.config.load import load
from tests.docs.tree import ROOT, blocks, read

START_SECONDS = 20.0


def clean() -> dict[str, str]:
    """This process's environment without what would choose an upstream or a setting."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ANTIPHON_", "OPENAI_"))}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server as the README starts it, but on a free port and in a folder of its own."""
    folder = tmp_path_factory.mktemp("readme")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        number: int = holder.getsockname()[1]
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "antiphon", "serve", "--port", str(number)]
        server = subprocess.Popen(command, cwd=folder, env=clean(), stdout=log, stderr=subprocess.STDOUT)
        try:
            wait(server, number, folder / "log")
            yield number
        finally:
            server.terminate()
            server.wait(30)


def wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until the port answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)  # another process's socket gives no event to wait for
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text()}")


def run(command: list[str], folder: Path) -> str:
    """What the command prints; it must end well."""
    done = subprocess.run(command, cwd=folder, env=clean(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_first_curl(port: int, tmp_path: Path) -> None:
    """The first curl of the README answers a completed response that quotes its input."""
    example = next(block for block in blocks("README.md", "sh") if block.startswith("curl "))
    assert "127.0.0.1:8321" in example
    told = run(["sh", "-c", example.replace("8321", str(port)).replace("curl ", "curl -sS ", 1)], tmp_path)
    response = json.loads(told)
    assert response["status"] == "completed"
    assert "Hello!" in response["output"][0]["content"][0]["text"]


def test_the_first_python(port: int, tmp_path: Path) -> None:
    """The first Python of the README has eight lines, prints the answer and then the events of the second one."""
    example = blocks("README.md", "python")[0]
    assert len(example.splitlines()) <= 8
    (tmp_path / "example.py").write_text(example.replace("8321", str(port)))
    lines = run([sys.executable, "example.py"], tmp_path).splitlines()
    assert "Hello!" in lines[0]
    assert lines[1] == "response.created"
    assert "response.output_text.delta" in lines
    assert lines[-1] == "response.completed"


def test_the_ingest(port: int, tmp_path: Path) -> None:
    """The folder of the README goes into a store, and can be asked."""
    example = next(block for block in blocks("README.md", "sh") if "antiphon ingest" in block)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("The warranty is two years.")
    command = example.strip().replace(".venv/bin/antiphon", f"{sys.executable} -m antiphon").split()
    told = run([*command, "--url", f"http://127.0.0.1:{port}"], tmp_path)
    assert told.startswith("added     a.md\nStore 'manual' (vs_")


def test_every_python_block_is_run() -> None:
    """There is no example that no test runs."""
    assert len(blocks("README.md", "python")) == 1
    assert sum(block.startswith("curl ") for block in blocks("README.md", "sh")) == 1


def test_the_two_commands_come_first() -> None:
    """A newcomer finds `make serve` and `make test` before anything else to type."""
    assert [block.strip() for block in blocks("README.md", "sh")[:2]] == ["make serve", "make test"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_make_commands_exist(page: str) -> None:
    """Each `make` command of a page is a target."""
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\s)make ([a-z]+)\b", read(page).replace("`make` and `python3`", "")))
    assert {"lint", "test"} <= named
    assert named - {"us"} <= targets


def test_options_exist() -> None:
    """Each option that the README gives to `antiphon` is one; that of pytest is the plugin's, and tried elsewhere."""
    commands = (["serve"], ["ingest"], ["tape", "proxy"])
    told = "".join(CliRunner().invoke(main, [*command, "--help"]).output for command in commands) + "--record-mode"
    named = set(re.findall(r"--[a-z][a-z-]+", read("README.md")))
    assert named
    assert {option for option in named - {"--help"} if option not in told} == set()


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    """The TOML of the README loads."""
    (tmp_path / "antiphon.toml").write_text(blocks("README.md", "toml")[0])
    config = load(tmp_path / "antiphon.toml", {"HOSTED_KEY": "k"}, {})
    assert set(config.upstreams) == {"local", "hosted"}


def test_make_alone_lists_the_targets() -> None:
    """`make` prints what there is to do, without installing anything."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    told = run(["make", "-s", "-C", str(ROOT)], ROOT)
    assert {"serve", "test", "lint", "bench"} <= set(re.findall(r"^make (\w+)", told, re.MULTILINE))
