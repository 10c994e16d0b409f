"""The list is whole: every number has its tests, and every test that the table names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_HERE = Path(__file__).parent
_LATER = {23}


def _tests(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_number_has_a_test() -> None:
    """1 to 28, but for those that come later."""
    numbers = {int(found[1]) for path in _HERE.glob("test_*.py") for name in _tests(path)
               if (found := re.match(r"test_(\d\d)_", name))}  # fmt: skip
    assert numbers == set(range(1, 29)) - _LATER


def test_every_test_of_the_table_is_there() -> None:
    """A test that was renamed is renamed in the table too."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (_HERE / "README.md").read_text("utf-8"))
    assert len(named) > 30
    assert [f"{file}::{name}" for file, name in named if name not in _tests(_HERE.parents[1] / file)] == []
