"""What is to be done for a folder, and the doing of it, several files at a time."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from antiphon.cli.ingest.server import Json, Missing, Refused, Server
from antiphon.cli.ingest.walk import Found

#: Files that are on their way at once.
_AT_ONCE = 4
#: Attributes by which a file of a store is known again.
_PATH, _HASH = "path", "sha256"
#: Characters that an attribute may have.
_LONGEST = 512

Say = Callable[[str, str], None]


class Summary(msgspec.Struct):
    """What came of it: counts, and the files that failed, with the reasons."""

    store: Json
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = []

    def line(self, *, left_out: int) -> str:
        """All of it in a sentence."""
        counts = [f"{self.added} added", f"{self.updated} updated", f"{self.unchanged} unchanged"]
        if left_out:
            counts.append(f"{left_out} left out (hidden, empty or without text)")
        if self.failed:
            counts.append(f"{len(self.failed)} failed")
        return f"Store '{self.store['name']}' ({self.store['id']}): {', '.join(counts)}."


async def run(url: str, name: str, found: Found) -> Summary:
    """Everything. Raises ``NoServer``."""
    async with Server(url) as server:
        store = await server.store(name)
        known = {path: file async for file in server.files(store["id"]) if (path := file["attributes"].get(_PATH))}
        summary = Summary(store)
        room = asyncio.Semaphore(_AT_ONCE)
        with _saying(len(found.files)) as say:

            async def one(path: str, place: Path) -> None:
                async with room:
                    await _one(server, summary, path, place, known.get(_attribute(path)), say)

            try:
                async with asyncio.TaskGroup() as group:
                    for path, place in found.files.items():
                        group.create_task(one(path, place))
            except BaseExceptionGroup as failures:
                raise _first(failures) from None
        summary.failed.sort()
        return summary


async def _one(server: Server, summary: Summary, path: str, place: Path, known: Json | None, say: Say) -> None:
    try:
        content = await asyncio.to_thread(place.read_bytes)
        digest = hashlib.sha256(content).hexdigest()
        if known is not None and known["status"] != "failed" and known["attributes"].get(_HASH) == digest:
            summary.unchanged += 1
            say("unchanged", path)
            return
        file_id = await server.upload(place.name, content)
        file = await server.attach(summary.store["id"], file_id, {_PATH: _attribute(path), _HASH: digest})
        read = file["status"] == "completed"
        if known is not None:  # the store is never without the file, nor without what it had where the new one fails
            stays = not read and known["status"] == "completed"
            await server.remove(summary.store["id"], file_id if stays else known["id"])
        if not read:
            _failed(summary, path, (file["last_error"] or {}).get("message") or f"it is {file['status']}", say)
            return
    except Missing as gone:
        _failed(summary, path, f"it was taken away meanwhile: {gone}", say)
        return
    except (Refused, OSError) as why:
        _failed(summary, path, str(why), say)
        return
    if known is None:
        summary.added += 1
    else:
        summary.updated += 1
    say("added" if known is None else "updated", path)


def _failed(summary: Summary, path: str, why: str, say: Say) -> None:
    summary.failed.append((path, why))
    say("failed", path)


def _attribute(path: str) -> str:
    """A path as an attribute: a long one by its end, which must be as unique as the whole."""
    if len(path) <= _LONGEST:
        return path
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return digest + path[len(digest) - _LONGEST :]


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure


@contextmanager
def _saying(count: int) -> Iterator[Say]:
    """A progress bar for a person; for a pipe, a line for each file that something was done about."""
    if not sys.stdout.isatty():
        yield lambda what, path: None if what in ("unchanged", "failed") else click.echo(f"{what:9} {path}")
        return
    with click.progressbar(length=count, label="Ingesting", show_pos=True, item_show_func=lambda path: path) as bar:
        yield lambda _, path: bar.update(1, path)
