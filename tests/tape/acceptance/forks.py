"""Processes of their own, forked from a server that has imported the libraries already; their arguments are plain."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.upstreams import PATIENCE

#: The preload is asked for in one place: the server of the plugin's tests is the same.
from tests.tape.plugin import project as _project  # isort: skip

_context = _project._forks


def start(work: Any, *arguments: Any) -> BaseProcess:
    """Runs ``work`` in a process of its own."""
    process = _context.Process(target=work, args=arguments)
    process.start()
    return process


def pipe() -> tuple[Any, Any]:
    """Two ends; the second is for the child."""
    return multiprocessing.Pipe(duplex=False)


def ended(process: BaseProcess) -> int:
    """Waits for its end; the exit code, negative for a signal."""
    process.join(PATIENCE * 2)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def all_of(count: int) -> Any:
    """Where so many processes wait for each other."""
    return _context.Barrier(count, timeout=PATIENCE * 2)


def ask(
    tapes: str, mode: str, url: str, worker: int, words: list[str], heard: Any = None, together: Any = None
) -> None:
    """A client on the tape asks these in turn, once those that go ``together`` have opened it; ``heard`` is told the
    answers."""
    from tests.tape.acceptance.on_tape import on_tape

    with on_tape(Path(tapes), mode):
        if together is not None:
            together.wait()
        said = [_chat(f"{url}/chat/completions", each, {"x-worker": str(worker)}) for each in words]
    if heard is not None:
        heard.send(said)
        heard.close()


def _chat(url: str, words: str, headers: dict[str, str]) -> str:
    """What a streamed chat completion says."""
    import httpx2

    body = {"model": "m", "messages": [{"role": "user", "content": words}], "stream": True}
    reply = httpx2.post(
        url, json=body, headers=headers, timeout=PATIENCE * 2, trust_env=False, verify=False
    ).raise_for_status()
    chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def die_writing(tapes: str, url: str, limit: int) -> None:
    """Records a call, and is killed by the system in the very write that passes ``limit`` bytes of a file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    ask(tapes, "record", url, 0, ["long"])


def upload(tapes: str, mode: str, url: str, content: bytes) -> None:
    """The SDK uploads a file; the boundary of its form is drawn at random."""
    from tests.tape.acceptance.on_tape import under_clients

    with under_clients(Path(tapes), mode, url) as opened:
        reply = opened.sdk().files.with_raw_response.create(file=("notes.txt", content), purpose="assistants")
        if reply.http_response.status_code != 200:
            os.write(2, reply.http_response.content)
            sys.exit(1)
