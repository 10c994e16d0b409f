"""``import`` and ``export``: recordings of other systems."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antiphon.cli.tape.common import common, fail, key_of, open_tape, recordings, say_json

if TYPE_CHECKING:
    from antiphon.tape.engine import Tape


@click.group(name="import")
def import_() -> None:
    """Take over the recordings of another system."""


@click.group(name="export")
def export_() -> None:
    """Write recordings for another system."""


@import_.command("llama-stack")
@common
@click.argument("source", type=click.Path(exists=True, path_type=Path))
def import_llama_stack(directory: str, as_json: bool, source: Path) -> None:
    """Write the Llama Stack recordings below SOURCE as ours, below --dir.

    They can also be read where they are: put them below the directory. Exits 1 when a file could not be read.
    """
    tape = open_tape(directory, missing_ok=True)
    good, failed = _readable(source)
    written, refused = _take(tape, good)
    tape.close()
    _report(written, {**failed, **refused}, directory, as_json=as_json)


@export_.command("llama-stack")
@common
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
def export_llama_stack(directory: str, as_json: bool, dest: Path) -> None:
    """Write our recordings in Llama Stack's layout, with its hashes, below DEST.

    Exits 1 when a recording has no form there; of a call that was repeated, only the first answer has one.
    """
    if dest.resolve() == Path(directory).resolve():
        fail("DEST is the directory of the recordings itself; name another")
    from antiphon.tape.llama_stack import Unexportable, export

    written: dict[str, bytes] = {}
    failed = {}
    for recording in recordings(open_tape(directory)):
        try:
            path, data = export(recording.exchange)
        except Unexportable as why:
            failed[recording.path] = str(why)
            continue
        if written.setdefault(path, data) != data:
            failed[recording.path] = "a repeat: their form keeps one answer to a request, and the first was written"
            continue
        file = dest / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    _report(len(written), failed, str(dest), as_json=as_json)


def _readable(source: Path) -> tuple[list[Path], dict[str, str]]:
    """The files of theirs that can be read, and why others cannot."""
    from antiphon.tape.llama_stack import Unreadable, is_recording, load

    good, failed = [], {}
    for file in [source] if source.is_file() else sorted(source.rglob("*.json")):
        data = file.read_bytes()
        if not is_recording(data):
            continue
        try:
            load(data)
        except Unreadable as why:
            failed[str(file)] = str(why)
        else:
            good.append(file)
    if not good and not failed:
        fail(f"there is no Llama Stack recording in {source}")
    return good, failed


def _take(tape: Tape, files: list[Path]) -> tuple[int, dict[str, str]]:
    """Writes them as ours, without secrets; how many, and which were refused. Repeats of a call are counted on."""
    import msgspec

    from antiphon.tape import document
    from antiphon.tape.llama_stack import convert

    number: Counter[tuple[str, str]] = Counter()
    refused = {}
    for exchange in convert(files):
        request = tape.redactor.call(exchange.request)
        place = (exchange.scope, key_of(tape, request))
        number[place] += 1
        response = tape.redactor.response(exchange.response, request)
        clean = msgspec.structs.replace(exchange, request=request, response=response, variant=number[place])
        data, sides = document.dump(clean)
        found = [one for each in (data, *sides.values()) for one in tape.redactor.surviving(each)]
        if found:
            refused[f"{place[0]} {place[1][:12]}"] = f"a secret would have stood in its file: {found[0].kind}"
        else:
            tape.shelf.put(clean, (data, sides))
    return sum(number.values()) - len(refused), refused


def _report(written: int, failed: dict[str, str], where: str, *, as_json: bool) -> None:
    if as_json:
        say_json({"written": written, "failed": failed})
    else:
        click.echo(f"{written} recordings written below {where}")
        for path, problem in failed.items():
            click.secho(f"{path}: {problem}", fg="yellow", err=True)
    sys.exit(1 if failed else 0)
