"""A campaign: start the server, load it, kill it, start it again, compare; as often as asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kills.check import expect_goes_on, expect_kept, expect_whole_rows
from tests.kills.load import Load, Told

ROOT = Path(__file__).resolve().parents[2]

#: The kill comes after this many reads of all clients together, and a moment more.
_READS = (1, 2500)
_MOMENT_SECONDS = 0.02
#: Conversations continued after each restart, beside those that the clients go on with.
_CONTINUED = 3


@dataclass
class Counts:
    """What a campaign saw. ``promised`` were acknowledged to a client; of the others it had seen only a beginning."""

    kills: int = 0
    promised: int = 0
    gone: int = 0
    complete: int = 0
    rows: int = 0
    seconds: float = 0.0


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """The paced back end in its own process; its base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kills.upstream", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


class Server:
    """One life of ``antiphon serve``: ``port`` once it listens. It says what it logged when it ends by itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.port = 0
        self._process = process
        self._log: deque[str] = deque(maxlen=50)
        self._drain: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, folder: Path, database: str, back_end: str) -> Server:
        """Starts and waits until it listens."""
        command = [sys.executable, "-m", "antiphon", "serve", "--port", "0", "--upstream", back_end]
        options = ["--data-dir", str(folder), "--database-url", database]
        env = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "ANTIPHON_"))}
        server = cls(
            await asyncio.create_subprocess_exec(
                *command, *options, cwd=folder, env=env, stderr=asyncio.subprocess.PIPE
            )
        )
        try:
            await server._listening()
        except BaseException:
            await server.end()
            raise
        return server

    async def _listening(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._log.append(line.decode())
            found = re.search(r"Listening on http://127\.0\.0\.1:(\d+)/v1", self._log[-1])
            if found:
                self.port = int(found[1])
                self._drain = asyncio.create_task(self._read_log(self._process.stderr))
                return
        raise AssertionError("the server did not start:\n" + "".join(self._log))

    async def _read_log(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            self._log.append(line.decode())

    async def kill(self) -> None:
        """SIGKILL. What it logged as an error before is an error here."""
        assert self._process.returncode is None, "it ended by itself:\n" + "".join(self._log)
        await self.end()
        broken = [line for line in self._log if " ERROR " in line or "Traceback" in line]
        assert not broken, "".join(self._log)

    async def end(self) -> None:
        """It is dead and gone, whatever it was doing."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        if self._drain is not None:
            await self._drain


async def campaign(
    folder: Path, database: str, *, kills: int, clients: int, seed: int, tell: Callable[[Counts], None] = lambda _: None
) -> Counts:
    """Kills the server this often under load and checks everything after each; raises at the first broken promise."""
    chance, load, counts = random.Random(seed), Load(clients, seed), Counts()
    began = time.monotonic()
    async with upstream() as back_end:
        server = await Server.start(folder, database, back_end)
        try:
            for _ in range(kills):
                since = int(time.time()) - 1
                told = await _until_killed(server, load, chance)
                server = await Server.start(folder, database, back_end)
                kept, gone, complete = await expect_kept(server.port, told, chance)
                await expect_goes_on(server.port, chance.sample(load.conversations, _CONTINUED), chance)
                await expect_whole_rows(database, since)
                counts.kills += 1
                counts.promised += kept
                counts.gone += gone
                counts.complete += complete
                counts.seconds = time.monotonic() - began
                tell(counts)
        finally:
            await server.end()
    counts.rows = await expect_whole_rows(database)
    counts.seconds = time.monotonic() - began
    return counts


async def _until_killed(server: Server, load: Load, chance: random.Random) -> list[Told]:
    """One life of the server under load, to its violent end; what the clients were told in it."""
    kill = asyncio.Event()
    clients = asyncio.create_task(load.until_killed(server.port, chance.randrange(*_READS), kill))
    killer = asyncio.create_task(kill.wait())
    await asyncio.wait([clients, killer], return_when=asyncio.FIRST_COMPLETED)
    killer.cancel()
    await asyncio.sleep(chance.random() * _MOMENT_SECONDS)
    await server.kill()
    return await clients
