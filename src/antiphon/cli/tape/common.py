"""What the commands share: their options, the recordings of a directory, and how things are said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from antiphon.tape.engine import Tape
    from antiphon.tape.model import Exchange, Request
    from antiphon.tape.settings import Timing
    from antiphon.tape.shelf import Entry

_F = TypeVar("_F", bound=Callable[..., Any])

#: A line of text for people is cut here.
WIDTH = 110

directory_option = click.option(
    "--dir",
    "directory",
    default="recordings",
    envvar="ANTIPHON_TAPE_DIR",
    show_default=True,
    show_envvar=True,
    metavar="DIR",
    help="The directory of recordings.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON value, for programs.")


def common(function: _F) -> _F:
    """``--dir`` and ``--json``."""
    return directory_option(json_option(function))


def fail(message: str) -> NoReturn:
    """Ends the command with a sentence; it could not be done."""
    click.echo(f"antiphon tape: {message}", err=True)
    sys.exit(2)


def say_json(value: Any) -> None:
    """JSON for programs."""
    import msgspec

    click.echo(json.dumps(msgspec.to_builtins(value, str_keys=True), ensure_ascii=False, indent=1))


def open_tape(directory: str, *, missing_ok: bool = False) -> Tape:
    """A tape to look at, in mode ``replay``. Ends the command when there is no such directory."""
    from antiphon.tape.engine import Tape
    from antiphon.tape.settings import Settings

    if not missing_ok and not Path(directory).is_dir():
        fail(f"there is no directory '{directory}'; name one with --dir or ANTIPHON_TAPE_DIR")
    return Tape(Settings(directory=directory), environ=os.environ)


class Recording:
    """One file and, once asked for, what it holds."""

    def __init__(self, tape: Tape, entry: Entry) -> None:
        self._tape = tape
        self._exchange: Exchange | None = None
        self.entry = entry

    @property
    def path(self) -> str:
        """Below the directory."""
        return self.entry.path

    @property
    def exchange(self) -> Exchange:
        """What it holds. Ends the command when the file is broken."""
        from antiphon.tape.document import Unreadable

        if self._exchange is None:
            try:
                self._exchange = self._tape.shelf.load(self.entry)
            except (Unreadable, OSError) as why:
                fail(f"{self.path}: {why}")
        return self._exchange

    @property
    def size(self) -> int:
        """Bytes, with the files beside it."""
        path = self._tape.shelf.directory / self.path
        sides = path.parent.glob(f"{path.stem}*.bin")
        return self.entry.size + sum(side.stat().st_size for side in sides if side.stem.startswith(path.stem))


def recordings(
    tape: Tape, *, scope: str | None = None, boundary: str | None = None, model: str | None = None
) -> Iterator[Recording]:
    """Those that fit, in the order in which they are played."""
    for entry in tape.shelf.entries():
        fits = (scope in (None, entry.scope), boundary in (None, entry.boundary), model is None or model in entry.model)
        if all(fits):
            yield Recording(tape, entry)


def find(tape: Tape, name: str) -> Recording:
    """The one that is meant by a path, a file name, or the beginning of a key. Ends the command when it is not one."""
    wanted = name.removeprefix(f"{tape.shelf.directory}/")
    entries = tape.shelf.entries()
    found = [e for e in entries if e.path == wanted or e.path == f"{wanted}.json"]
    found = found or [e for e in entries if Path(e.path).stem == Path(wanted).name.removesuffix(".json")]
    found = found or [e for e in entries if len(wanted) >= 4 and e.key.startswith(wanted)]
    if not found:
        problem = tape.shelf.unreadable.get(wanted)
        fail(f"{wanted}: {problem}" if problem else f"no recording '{name}' in {tape.shelf.directory}")
    if len(found) > 1:
        some = "\n  ".join(entry.path for entry in found[:8])
        fail(f"'{name}' is not one recording but {len(found)}; name its path:\n  {some}")
    return Recording(tape, found[0])


def key_of(tape: Tape, request: Request) -> str:
    """The key by which this request would find a recording."""
    from antiphon.tape import canon

    return canon.key(tape.redactor.call(request))


def timing_of(exchange: Exchange) -> Timing:
    """As much of the timing as its file holds, to write it again."""
    if getattr(exchange.response, "gaps", None) is not None:
        return "exact"
    return "summary" if getattr(exchange.response, "summary", None) is not None else "none"


def warn_unreadable(tape: Tape) -> None:
    """Files that are no recordings are said so, and passed over."""
    for path, problem in sorted(tape.shelf.unreadable.items()):
        click.secho(f"{path}: {problem}", fg="yellow", err=True)


def one_line(text: str, width: int = WIDTH) -> str:
    """Text as one line that fits."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def bytes_text(size: float) -> str:
    """A size for people."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def columns(rows: list[tuple[str, ...]], colours: tuple[str | None, ...] = ()) -> None:
    """Rows as aligned columns, the last one free."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)] + [row[-1]]
        paint = (*colours, *(None,) * len(cells))
        click.echo("  ".join(click.style(c, fg=p) if p else c for c, p in zip(cells, paint, strict=False)).rstrip())
