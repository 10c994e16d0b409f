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
#: In three digits; a format costs more than a look at a table.
_MILLISECONDS = [f"{number:03d}" for number in range(1000)]


def _one_line(text: str) -> str:
    """The text with its control characters and line breaks spelled out: a client could forge a line with them."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else char.encode("unicode_escape").decode() for char in text])


class _Lines(logging.Formatter):
    """``2026-01-02T03:04:05.678Z INFO req_... message``. The seconds are formatted once each."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._stamp = ""

    def format(self, record: logging.LogRecord) -> str:
        message = _one_line(record.getMessage().rstrip("\n"))
        line = f"{self.stamp(int(record.created * 1000))} {record.levelname} {request_id.get()} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    def stamp(self, at: int) -> str:
        """The time; ``at`` in milliseconds since 1970."""
        second = at // 1000
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{_MILLISECONDS[at % 1000]}Z"


class _Together(logging.Handler):
    """Writes lines together while an event loop runs, and at once where none does."""

    def __init__(self, stream: TextIO, level: str) -> None:
        super().__init__(level)
        self._stream = stream
        self._lines: list[str] = []
        self.setFormatter(_Lines())

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
        self._added(record.levelno >= logging.WARNING)

    def line(self, line: str) -> None:
        """A whole line of level ``info`` that never was a record."""
        self._lines.append(line)
        if not 1 < len(self._lines) < _MAX_LINES:
            self._added(False)

    def _added(self, urgent: bool) -> None:
        """A line more: see that it is written."""
        if urgent or len(self._lines) >= _MAX_LINES:
            self.flush()
        elif len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_later(_WAIT, self.flush)
            except RuntimeError:  # no loop in this thread
                self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()


class AccessLog:
    """A line for each request, without the cost of a log record: nothing else is written as often."""

    def __init__(self) -> None:
        self._handler: _Together | None = None
        self._stamp = _Lines().stamp

    def to(self, handler: _Together | None) -> None:
        """Where the lines go; None for nowhere."""
        self._handler = handler

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """One request was answered."""
        if self._handler is not None:
            stamp, own_id = self._stamp(time.time_ns() // 1_000_000), request_id.get()
            self._handler.line(f"{stamp} INFO {own_id} {method} {_one_line(path)} {status} {seconds * 1000:.1f} ms")


access = AccessLog()


def log_to_stderr(level: str, *, access_log: bool) -> None:
    """From here on: lines of this level and above; a line for each request only with ``access_log``."""
    # Nothing of ours shows where a line was logged from, or by which thread: finding out costs more than the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _Together(sys.stderr, level.upper())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    access.to(handler if access_log and handler.level <= logging.INFO else None)
