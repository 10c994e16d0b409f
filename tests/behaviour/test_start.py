"""A server that cannot start says why in one line, without a trace and without a secret, and exits with a failure."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest

from tests.behaviour.processes import Process, Processes


def why(process: Process) -> str:
    """The one line of a server that did not start."""
    assert process.ended() not in (0, -9), process.said
    lines = [line for line in process.lines if line.startswith("antiphon: ")]
    assert len(lines) == 1, process.said
    assert process.lines[-1] == lines[0]
    assert "Traceback" not in process.said
    assert "ERROR" not in process.said
    assert "s3cret" not in process.said
    return lines[0]


def test_the_port_is_taken(processes: Processes) -> None:
    """It names the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}" in why(processes(port=port))


def test_no_upstream_of_that_name(processes: Processes) -> None:
    """It names the setting."""
    assert "default_upstream is 'nobody'" in why(processes(ANTIPHON_DEFAULT_UPSTREAM="nobody"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "user:s3cret@127.0.0.1", "user:s3cret@localhost"])
def test_itself(processes: Processes, host: str) -> None:
    """A back end that leads back here would call itself for ever."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = why(processes("--upstream", f"http://{host}:{port}/v1", "--upstream-key", "s3cret", port=port))
    assert "this server itself" in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:{port}/db",
        "postgresql://me:s3cret@nowhere.invalid/db",
        "postgresql://me:s3cret/more@127.0.0.1:{port}/db",
        "postgresql://me:s3cret@127.0.0.1:{port}/db?sslmode=wrong",
        "postgresql://me:x@127.0.0.1:s3cret/db",
        "mysql://me:s3cret@127.0.0.1/db",
        "sqlite:///",
    ],
)
def test_no_database(processes: Processes, url: str) -> None:
    """Unreachable, mistyped, or of a kind that is not known."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    why(processes("--database-url", url.format(port=port)))


def test_a_data_folder_that_cannot_be(processes: Processes, tmp_path: Path) -> None:
    """It names the folder."""
    (tmp_path / "file").write_text("here")
    assert str(tmp_path / "file") in why(processes(data_dir="file/data"))


def test_a_file_that_is_no_database(processes: Processes, tmp_path: Path) -> None:
    """It is not touched."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "antiphon.db").write_bytes(b"precious" * 1000)
    assert "antiphon.db" in why(processes())
    assert (folder / "antiphon.db").read_bytes() == b"precious" * 1000


def test_a_newer_schema(processes: Processes, tmp_path: Path) -> None:
    """A database that a later version has migrated is not used by this one."""
    first = processes().answering()
    first.signal()
    assert first.ended() == 0
    connection = sqlite3.connect(tmp_path / "data" / "antiphon.db")
    connection.execute("UPDATE antiphon_revision SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "9999" in why(processes())


def test_a_damaged_key_file(processes: Processes, tmp_path: Path) -> None:
    """Reasoning that could not be opened again is noticed at the start, not at the first request."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "keys").write_text("s3cret, but not a key")
    assert "keys" in why(processes())
