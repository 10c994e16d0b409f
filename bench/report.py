"""From measured rounds to figures, verdicts and tables. Pure but for `write_docs`."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from bench import stats

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


class Compare(StrEnum):
    """How a figure follows from the two columns of a line."""

    RATIO = "ratio"  # subject / base
    DIFFERENCE = "difference"  # subject - base
    VALUE = "value"  # the subject alone


class Line(msgspec.Struct, kw_only=True):
    """One line of the table: a subject beside its base, both with one number a round."""

    name: str
    unit: str
    subject: list[float]
    subject_name: str = "server"
    base: list[float] = []
    base_name: str = ""
    compare: Compare = Compare.RATIO
    limit: float | None = None  # the figure must not exceed it
    note: str = ""

    def per_round(self) -> list[float]:
        """The figure of every round: comparing inside a round cancels what the machine did meanwhile."""
        if self.compare is Compare.VALUE:
            return self.subject
        pairs = list(zip(self.subject, self.base, strict=True))
        return [s / b for s, b in pairs] if self.compare is Compare.RATIO else [s - b for s, b in pairs]

    def figure(self) -> float:
        """The median over the rounds."""
        return stats.median(self.per_round())

    def holds(self) -> bool:
        """Whether the figure is within its bound; a line without one always holds."""
        return self.limit is None or self.figure() <= self.limit


class Report(msgspec.Struct, kw_only=True):
    """A whole run."""

    command: str
    rounds: int
    machine: str
    lines: list[Line]
    notes: list[str] = []

    def exit_code(self) -> int:
        """0, or 1 when a figure is above its bound."""
        return 0 if all(line.holds() for line in self.lines) else 1


def machine() -> str:
    """The machine in one sentence."""
    cpu = "unknown CPU"
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if x.startswith("model name")] if info.exists() else []
    if names:
        cpu = names[0].partition(":")[2].strip()
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{len(names) or '?'} x {cpu}, {system}, Python {platform.python_version()}"


def number(value: float) -> str:
    """Three significant digits or so, never an exponent."""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _signed(compare: Compare, value: float) -> str:
    if compare is Compare.RATIO:
        return f"{value:.2f}x"
    return f"{value:+.0f}" if compare is Compare.DIFFERENCE and abs(value) >= 100 else _plain(compare, value)


def _plain(compare: Compare, value: float) -> str:
    return ("+" if compare is Compare.DIFFERENCE and value >= 0 else "") + number(value)


def _row(line: Line) -> list[str]:
    figures = line.per_round()
    low, high = min(figures), max(figures)
    base = f"{line.base_name} {number(stats.median(line.base))}" if line.base else ""
    limit = "" if line.limit is None else f"<= {number(line.limit)}{'x' if line.compare is Compare.RATIO else ''}"
    verdict = "" if line.limit is None else ("ok" if line.holds() else "ABOVE")
    return [
        line.name,
        line.unit,
        base,
        f"{line.subject_name} {number(stats.median(line.subject))}",
        _signed(line.compare, line.figure()),
        f"{number(low)} to {number(high)}" if len(figures) > 1 else "",
        limit,
        " ".join(x for x in (verdict, line.note) if x),
    ]


_HEAD = ["what", "unit", "base", "measured", "figure", "rounds", "bound", "verdict"]


def table(lines: Sequence[Line]) -> str:
    """A markdown table that is also readable on a terminal: every column is padded."""
    rows = [_HEAD, *(_row(line) for line in lines)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def text(report: Report) -> str:
    """What a person sees at the end of a run."""
    parts = [f"{report.machine}. {report.rounds} interleaved rounds, medians.", "", table(report.lines)]
    if report.notes:
        parts += ["", *(f"- {note}" for note in report.notes)]
    return "\n".join(parts)


def splice(page: str, body: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """``page`` with what stands between the two marks replaced. ValueError when the marks are not there."""
    head, begin, rest = page.partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"the page has no {marks[0]} ... {marks[1]}")
    return f"{head}{begin}\n{body}\n{end}{tail}"


def write_docs(page: Path, report: Report, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Put the table of a run into the page, between these marks."""
    page.write_text(splice(page.read_text(), text(report), marks))
