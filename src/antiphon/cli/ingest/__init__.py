"""``antiphon ingest``: a folder of documents into a vector store of a running server.

What is there already, unchanged, is left alone, so that the command can be run again: after a change, or where it was
stopped. ``walk`` knows the folder, ``server`` the server, ``work`` what is to be done.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

#: Variable that names the server.
URL_VARIABLE = "ANTIPHON_URL"
_URL = "http://127.0.0.1:8321"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--store", required=True, metavar="NAME", help="Name of the vector store, or its id; made where it is not."
)
@click.option("--url", metavar="URL", help=f"The server ({_URL}, or what {URL_VARIABLE} says).")
@click.option("--include", multiple=True, metavar="GLOB", help="Only these files, such as '*.md'; may be repeated.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not these files or folders; may be repeated.")
def ingest(folder: Path, store: str, url: str | None, include: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Put the documents of DIR, and of the folders in it, into a vector store.

    The server must be running. A file that is in the store already is skipped unless its content has changed; hidden
    files, empty ones and what holds no text (pictures, programs, archives) are left out. Exits 1 when a file failed;
    run it again to go on.
    """
    import asyncio

    from antiphon.cli.ingest.server import NoServer
    from antiphon.cli.ingest.walk import walk
    from antiphon.cli.ingest.work import run

    found = walk(folder, include, exclude)
    try:
        summary = asyncio.run(run(url or os.environ.get(URL_VARIABLE) or _URL, store, found))
    except NoServer as why:
        click.echo(f"antiphon: {why} Start one with 'antiphon serve', or name another with --url.", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("Stopped. Run the same command again to go on.", err=True)
        sys.exit(130)
    for path, reason in summary.failed:
        click.echo(f"failed    {path}: {reason}", err=True)
    click.echo(summary.line(left_out=found.left_out))
    sys.exit(1 if summary.failed else 0)
