"""The commands and their options. An option left out changes nothing: it is not an override with the default."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from antiphon import __version__
from antiphon.cli.ingest import ingest
from antiphon.cli.tape import tape

if TYPE_CHECKING:
    from antiphon.config.load import Loaded

#: Name of the upstream that ``--upstream`` makes.
GIVEN = "default"

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--config", "config", type=click.Path(path_type=Path), help="The configuration file."),
    click.option("--host", help="Address to listen on (127.0.0.1)."),
    click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (8321); 0 takes a free one."),
    click.option(
        "--upstream", metavar="URL", help="Base URL of a Chat Completions server, such as http://host:8000/v1."
    ),
    click.option("--upstream-key", metavar="KEY", help="Its key; env:NAME reads it from the environment."),
    click.option("--data-dir", metavar="DIR", help="Folder of everything that is kept (./data)."),
    click.option(
        "--database-url", metavar="URL", help="postgresql://... or sqlite:///...; else a file in the data dir."
    ),
    click.option("--tape", metavar="DIR", help="Record the calls to models and tools there, or replay them."),
    click.option(
        "--tape-mode",
        type=click.Choice(["live", "record", "replay", "record-if-missing", "verify"]),
        help="What to do with the tape (replay).",
    ),
    click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="The least important log lines."
    ),
)


def settings(function: _F) -> _F:
    """The options that ``serve`` and ``check`` share."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Antiphon: the OpenAI Responses API over any model that speaks Chat Completions."""


@main.command()
@settings
def serve(config: Path | None, **options: Any) -> None:
    """Start the server.

    Without --upstream it takes what the configuration names, else OPENAI_BASE_URL, else a local Ollama, vLLM,
    LM Studio or llama-server; the built-in model `demo` is always there. It says at start what it took and why.
    """
    found = loaded(config, options)
    from antiphon.app import serve as run  # after the configuration, so that a mistake in it is answered at once

    run(found.config, os.environ)


@main.command()
@settings
def check(config: Path | None, **options: Any) -> None:
    """Show the effective configuration, secrets masked, and what can be reached.

    Takes the options of `serve`. Exits 1 when something that is configured cannot be reached.
    """
    from antiphon.cli.check import check as run

    sys.exit(0 if run(loaded(config, options), os.environ, click.echo) else 1)


main.add_command(ingest)
main.add_command(tape)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"antiphon {__version__}")


def loaded(config: Path | None, options: dict[str, Any]) -> Loaded:
    """The configuration of these options; what is wrong with it ends the command, without a trace."""
    from antiphon.config.load import ConfigError, resolve

    try:
        return resolve(config, os.environ, overrides(**options))
    except ConfigError as wrong:
        fail(str(wrong))


def fail(message: str) -> NoReturn:
    """Ends the command with a sentence and the exit code of a usage error."""
    click.echo(f"antiphon: {message}", err=True)
    sys.exit(2)


def overrides(
    *,
    host: str | None,
    port: int | None,
    upstream: str | None,
    upstream_key: str | None,
    data_dir: str | None,
    database_url: str | None,
    tape: str | None,
    tape_mode: str | None,
    log_level: str | None,
) -> dict[str, Any]:
    """The options that were given, as the settings they stand for."""
    given = {
        "server.host": host,
        "server.port": port,
        "server.log_level": log_level,
        "storage.data_dir": data_dir,
        "storage.database_url": database_url,
        "tape.dir": tape,
        "tape.mode": tape_mode,
    }
    out: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if upstream is not None:
        key = {} if upstream_key is None else {"key": upstream_key}
        out[f"upstreams.{GIVEN}"] = {"url": upstream, **key}
        out["default_upstream"] = GIVEN
    elif upstream_key is not None:
        raise click.UsageError("--upstream-key needs --upstream: it says where the key goes.")
    return out
