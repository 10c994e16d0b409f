"""The project of a user, and the server that its tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tape.clients.far_side import FarSide
from tests.tape.plugin.project import Project


@pytest.fixture
def far() -> Iterator[FarSide]:
    """The server that is asked."""
    with FarSide() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, far: FarSide) -> Project:
    """An empty project with a configuration file."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers --strict-config\n")
    return Project(tmp_path, far)
