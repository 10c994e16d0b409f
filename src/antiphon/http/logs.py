"""Log lines: on stderr, one each, with the id of the request they belong to.

A busy server writes thousands of access lines a second, and a system call for each would cost more than the line. So
lines below ``warning`` are written together, a few times a second; anything graver is written at once, with all that
came before it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextvars import ContextVar
from typing import TextIO

#: The id of the request being answered; ``-`` outside of one.
request_id: ContextVar[str] = ContextVar("antiphon_request_id", default="-")

#: How long a line may wait. Seconds.
_WAIT = 0.2
_MAX_LINES = 1000


class _Lines(logging.Formatter):
    """``2026-01-02T03:04:05.678Z INFO req_... message``. The seconds are formatted once each."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._stamp = ""

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line = f"{self._stamp}.{int(record.msecs):03d}Z {record.levelname} {request_id.get()} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Together(logging.Handler):
    """Writes lines together while an event loop runs, and at once where none does."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        first = not self._lines
        self._lines.append(self.format(record))
        if record.levelno >= logging.WARNING or len(self._lines) >= _MAX_LINES:
            self.flush()
        elif first:
            try:
                asyncio.get_running_loop().call_later(_WAIT, self.flush)
            except RuntimeError:  # no loop in this thread
                self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()


def log_to_stderr(level: str, *, access: bool) -> None:
    """From here on: lines of this level and above; a line for each request only with ``access``."""
    # Nothing of ours shows where a line was logged from, or by which thread: finding out costs more than the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _Together(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if not access:
        logging.getLogger("antiphon.access").setLevel(logging.WARNING)
