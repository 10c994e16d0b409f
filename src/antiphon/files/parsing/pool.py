"""The processes that read files: as many as there is work for, within a limit, and none while there is none."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from antiphon.config import ParsingConfig
from antiphon.files.parsing.model import Drawn, Failed, Job, Parsed, Read, Reply, Unparsable
from antiphon.files.parsing.process import Gone, Process

_log = logging.getLogger("antiphon.files")

#: Characters of a name that are looked at.
_MAX_NAME = 1000


class Parsers:
    """Reads files. Ready at once, for nothing starts before the first file; ``aclose`` ends everything."""

    def __init__(self, config: ParsingConfig) -> None:
        self._config = config
        self._room = asyncio.Semaphore(config.workers)
        self._idle: dict[Process, asyncio.TimerHandle] = {}
        self._busy: set[Process] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def text(self, path: Path, filename: str, media_type: str | None = None) -> Parsed:
        """The text of a file. Raises ``Unparsable``. Cancelled, it leaves nothing running."""
        reply = await self._read(path, Job(_name(filename), _name(media_type or ""), self._config))
        assert isinstance(reply, Read)
        pages = tuple(reply.parts) if reply.paged else None
        return Parsed("\n\n".join(filter(None, map(str.strip, reply.parts))) if pages else reply.parts[0], pages)

    async def images(self, path: Path, filename: str, *, pages: int, dpi: int = 110) -> list[bytes]:
        """The first pages of a PDF, as PNG. Raises ``Unparsable``."""
        reply = await self._read(path, Job(_name(filename), "", self._config, dpi=dpi, pages=pages))
        assert isinstance(reply, Drawn)
        return reply.images

    async def aclose(self) -> None:
        """Ends every process, also one that is reading."""
        self._closed = True
        for process in [*self._idle, *self._busy]:
            self._end(process)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _read(self, path: Path, job: Job) -> Read | Drawn:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as missing:
            raise Unparsable("server_error", f"The file is not there ({missing.strerror}).") from missing
        try:
            async with self._room:
                reply = await self._asked(job, file)
        finally:
            os.close(file)
        if isinstance(reply, Failed):
            raise Unparsable(reply.code, reply.message)
        return reply

    async def _asked(self, job: Job, file: int) -> Reply:
        """What a process says of it; one that was idle may have gone in the meantime, and another takes its place."""
        while True:
            process = await self._take()
            try:
                async with asyncio.timeout(job.limits.wall_seconds):
                    reply = await process.ask(job, file)
            except Gone as gone:
                self._end(process)
                if not process.used:
                    raise Unparsable("server_error", "The process that reads files does not start.") from gone
            except TimeoutError as late:
                self._end(process)
                limit = f"{job.limits.wall_seconds:g} s (files.parsing.wall_seconds)"
                raise Unparsable("invalid_file", f"It takes more than {limit} to read.") from late
            except BaseException:
                self._end(process)
                raise
            else:
                self._rest(process)
                if self._closed:
                    raise _stopping()
                return reply

    async def _take(self) -> Process:
        if self._closed:
            raise _stopping()
        while self._idle:
            process, timer = self._idle.popitem()
            timer.cancel()
            self._busy.add(process)
            if process.alive:
                return process
            self._end(process)
        try:
            process = await Process.start()
        except OSError as why:
            _log.error("A process that reads files cannot be started: %s", why)
            raise Unparsable("server_error", "The process that reads files cannot be started.") from why
        self._busy.add(process)
        return process

    def _rest(self, process: Process) -> None:
        """It waits for the next file, for a while."""
        process.used = True
        if process in self._busy:  # else it has been ended
            self._busy.discard(process)
            loop = asyncio.get_running_loop()
            self._idle[process] = loop.call_later(self._config.idle_seconds, self._end, process)

    def _end(self, process: Process) -> None:
        """Once; whoever comes second finds it done."""
        timer = self._idle.pop(process, None)
        if timer is None and process not in self._busy:
            return
        if timer is not None:
            timer.cancel()
        self._busy.discard(process)
        process.kill()
        task = asyncio.ensure_future(process.ended())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _name(text: str) -> str:
    """The end of what a stranger wrote, as it can be sent."""
    return text[-_MAX_NAME:].encode("utf-8", "replace").decode()


def _stopping() -> Unparsable:
    return Unparsable("server_error", "The server is stopping.")
