"""The arithmetic and the tables of the benchmark: pure, and the bounds decide its exit status."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import report, stats
from bench.report import Compare, Line, Report

numbers = st.floats(0.001, 1e6)


@given(st.lists(numbers, min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], percent: float) -> None:
    """At least the asked share lies at or below a percentile, and less than that share below it."""
    ordered = sorted(values)
    found = stats.percentile(ordered, percent)
    assert found in ordered
    assert sum(v <= found for v in ordered) * 100 >= percent * len(ordered) * (1 - 1e-12)
    assert sum(v < found for v in ordered) * 100 <= percent * len(ordered) * (1 + 1e-12)


def test_percentiles_of_known_values() -> None:
    """The ends are the least and the greatest value; nothing has no percentile."""
    assert [stats.percentile([1, 2, 3, 4], p) for p in (0, 50, 99, 100)] == [1, 2, 4, 4]
    with pytest.raises(ValueError, match="nothing"):
        stats.percentile([], 50)


def line(compare: Compare = Compare.RATIO, **more: object) -> Line:
    fields = {"name": "n", "unit": "u", "subject": [30.0, 20.0, 40.0], "base": [10.0, 10.0, 40.0], "base_name": "b"}
    return Line(compare=compare, **(fields | more))  # type: ignore[arg-type]


def test_a_figure_is_the_median_of_the_comparisons_inside_each_round() -> None:
    """Rounds are compared pair by pair, never median against median."""
    assert line().per_round() == [3.0, 2.0, 1.0]
    assert line().figure() == 2.0
    assert line(Compare.DIFFERENCE).figure() == 10.0
    assert line(Compare.VALUE).figure() == 30.0


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=9), numbers)
def test_a_line_holds_up_to_its_bound_and_not_above(rounds: list[tuple[float, float]], limit: float) -> None:
    """The bound itself still holds; without a bound everything does."""
    subject, base = [s for s, _ in rounds], [b for _, b in rounds]
    made = line(subject=subject, base=base, limit=limit)
    assert made.holds() == (statistics.median(s / b for s, b in rounds) <= limit)
    assert line(subject=subject, base=base).holds()


def whole(*lines: Line) -> Report:
    return Report(command="c", rounds=3, machine="m", lines=list(lines), notes=["a note"])


def test_one_figure_above_its_bound_is_exit_status_one() -> None:
    """Every bound counts, whatever the others say."""
    good, bad = line(limit=2.0), line(limit=1.9)
    assert whole(good, line()).exit_code() == 0
    assert whole(good, bad, good).exit_code() == 1


def test_the_table_says_what_was_measured_and_which_bound_broke() -> None:
    """Columns are of one width, medians, range, bound and verdict are all there."""
    rows = report.table([line(limit=2.0), line(limit=1.9, name="a much longer name"), line(Compare.DIFFERENCE)])
    first, rule, *body = rows.splitlines()
    assert {len(row) for row in (first, rule, *body)} == {len(first)}
    assert [cell.strip() for cell in body[0].split("|")[1:-1]] == [
        "n", "u", "b 10.0", "server 30.0", "2.00x", "1.00 to 3.00", "<= 2.00x", "ok",
    ]  # fmt: skip
    assert "ABOVE" in body[1]
    assert "ABOVE" not in body[0] + body[2]
    assert "+10.0" in body[2]


def test_a_page_keeps_everything_outside_its_marks(tmp_path: Path) -> None:
    """Writing the table twice gives the same page; a page without marks is refused."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_docs(page, whole(line()))
    once = page.read_text()
    report.write_docs(page, whole(line()))
    assert page.read_text() == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert "- a note" in once
    with pytest.raises(ValueError, match="has no"):
        report.splice("nothing here", "x")
