"""The CPU reader sees what a tree of processes has used, to well under a scheduler tick."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import cpu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads Linux clocks")

# Each uses 60 ms of CPU in one place, says so, and waits to be ended.
BURN = "import time\ndef burn():\n    end = time.thread_time() + 0.06\n    while time.thread_time() < end: pass\n"
WAIT = "print('done', flush=True)\ninput()\n"
ITSELF = BURN + "burn()\n" + WAIT
ENDED_THREAD = BURN + "import threading\nt = threading.Thread(target=burn)\nt.start()\nt.join()\n" + WAIT
WAITED_CHILD = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', " + repr(BURN + "burn()") + "])\n" + WAIT
LIVING_CHILD = (
    "import subprocess, sys\nc = subprocess.Popen([sys.executable, '-c', "
    + repr(ITSELF)
    + "], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\nc.stdout.readline()\n"
    + WAIT
    + "c.communicate(b'\\n')\n"
)


@contextmanager
def running(program: str) -> Iterator[int]:
    """A Python program that has said that its work is done."""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        yield child.pid
        child.communicate(b"\n")


@pytest.mark.parametrize("program", [ITSELF, ENDED_THREAD, WAITED_CHILD, LIVING_CHILD])
def test_all_time_of_a_tree_is_counted(program: str) -> None:
    """Work of the process, of a thread that has ended, of a child waited for and of a living child is all there."""
    with running(program) as pid:
        assert cpu.tree_ns(pid) >= 60_000_000
        assert cpu.settled_ns(pid) >= cpu.process_ns(pid)
        memory = cpu.memory(pid)
        assert 0 < memory["pss"] <= memory["rss"]


def test_the_clock_of_another_process_is_finer_than_a_tick() -> None:
    """Our own process read by its id agrees with the clock Python has for it, within a millisecond."""
    low = time.process_time_ns()
    mine = cpu.process_ns(os.getpid())
    assert low <= mine <= time.process_time_ns()


def test_a_process_that_is_gone_is_an_error() -> None:
    """No figure is ever made of a server that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(ProcessLookupError):
        cpu.tree_ns(child.pid)
