"""Finds, without running anything, which test claims which row, and makes the table.

A claim is ``@pytest.mark.covers("row", ...)`` on a test (``@covers("row", ...)`` where a file calls it so), or the same
among the ``marks`` of a ``pytest.param`` in its decorators; the names must be literal strings, so that they can be read
off the source.
"""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.coverage.rows import SECTIONS

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "coverage.md"


class Claim(NamedTuple):
    """A test says that it proves a row. ``row`` is empty where the marker's argument is no literal string."""

    row: str
    test: str


@functools.cache
def claims(folder: Path = TESTS) -> tuple[Claim, ...]:
    """Every claim in every test file below ``folder``, in a stable order."""
    found: list[Claim] = []
    for path in sorted(folder.rglob("test_*.py")):
        where = path.relative_to(folder.parent).as_posix()
        found += [Claim(row, f"{where}::{name}") for name, row in claims_in(path.read_text())]
    return tuple(found)


def claims_in(source: str) -> Iterator[tuple[str, str]]:
    """(test, row) of one file's source. A marker outside of a test's decorators belongs to the test ``?``."""
    tree = ast.parse(source)
    seen: set[int] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test"):
            for decorator in function.decorator_list:
                for call in _markers(decorator):
                    seen.add(id(call))
                    yield from ((function.name, row) for row in _names(call))
    for call in _markers(tree):
        if id(call) not in seen:
            yield from (("?", row) for row in _names(call))


def _markers(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "covers" in (getattr(node.func, "attr", ""), getattr(node.func, "id", "")):
            yield node


def _names(call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        value = argument.value if isinstance(argument, ast.Constant) else ""
        yield value if isinstance(value, str) else ""


def as_markdown(found: Sequence[Claim]) -> str:
    """``docs/coverage.md``."""
    tests: defaultdict[str, list[str]] = defaultdict(list)
    for claim in found:
        if claim.test not in tests[claim.row]:
            tests[claim.row].append(claim.test)
    lines = [
        "# What is tested where",
        "",
        "Every endpoint, request parameter, input item and event, and the tests that drive it with the official client",
        "over a socket. Written by `python -m tests.coverage`; do not edit by hand. A row without a",
        "test fails the build.",
    ]
    for title, rows in SECTIONS.items():
        lines += ["", f"## {title}", "", "| row | what it is | tests |", "| --- | --- | --- |"]
        for row in rows:
            cell = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests[row.name])
            lines.append(f"| `{row.name.partition(':')[2]}` | {row.says} | {cell} |")
    return "\n".join(lines) + "\n"
