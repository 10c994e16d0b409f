"""One process that reads files, as the server sees it: started clean, asked, and killed with all that it began."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import msgspec

from antiphon.files.parsing.model import Failed, Job, Reply, Unparsable, decode_reply, encode_job

#: Where this package is, so that the process finds it however it was installed.
_PACKAGES = str(Path(__file__).parents[3])
_START = "import sys; sys.path.insert(0, sys.argv[1]); from antiphon.files.parsing.worker import main; main()"
#: All that it knows of our surroundings. Threads and arenas cost address space.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "MALLOC_ARENA_MAX": "2",
    "RAYON_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
}
#: A reply is as long as its text, and a little.
_FRAME = 1024 * 1024
_ENDS = {
    signal.SIGXCPU: "It takes more than {cpu} s of computing to read (files.parsing.cpu_seconds).",
    signal.SIGABRT: "It is damaged, or needs more than {memory} MiB to be read (files.parsing.memory_bytes).",
}
_BROKEN = "It breaks what reads it: it is damaged, or was built to do harm."


class Gone(Exception):
    """The process ended before it took the file."""


class Process:
    """``await Process.start()``, ``ask`` as often as it answers, ``kill``, and ``ended``."""

    def __init__(self, running: asyncio.subprocess.Process, door: socket.socket) -> None:
        self._running = running
        self._door = door
        self._asking = asyncio.Lock()
        self.used = False
        """Whether it has answered before."""

    @classmethod
    async def start(cls) -> Process:
        """Spawned, in a group of its own. Raises ``OSError``."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            running = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-B", "-c", _START, _PACKAGES),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd=tempfile.gettempdir(),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(running, ours)

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._running.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._running.returncode is None

    async def ask(self, job: Job, file: int) -> Reply:
        """What becomes of an open file. Raises ``Gone``; and what it was cancelled with, after which it must be
        killed."""
        async with self._asking:
            # No pipe: uvloop closes the number of one twice, and in between it may have become another thread's file.
            reading, writing = socket.socketpair()
            with reading:
                reading.setblocking(False)
                try:
                    with writing:
                        socket.send_fds(self._door, [encode_job(job)], [file, writing.fileno()])
                except OSError as gone:
                    raise Gone from gone
                return await self._answer(job, reading)

    async def _answer(self, job: Job, reading: socket.socket) -> Reply:
        loop = asyncio.get_running_loop()
        try:
            if not await loop.sock_recv(self._door, 1):
                raise Gone
            data = await _all_of(reading, job.limits.max_text_bytes * 2 + _FRAME)
            ended = await loop.sock_recv(self._door, 16)
        except ConnectionError as gone:
            raise Gone from gone
        return _reply(data, int(ended or b"-1"), job)

    def kill(self) -> None:
        """Ends it, and the reading of any file, at once."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Until it is gone, and nobody waits for it."""
        await self._running.wait()
        async with self._asking:
            self._door.close()


def _reply(data: bytes, ended: int, job: Job) -> Reply:
    if ended != 0 or not data:
        words = _ENDS.get(ended, _BROKEN) if ended > 0 else _BROKEN  # type: ignore[call-overload]
        limits = job.limits
        return Failed("invalid_file", words.format(cpu=limits.cpu_seconds, memory=limits.memory_bytes // (1024 * 1024)))
    try:
        return decode_reply(data)
    except msgspec.DecodeError as broken:
        raise Unparsable("server_error", "What came back from reading the file makes no sense.") from broken


async def _all_of(reading: socket.socket, limit: int) -> bytes:
    """What is written into it until all its writers are gone."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while piece := await loop.sock_recv(reading, 1024 * 1024):
        data += piece
        if len(data) > limit:
            raise Unparsable("invalid_file", _BROKEN)
    return bytes(data)
