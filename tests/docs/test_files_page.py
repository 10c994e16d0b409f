"""The page about files works: its examples run, in order, and say what they should."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.config import Config, FilesConfig, StorageConfig
from tests.docs.tree import blocks, read
from tests.server import Server

_PAGE = "docs/files.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the demo model alone."""
    server = Server(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path_factory.mktemp("data")))))
    server.start()
    yield server
    server.stop()


def test_its_examples(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as printed, with a client that is at hand."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"client": server.client}
    said = []
    for block in blocks(_PAGE, "python"):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, _PAGE, "exec"), names)
        said.append(out.getvalue())
    assert "When is the tea?" in said[0]
    assert said[0].endswith("b'The tea is at five.'\n")
    assert said[1].strip()
    assert said[2] == "completed 300000\n"


def test_its_limits() -> None:
    """The defaults that it names are the server's."""
    page, limits = read(_PAGE), FilesConfig()
    for name, shown in (("max_file_bytes", "512 MiB"), ("max_upload_bytes", "8 GiB"), ("max_input_bytes", "32 MiB")):
        assert f"`files.{name}` ({shown})" in page
        number, unit = shown.split(" ")
        assert getattr(limits, name) == int(number) * {"MiB": 1 << 20, "GiB": 1 << 30}[unit]
