"""``ls`` and ``stats``: what there is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from antiphon.cli.tape.common import (
    Recording,
    bytes_text,
    columns,
    common,
    one_line,
    open_tape,
    recordings,
    say_json,
    warn_unreadable,
)

if TYPE_CHECKING:
    from antiphon.tape.model import Usage

_BIGGEST = 5


@click.command()
@common
@click.option("--scope", help="Only those of this scope; '' for the shared ones.")
@click.option(
    "--boundary", type=click.Choice(["inference", "embeddings", "tools"]), help="Only those of this boundary."
)
@click.option("--model", help="Only those whose model's name holds this.")
def ls(directory: str, as_json: bool, scope: str | None, boundary: str | None, model: str | None) -> None:
    """List recordings: scope, model or tool, how it ended, what was said, and the file."""
    tape = open_tape(directory)
    found = list(recordings(tape, scope=scope, boundary=boundary, model=model))
    if as_json:
        say_json([_row(recording) for recording in found])
        return
    rows: list[tuple[str, ...]] = []
    for row in map(_row, found):
        ending = str(row["status"]) if row["end"] == "complete" else f"{row['status']} {row['end']}"
        what = row["model"] or row["endpoint"]
        rows.append((row["scope"] or "-", what, ending, one_line(row["say"], 40), row["path"]))
    columns(rows, ("cyan", None, None, None, "blue"))
    warn_unreadable(tape)


def _row(recording: Recording) -> dict[str, Any]:
    from antiphon.tape.document import say
    from antiphon.tape.model import HttpResponse

    entry, response = recording.entry, recording.exchange.response
    http = isinstance(response, HttpResponse)
    return {
        "path": entry.path,
        "scope": entry.scope,
        "boundary": entry.boundary,
        "provider": entry.provider,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "key": entry.key,
        "variant": entry.variant,
        "status": response.status if http else "error" if response.error else "ok",  # type: ignore[union-attr]
        "end": response.end if http else "complete",  # type: ignore[union-attr]
        "usage": recording.exchange.usage,
        "bytes": entry.size,
        "say": say(response),
    }


@click.command()
@common
@click.option("--scope", help="Only those of this scope.")
def stats(directory: str, as_json: bool, scope: str | None) -> None:
    """Count recordings, their tokens and bytes; tokens as the other side counted them."""
    tape = open_tape(directory)
    found = list(recordings(tape, scope=scope))
    sizes = {recording.path: recording.size for recording in found}
    models: dict[str, list[Usage | None]] = {}
    for recording in found:
        models.setdefault(recording.entry.model or recording.entry.endpoint, []).append(recording.exchange.usage)
    report = {
        "recordings": len(found),
        "scopes": len({recording.entry.scope for recording in found}),
        "boundaries": dict(Counter(recording.entry.boundary for recording in found)),
        "tokens": _tokens([usage for each in models.values() for usage in each]),
        "bytes": sum(sizes.values()),
        "models": {name: {"calls": len(each), **_tokens(each)} for name, each in sorted(models.items())},
        "biggest": [{"path": path, "bytes": sizes[path]} for path in sorted(sizes, key=lambda p: -sizes[p])[:_BIGGEST]],
        "unreadable": len(tape.shelf.unreadable),
    }
    if as_json:
        say_json(report)
    else:
        _say(report)
        warn_unreadable(tape)


def _tokens(usages: list[Usage | None]) -> dict[str, int]:
    known = [usage for usage in usages if usage is not None]
    return {"input": sum(usage.input for usage in known), "output": sum(usage.output for usage in known)}


def _say(report: dict[str, Any]) -> None:
    tokens = report["tokens"]
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(report["boundaries"].items()))
    click.echo(f"{report['recordings']} recordings in {report['scopes']} scopes{f' ({kinds})' if kinds else ''}")
    click.echo(f"{tokens['input']} tokens in, {tokens['output']} out; {bytes_text(report['bytes'])}")
    if report["models"]:
        click.echo("")
        columns(
            [
                (name, f"{each['calls']} calls", f"{each['input']} in", f"{each['output']} out")
                for name, each in report["models"].items()
            ]
        )
        click.echo("")
        columns([(bytes_text(each["bytes"]), each["path"]) for each in report["biggest"]], (None, "blue"))
