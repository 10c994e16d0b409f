"""The examples of the page about vector stores run as printed, one after the other."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.config import Config, StorageConfig
from tests.docs.tree import blocks
from tests.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server as it comes."""
    server = Server(Config(discover=False, storage=StorageConfig(data_dir=str(tmp_path))))
    server.start()
    yield server
    server.stop()


def test_the_examples(server: Server) -> None:
    """Each says what the page says it does."""
    said, names = io.StringIO(), {"client": server.client}
    examples = blocks("docs/vector-stores.md", "python")
    assert len(examples) == 4
    with contextlib.redirect_stdout(said):
        for example in examples:
            exec(example, names)
    assert said.getvalue().splitlines() == [
        "tea.md: Green tea is steeped at eighty degrees, for two minutes.",
        "completed 2",
        "['plan.txt']",
        "all-MiniLM-L6-v2",
    ]
