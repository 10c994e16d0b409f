"""The command line: options become settings, mistakes become sentences, and nothing heavy is imported for help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from antiphon import __version__
from antiphon.cli.command import main, overrides

NOTHING = dict.fromkeys(
    ("host", "port", "upstream", "upstream_key", "data_dir", "database_url", "tape", "tape_mode", "log_level"), None
)  # as click passes options that were not given


def run(*arguments: str, env: dict[str, str] | None = None, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with no variable of ours but these."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ANTIPHON_", "OPENAI_"))}
    return subprocess.run(
        [sys.executable, "-m", "antiphon", *arguments],
        env={**clean, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_version(tmp_path: Path) -> None:
    """``antiphon version`` prints it."""
    assert run("version", cwd=tmp_path).stdout == f"antiphon {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["serve", "--help"], ["check", "-h"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help and version need click and nothing else: no server, no database, no wire types."""
    heavy = ("msgspec", "aiohttp", "starlette", "uvicorn", "sqlalchemy", "asyncpg", "tiktoken", "asyncio")
    code = (
        "import sys\nfrom antiphon.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as e: assert not e.code\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stderr.strip() == "[]"


def test_every_option_is_a_setting() -> None:
    """Each option stands for one setting; what was not given overrides nothing."""
    assert overrides(**NOTHING) == {}
    assert overrides(
        host="::1",
        port=0,
        upstream="http://h/v1",
        upstream_key="env:K",
        data_dir="d",
        database_url="sqlite:///x",
        tape="t",
        tape_mode="record",
        log_level="debug",
    ) == {
        "server.host": "::1",
        "server.port": 0,
        "server.log_level": "debug",
        "storage.data_dir": "d",
        "storage.database_url": "sqlite:///x",
        "tape.dir": "t",
        "tape.mode": "record",
        "upstreams.default": {"url": "http://h/v1", "key": "env:K"},
        "default_upstream": "default",
    }


def test_a_key_needs_a_place_to_go() -> None:
    """``--upstream-key`` alone is refused: it would be sent who knows where."""
    done = CliRunner().invoke(main, ["check", "--upstream-key", "sk-1"])
    assert done.exit_code == 2
    assert "--upstream" in done.output
    assert "sk-1" not in done.output


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_configuration_is_one_sentence(command: str, tmp_path: Path) -> None:
    """What is wrong is said on stderr, without a traceback, and the exit code is 2."""
    (tmp_path / "antiphon.toml").write_text("[server]\nprot = 1\n")
    done = run(command, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("antiphon: antiphon.toml: unknown key server.prot. Did you mean server.port?")
    assert done.stderr.count("\n") == 1
