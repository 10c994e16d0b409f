"""``unused``, ``scan`` and ``rekey``: keeping a directory of recordings well."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antiphon.cli.tape.common import (
    columns,
    common,
    directory_option,
    fail,
    json_option,
    open_tape,
    say_json,
    timing_of,
)

if TYPE_CHECKING:
    from antiphon.tape.engine import Tape
    from antiphon.tape.shelf import Entry


@click.command()
@common
@click.option("--plays", multiple=True, metavar="DIR", help="Logs of plays, as of other CI shards; repeatable.")
@click.option("--delete", is_flag=True, help="Delete them.")
def unused(directory: str, as_json: bool, plays: tuple[str, ...], delete: bool) -> None:
    """List the recordings that no run has played.

    Every run notes what it plays below DIR/.tape/plays. Begin with that directory empty, run all tests, then ask; the
    logs of several machines count together (--plays, in place of this directory's own). Exits 1 when there are some.
    """
    tape = open_tape(directory)
    played = _played([Path(each) for each in plays] or [Path(directory, ".tape", "plays")], bool(plays))
    found = [entry for entry in tape.shelf.entries() if entry.path not in played and not entry.foreign]
    if as_json:
        say_json({"unused": [entry.path for entry in found], "bytes": sum(entry.size for entry in found)})
    else:
        for entry in found:
            click.echo(entry.path)
    if delete:
        for entry in found:
            tape.shelf.remove(entry)
        return
    sys.exit(1 if found else 0)


def _played(places: list[Path], named: bool) -> set[str]:
    """The paths in the logs. Without any log nothing can be said, least of all that all is unused."""
    logs = [log for place in places for log in ([place] if place.is_file() else sorted(place.rglob("*.log")))]
    missing = [str(place) for place in places if not place.exists()] if named else []
    if missing:
        fail(f"there is no {', '.join(missing)}")
    if not logs:
        fail(f"no run has noted what it played in {', '.join(map(str, places))}; run the tests first")
    return {line for log in logs for line in log.read_text("utf-8", "replace").splitlines() if line}


@click.command()
@directory_option
@json_option
@click.option("--allow", multiple=True, metavar="TEXT", help="What only looks like a secret; repeatable.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def scan(directory: str, as_json: bool, allow: tuple[str, ...], paths: tuple[Path, ...]) -> None:
    """Look for secrets in recordings, or in the PATHS. Exits 1 when one is found; made for a pre-commit hook."""
    from antiphon.tape import secrets

    if not paths and not Path(directory).is_dir():
        fail(f"there is no directory '{directory}'; name one with --dir or ANTIPHON_TAPE_DIR")
    findings = list(secrets.scan(paths or (Path(directory),), environ=os.environ, allow=allow))
    if as_json:
        say_json(findings)
    else:
        for one in findings:
            click.echo(f"{one.path}:{one.line}: {click.style(one.kind, fg='red')} {one.shown}")
    sys.exit(1 if findings else 0)


@click.command()
@common
@click.option("--dry-run", is_flag=True, help="Only say what would change; exits 1 when something would.")
def rekey(directory: str, as_json: bool, dry_run: bool) -> None:
    """Write names and keys anew, after the rules by which requests are compared were changed.

    Recordings are found by what they hold, so nothing is lost without it; it makes names and keys agree again.
    """
    tape = open_tape(directory)
    moves = [move for entry in tape.shelf.entries() if not entry.foreign and (move := _rekeyed(tape, entry, dry_run))]
    if as_json:
        say_json({"changed": moves})
    else:
        columns([(move["path"], "->", move["to"]) for move in moves], ("red", None, "green"))
        click.echo(f"{len(moves)} of {len(tape.shelf.entries())} {'would change' if dry_run else 'changed'}")
    sys.exit(1 if dry_run and moves else 0)


def _rekeyed(tape: Tape, entry: Entry, dry_run: bool) -> dict[str, Any] | None:
    from antiphon.tape import document
    from antiphon.tape.shelf import file_name, scope_directory

    path = tape.shelf.directory / entry.path
    exchange = tape.shelf.load(entry)
    head = document.head(path.read_bytes())
    stem = file_name(exchange.request, entry.key)
    named = Path(entry.path).stem.partition(".")[0] == stem
    named = named and str(Path(entry.path).parent) == (scope_directory(exchange.scope) or ".")
    if named and head.key == entry.key and head.canon == _version():
        return None
    to = entry.path if named else str(Path(scope_directory(exchange.scope), f"{stem}.json"))
    if not dry_run:
        files = document.dump(exchange, timing=timing_of(exchange))
        if named:
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_bytes(files[0])
            temporary.replace(path)
        else:
            # The old one goes last: a crash in between leaves two that are the same, and never none.
            to = str(tape.shelf.put(exchange, files, under=tape.shelf.directory).relative_to(tape.shelf.directory))
            tape.shelf.remove(entry)
    return {"path": entry.path, "to": to, "key": entry.key}


def _version() -> int:
    from antiphon.tape import canon

    return canon.VERSION
