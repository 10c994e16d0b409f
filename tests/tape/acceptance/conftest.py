"""Fixtures of the acceptance tests: upstreams on loopback, the three ways in, and a user's project."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import scripted
from tests.tape.acceptance.on_tape import Opened
from tests.tape.acceptance.ways import WAYS, Way
from tests.tape.clients.far_side import FarSide
from tests.tape.plugin.project import Project
from tests.upstreams import FakeBackend

__all__ = ["scripted"]


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    """The directory of the recordings; nothing is there yet."""
    return tmp_path / "tapes"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tapes: Path) -> Way:
    """Each way in, over the same directory."""
    opens = WAYS[request.param]

    def opened(mode: str, url: str, **settings: Any) -> contextlib.AbstractContextManager[Opened]:
        return partial(opens, tapes)(mode, url, **settings)

    return opened


@pytest.fixture
def far() -> Iterator[FarSide]:
    """A server that answers with any bytes, in any pieces."""
    with FarSide() as server:
        yield server


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    """A chat-completions server."""
    with FakeBackend() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, far: FarSide) -> Project:
    """A user's project with tests of its own; its calls go to ``far``."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers --strict-config\n")
    return Project(root, far)
