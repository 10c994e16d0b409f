"""numpy in a server that starts programs."""

from __future__ import annotations

import subprocess
import sys

_FORKING = """
import asyncio, threading
import numpy  # as another library would, before us
import uvloop
from antiphon.knowledge.arrays import numpy as ours

ours()
left, right = numpy.ones((1024, 384), "f4"), numpy.ones((384, 1152), "f4")
over = threading.Event()

def compute():
    while not over.is_set():
        left @ right

async def main():
    for _ in range(50):
        program = await asyncio.create_subprocess_exec("true")
        await program.wait()

threads = [threading.Thread(target=compute) for _ in range(2)]
for thread in threads:
    thread.start()
uvloop.run(main())
over.set()
"""


def test_programs_start_while_it_computes() -> None:
    """A product in one thread and a fork in another do not wait for each other."""
    subprocess.run([sys.executable, "-c", _FORKING], check=True, timeout=60, env={"OPENBLAS_NUM_THREADS": "2"})
