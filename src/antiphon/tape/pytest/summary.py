"""What a session's recordings came to, over all processes: the closing line, and what the next one wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from antiphon.tape.pytest.options import Options

#: Where the names of tests that missed a recording are kept between sessions.
MISSED = "antiphon/missed"
#: Paths that are shown of each kind.
_SHOWN = 20


class Totals:
    """What one process has to tell beside the counts of its tapes."""

    def __init__(self) -> None:
        self.kept = 0
        self.unused = 0
        self.unplayed: list[str] = []
        self.orphans: list[str] = []
        self.missed: list[str] = []
        self.silent: set[str] = set()
        self._ran: list[str] = []

    def ran(self, nodeid: str) -> None:
        """This test was recorded or replayed."""
        self._ran.append(nodeid)

    def told(self) -> dict[str, Any]:
        """As plain values, for another process."""
        return {
            "unplayed": self.unplayed,
            "orphans": self.orphans,
            "missed": self.missed,
            "ran": self._ran,
            "silent": sorted(self.silent),
        }


def close(config: pytest.Config, options: Options, told: Sequence[dict[str, Any]]) -> bool:
    """Remembers which tests missed. True when unused recordings are to fail the session."""
    cache = getattr(config, "cache", None)  # the cacheprovider can be switched off
    if cache is not None:
        ran = {nodeid for one in told for nodeid in one["ran"]}
        missed = {nodeid for one in told for nodeid in one["missed"]}
        before = set(cache.get(MISSED, None) or [])
        after = (before - ran) | missed
        if after != before:
            cache.set(MISSED, sorted(after))
    return options.unused == "fail" and any(one["orphans"] or one["unplayed"] for one in told)


def say(reporter: Any, options: Options, told: Sequence[dict[str, Any]]) -> None:
    """The closing line, and the unused recordings by name."""
    counts: dict[str, int] = {}
    for one in told:
        for name, number in one["count"].items():
            counts[name] = counts.get(name, 0) + number
    unused = sorted({path for one in told for path in (*one["unplayed"], *one["orphans"])})
    if not any(one["ran"] for one in told):
        return
    if unused and options.unused != "ignore":
        reporter.section("unused recordings", sep="-")
        for path in unused[:_SHOWN]:
            reporter.line(path)
        if len(unused) > _SHOWN:
            reporter.line(f"... and {len(unused) - _SHOWN} more")
    silent = sorted({word for one in told for word in one["silent"]})
    if silent:
        reporter.line(f"recordings: without effect in the configuration of vcr: {', '.join(silent)}")
    reporter.line(line(counts, len(unused)), **({"red": True} if counts.get("misses") else {}))


def line(counts: dict[str, int], unused: int) -> str:
    """The closing line. Counts of what hardly ever happens are left out when they are zero."""
    get = counts.get
    parts = [
        f"{get('hits', 0)} hits",
        f"{get('recorded', 0)} recorded",
        f"{get('misses', 0)} misses",
        f"{unused} unused",
    ]
    parts += [f"{get(name, 0)} {shown}" for name, shown in (("relaxed", "relaxed"), ("live", "live")) if get(name)]
    tokens = f"tokens: {get('tokens_replayed', 0):,} replayed, {get('tokens_recorded', 0):,} recorded"
    return f"recordings: {', '.join(parts)}; {tokens}"
