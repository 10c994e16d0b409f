"""What a process tree has cost: CPU from the kernel's own clock, memory from the kernel's own page accounting (Linux).

``/proc/<pid>/stat`` counts in ticks of 10 ms, as long as fifty one-token requests, and ``task/*/schedstat`` forgets a
thread when it ends. The POSIX CPU clock of a *process* has neither fault: nanoseconds, user and system together,
summed by the scheduler over every thread alive or gone, and any process may read another's. It covers one process
only, so the tree is walked, and the time of children that have ended and been waited for is added from ``stat``
(there ticks must do: it is the one place the kernel keeps it).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PPID, _CUTIME, _CSTIME = 1, 13, 14  # positions in /proc/<pid>/stat after the closing bracket of the name


def _stat(pid: int) -> list[str]:
    # The name stands in brackets and may hold anything, a closing bracket too: what counts is the last one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """``root`` and all its living descendants. ProcessLookupError when there is no such process."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[_PPID])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended between the listing and the reading
            children.setdefault(parent, []).append(int(entry.name))
    if not Path(f"/proc/{root}").exists():
        raise ProcessLookupError(f"no process {root}")
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def process_ns(pid: int) -> int:
    """CPU nanoseconds of one process, all its threads, alive or ended. OSError when it is gone."""
    # The number clock_getcpuclockid(3) would give: the inverted pid, then "scheduler clock of the whole process".
    return time.clock_gettime_ns((~pid << 3) | 2)


def tree_ns(root: int) -> int:
    """CPU nanoseconds of ``root``, its descendants and their children that were waited for."""
    total = 0
    for pid in tree(root):
        try:
            stat = _stat(pid)
            total += process_ns(pid) + (int(stat[_CUTIME]) + int(stat[_CSTIME])) * _NS_PER_TICK
        except OSError:
            if pid == root:
                raise
            # A child ended just now: from the next reading on its time is in its parent's.
    return total


def settled_ns(root: int, quiet_s: float = 0.02, limit_s: float = 2.0) -> int:
    """``tree_ns`` once the tree is at rest: work put off until after the answer (write-behind, clean-up) is counted
    too.

    At rest means less than 2 % of one core over ``quiet_s``; after ``limit_s`` the reading is taken all the same.
    """
    deadline = time.monotonic() + limit_s
    before = tree_ns(root)
    while True:
        time.sleep(quiet_s)
        after = tree_ns(root)
        if after - before < 0.02 * quiet_s * 1e9 or time.monotonic() > deadline:
            return after
        before = after


def memory(root: int) -> dict[str, float]:
    """Megabytes (10^6 bytes) of the tree: ``pss`` shares pages among their users, ``rss`` counts them whole."""
    totals = {"Pss": 0, "Rss": 0}
    for pid in tree(root):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, _, rest = line.partition(":")
            if key in totals:
                totals[key] += int(rest.split()[0])
    return {"pss": totals["Pss"] * 1024 / 1e6, "rss": totals["Rss"] * 1024 / 1e6}
