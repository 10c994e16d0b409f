"""What a process that reads files gives up before it sees one. Nothing here can be taken back."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

#: Files that it may have open, its own libraries' included.
_OPEN_FILES = 64

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS = 1, 38


def confine(memory_bytes: int) -> None:
    """For the whole process and its children: limits on address space and files, no core dump, no new privileges; no
    network and an end with its parent where the system has that."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_AS, memory_bytes)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Whoever is not allowed to leave the network alone may do so as a user of his own; and some may not even that.
        if libc.unshare(_NEW_NET) != 0:
            libc.unshare(_NEW_USER | _NEW_NET)


def begin_file(cpu_seconds: int, parent: int) -> None:
    """For a child that reads one file: its time, and an end with its parent, which may be gone already."""
    _limit(resource.RLIMIT_CPU, cpu_seconds, 1)  # the first second over it is told by a signal that says so
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        with contextlib.suppress(OSError):  # the first to go where memory is short
            Path("/proc/self/oom_score_adj").write_text("1000")
    os.nice(5)


def _limit(what: int, value: int, more: int = 0) -> None:
    """Never above what is allowed already."""
    _, hard = resource.getrlimit(what)
    soft, last = (one if hard == resource.RLIM_INFINITY else min(one, hard) for one in (value, value + more))
    resource.setrlimit(what, (soft, last))
