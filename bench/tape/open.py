"""``python -m bench.tape.open DIR``: how long it takes to have a directory's recordings at hand, in a fresh process.

``{"cpu": ms, "wall": ms, "found": recordings}``; the index is kept at the end, as always.
"""

from __future__ import annotations

import json
import os
import sys
import time

from antiphon.tape.engine import Settings, Tape


def main(directory: str) -> None:
    """Open it once."""
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    tape = Tape(Settings(directory), environ=os.environ)
    cost = {"cpu": (time.process_time_ns() - cpu) / 1e6, "wall": (time.perf_counter_ns() - wall) / 1e6}
    found = len(tape.shelf.entries())
    tape.close()
    print(json.dumps(cost | {"found": found, "unreadable": len(tape.shelf.unreadable)}))


if __name__ == "__main__":
    main(sys.argv[1])
