"""``why`` and ``accept``: calls that no recording answered, and what becomes of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from antiphon.cli.tape.common import common, fail, key_of, one_line, open_tape, say_json, timing_of

if TYPE_CHECKING:
    from antiphon.tape.engine import Tape
    from antiphon.tape.miss import Miss

Choice = Literal["rerecord", "keep", "skip"]

_ANSWERS: dict[str, Choice] = {"r": "rerecord", "k": "keep", "s": "skip"}


@click.command()
@common
@click.option("--scope", help="Only those of this scope.")
@click.option("--last", type=click.IntRange(1), default=5, show_default=True, help="How many, the newest first.")
@click.argument("key", required=False)
def why(directory: str, as_json: bool, scope: str | None, last: int, key: str | None) -> None:
    """Explain the last misses, or the one whose key begins with KEY: what differs from the nearest recording."""
    found = _misses(directory, scope, key)
    if key is not None and not found:
        fail(f"no miss has a key that begins with '{key}'")
    if as_json:
        say_json([miss for _, miss in found[:last]])
        return
    for path, miss in found[:last]:
        click.secho(f"{path.stem}  {miss.reason}", bold=True)
        click.echo(miss.report.rstrip() + "\n")
    if not found:
        click.echo("No misses.")
    elif len(found) > last:
        click.echo(f"{len(found) - last} older ones (--last {len(found)})")


@click.command()
@common
@click.option("--scope", help="Only those of this scope.")
@click.option("--rerecord", "choice", flag_value="rerecord", help="All: delete the nearest; the next run records.")
@click.option("--keep", "choice", flag_value="keep", help="All: the nearest answers the new request, too.")
@click.argument("key", required=False)
def accept(directory: str, as_json: bool, scope: str | None, choice: Choice | None, key: str | None) -> None:
    """Walk through the misses, and decide: record anew, or keep the old answer under the new request.

    To record anew deletes the nearest recording of the same scope; run again with the mode `record-if-missing` then.
    Without --rerecord or --keep it asks about each.
    """
    tape = open_tape(directory)
    found = _misses(directory, scope, key)
    if key is not None and not found:
        fail(f"no miss has a key that begins with '{key}'")
    if found and choice is None and not sys.stdin.isatty():
        fail("there is nobody to ask; say --rerecord or --keep")
    done = []
    for path, miss in found:
        chosen: Choice = choice or _ask(path, miss)
        said = _do(tape, miss, chosen)
        done.append({"key": path.stem, "scope": miss.scope, "choice": chosen, "did": said})
        if chosen != "skip":
            path.unlink(missing_ok=True)
        if not as_json:
            click.echo(f"{path.stem}: {said}")
    tape.close()
    if as_json:
        say_json(done)
    elif not found:
        click.echo("No misses.")
    elif any(each["choice"] == "rerecord" for each in done):
        click.echo("Now run again with the mode record-if-missing.")


def _misses(directory: str, scope: str | None, key: str | None) -> list[tuple[Path, Miss]]:
    """The files of misses and what they hold, the newest first."""
    import msgspec

    from antiphon.tape.miss import Miss

    found = []
    for path in Path(directory, ".tape", "misses").glob(f"{key or ''}*.json"):
        try:
            miss = msgspec.json.decode(path.read_bytes(), type=Miss)
        except (msgspec.DecodeError, OSError) as wrong:
            click.secho(f"{path}: {wrong}", fg="yellow", err=True)
            continue
        if scope in (None, miss.scope):
            found.append((path.stat().st_mtime_ns, path, miss))
    return [(path, miss) for _, path, miss in sorted(found, key=lambda one: -one[0])]


def _ask(path: Path, miss: Miss) -> Choice:
    click.secho(f"{path.stem}  {miss.reason}", bold=True)
    click.echo(miss.report.rstrip())
    answer = click.prompt(
        "[r]ecord anew, [k]eep the old answer, [s]kip", type=click.Choice(list(_ANSWERS)), default="s"
    )
    return _ANSWERS[answer]


def _do(tape: Tape, miss: Miss, choice: Choice) -> str:
    """Does it; what was done, as a sentence."""
    import msgspec

    from antiphon.tape import document

    if choice == "skip":
        return "skipped"
    entries = tape.shelf.entries()
    nearest = next((entry for entry in entries if entry.path == miss.nearest), None)
    replaces = nearest is not None and nearest.scope == miss.scope and not nearest.foreign
    # Of a spent recording, and of another scope's, nothing is wrong: what is missing comes beside it.
    replaces = replaces and miss.reason not in ("exhausted", "other_scope")
    if choice == "rerecord":
        if nearest is None or not replaces:
            return "nothing to delete; the next run records it"
        tape.shelf.remove(nearest)
        return f"deleted {nearest.path}"
    if nearest is None:
        return "there is no recording near it to keep; record it"
    key = key_of(tape, miss.request)
    number = 1 + sum(entry.scope == miss.scope and entry.key == key for entry in entries)
    old = tape.shelf.load(nearest)
    exchange = msgspec.structs.replace(old, request=miss.request, scope=miss.scope, variant=number)
    path = tape.shelf.put(exchange, document.dump(exchange, timing=timing_of(exchange)))
    if replaces:
        tape.shelf.remove(nearest)
    return one_line(f"{nearest.path} now answers as {path.relative_to(tape.shelf.directory)}", 200)
