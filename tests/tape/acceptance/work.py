"""The work of one replayed call, counted in a process of its own: files opened, directories read, functions called."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.upstreams import PATIENCE

#: Of them the first ones open what stays open.
_CALLS = 4


def measure(tapes: str, url: str, body: dict[str, Any], counts: Any) -> None:
    """Opens the tape twice, the second time with the index of the first, and replays calls; tells the work of each."""
    import httpx2

    from tests.tape.acceptance.on_tape import on_tape

    work: Counter[str] = Counter()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.scandir", "os.listdir", "os.open") and str(arguments[0]).startswith(tapes):
            work[event] += 1

    def called(frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            work["calls"] += 1

    sys.addaudithook(hear)
    with on_tape(Path(tapes), "replay"):
        found: dict[str, Any] = {"cold": dict(work), "calls": []}
    work.clear()
    with on_tape(Path(tapes), "replay"), httpx2.Client(timeout=PATIENCE, trust_env=False, verify=False) as client:
        found["warm"] = dict(work)
        for _ in range(_CALLS):
            work.clear()
            sys.setprofile(called)
            try:
                reply = client.post(url, json=body)
            finally:
                sys.setprofile(None)
            assert reply.status_code == 200, reply.text
            found["calls"].append(dict(work))
    counts.send(found)
    counts.close()
