"""A server far away, and a tape under the clients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.tape.clients import Place, hang_up, install
from antiphon.tape.clients.call import Outcome
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.faults import Faults, parse
from antiphon.tape.scope import current
from tests.tape.clients.far_side import FarSide

#: The scope of calls that name none.
SCOPE = "t"


@pytest.fixture
def far() -> Iterator[FarSide]:
    """The server."""
    with FarSide() as server:
        yield server


class OnTape:
    """A tape under all clients of this process, while its context is open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.outcomes: list[Outcome] = []

    @contextlib.contextmanager
    def __call__(self, mode: str, *, faults: Any = None, **settings: Any) -> Iterator[Tape]:
        options = Settings(str(self.directory), mode=mode, **settings)  # type: ignore[arg-type]
        tape = Tape(options, environ={}, faults=Faults(parse(faults)) if faults is not None else None)
        self.outcomes.clear()
        installed = install(
            lambda url: Place(tape, current() or SCOPE, lambda _, outcome, why: self.outcomes.append(outcome))
        )
        try:
            yield tape
        finally:
            installed.undo()
            hang_up(_Everything())
            tape.close()

    @property
    def files(self) -> list[Path]:
        """The recordings."""
        return sorted(path for path in self.directory.rglob("*.json") if ".tape" not in path.parts)


class _Everything:
    def __contains__(self, _: object) -> bool:
        return True


@pytest.fixture
def on_tape(tmp_path: Path) -> Callable[..., Any]:
    """``with on_tape("record") as tape``."""
    return OnTape(tmp_path / "recordings")
