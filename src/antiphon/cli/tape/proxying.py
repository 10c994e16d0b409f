"""``proxy``: record and replay for any client, in any language, by its base URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antiphon.cli.tape.common import directory_option, fail, json_option

if TYPE_CHECKING:
    from antiphon.tape.engine import Tape

_MODES = ("live", "record", "replay", "record-if-missing", "verify")
_REPEATS = ("last", "cycle", "error")
_TIMINGS = ("none", "summary", "exact")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_BOUNDARIES = ("inference", "embeddings", "tools")


@click.command()
@directory_option
@json_option
@click.option("--upstream", "upstreams", multiple=True, required=True, metavar="NAME=URL", help="Where calls go.")
@click.option("--mode", type=click.Choice(_MODES), default="record-if-missing", show_default=True, help="What happens.")
@click.option("--mode-of", multiple=True, metavar="BOUNDARY=MODE", help="Another mode for one boundary.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8322, show_default=True, help="0 takes a free one.")
@click.option("--token", envvar="ANTIPHON_TAPE_TOKEN", help="Opens /_tape/ to other machines, for who sends it.")
@click.option("--strict/--no-strict", default=None, help="An unrecorded repeat is a miss (on when CI is set).")
@click.option("--exhausted", type=click.Choice(_REPEATS), default="last", help="Such a repeat otherwise.")
@click.option("--timing", type=click.Choice(_TIMINGS), default="none", help="What files keep.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="Replay in time: 1 as recorded, 10 faster.")
@click.option("--budget", type=click.IntRange(0), help="Tokens after which nothing more is recorded.")
@click.option("--volatile", multiple=True, metavar="PATH", help="A JSON path, or re:REGEX, that does not count.")
@click.option("--relax", multiple=True, metavar="NAME", help="A part that does not count, such as system_prompt.")
@click.option("--allow", multiple=True, metavar="TEXT", help="What only looks like a secret.")
@click.option("--faults", "faults_file", type=_FILE, help="A file of faults.")
def proxy(directory: str, as_json: bool, host: str, port: int, token: str | None, **options: Any) -> None:
    """Record and replay between any client and its upstream.

    \b
    antiphon tape proxy --upstream openai=https://api.openai.com/v1 --dir recordings
    OPENAI_BASE_URL=http://127.0.0.1:8322/s/my-test/openai/v1 my-program

    The part after /s/ is the scope: a test, a session. It may be left out, and so may the name of a single upstream.
    """
    urls = bases(options["upstreams"])
    tape = _tape(directory, options)
    from antiphon.cli.tape.serving import serve

    serve(tape, urls, host, port, token, as_json=as_json)


def bases(upstreams: tuple[str, ...]) -> dict[str, str]:
    """The base URLs by name. Ends the command when one is none."""
    from antiphon.tape.proxy.places import check_upstream

    found: dict[str, str] = {}
    for each in upstreams:
        try:
            name, url = check_upstream(each)
        except ValueError as wrong:
            fail(str(wrong))
        if name in found:
            fail(f"two upstreams are called '{name}'")
        found[name] = url
    return found


def _tape(directory: str, options: dict[str, Any]) -> Tape:
    from antiphon.tape.engine import Tape
    from antiphon.tape.settings import Settings

    strict = options["strict"]
    settings = Settings(
        directory=directory,
        mode=options["mode"],
        modes=_modes(options["mode_of"]),
        strict=bool(os.environ.get("CI")) if strict is None else strict,
        exhausted=options["exhausted"],
        timing=options["timing"],
        speed=options["speed"],
        volatile=options["volatile"],
        relax=options["relax"],
        budget=options["budget"],
        allow=options["allow"],
    )
    try:
        return Tape(settings, environ=os.environ, faults=_faults(options["faults_file"]), background=True)
    except ValueError as wrong:
        fail(str(wrong))


def _modes(pairs: tuple[str, ...]) -> dict[Any, Any]:
    found = {}
    for pair in pairs:
        boundary, _, mode = pair.partition("=")
        if boundary not in _BOUNDARIES or mode not in _MODES:
            fail(f"--mode-of {pair}: write one of {', '.join(_BOUNDARIES)}, '=', and one of {', '.join(_MODES)}")
        found[boundary] = mode
    return found


def _faults(path: Path | None) -> Any:
    from antiphon.tape.faults import FaultError, Faults, load

    try:
        return Faults(load(path) if path is not None else ())
    except (FaultError, OSError) as wrong:
        fail(f"--faults: {wrong}")
