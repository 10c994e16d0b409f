"""An agent of six turns whose tools draw new ids in every run. A program of its own: python agent.py TAPES MODE RUNS.

It prints a line of JSON for each run: hits, recorded, misses, and whether ids were drawn anew. Each run is a process.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import traceback
import uuid
from pathlib import Path
from typing import Any

import httpcore2  # noqa: F401 - before the forks, not in each of them
import httpx2

from tests.tape.acceptance.on_tape import on_tape

_TURNS = 6


def _perform(name: str) -> str:
    """A tool. What it gives back holds ids that nobody will see again."""
    made = {"order_id": f"ord_{secrets.token_hex(6)}", "trace": str(uuid.uuid4()), "status": f"{name} is done"}
    return json.dumps(made)


def run(url: str, *, swap: bool = False) -> list[dict[str, Any]]:
    """The messages of a conversation: every turn two tools are called, and the next question names an id of a result.

    ``swap`` gives each result of the third turn to the other call.
    """
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": f"You are agent {uuid.uuid4()}."},
        {"role": "user", "content": "Order it."},
    ]
    with httpx2.Client(timeout=20, trust_env=False, verify=False) as client:
        for turn in range(_TURNS):
            reply = client.post(url, json={"model": "m", "messages": messages})
            if reply.status_code != 200:
                break
            said = reply.json()["choices"][0]["message"]
            messages.append(said)
            calls = said.get("tool_calls") or []
            results = [_perform(call["function"]["name"]) for call in calls]
            if swap and turn == 2:
                results.reverse()
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": result}
                for call, result in zip(calls, results, strict=True)
            ]
            if results:
                messages.append({"role": "user", "content": f"And {json.loads(results[0])['order_id']}?"})
    return messages


def _once(tapes: str, mode: str, url: str, swap: bool) -> None:
    with on_tape(Path(tapes), mode, strict=True) as tape:
        messages = run(url, swap=swap)
        counts = tape.stats()
        reason = tape.misses[0].reason if tape.misses else ""
    ids = [message["content"] for message in messages if message["role"] == "tool"]
    found = {"hits": counts.hits, "recorded": counts.recorded, "misses": counts.misses, "reason": reason, "ids": ids}
    os.write(1, json.dumps(found).encode() + b"\n")


def main(tapes: str, mode: str, url: str, runs: str, swap: str = "") -> None:
    """Each run is forked, so that it knows nothing of the one before."""
    for _ in range(int(runs)):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _once(tapes, mode, url, bool(swap))
                code = 0
            except BaseException:  # noqa: BLE001 - the child must not go on as its parent
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
