"""The proxy on a socket: uvicorn with the server's own protocol, by which a reply can break off as it was recorded."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Mapping
from types import FrameType

import click
import uvicorn

from antiphon.cli.tape.common import fail
from antiphon.cli.tape.way import network_way
from antiphon.http.protocol import settings
from antiphon.tape.engine import Tape
from antiphon.tape.proxy import Proxy

#: How long calls that are under way may take when the proxy is told to stop. Seconds.
_GRACE = 5


def serve(
    tape: Tape, bases: Mapping[str, str], host: str, port: int, token: str | None, *, as_json: bool = False
) -> None:
    """Until told to stop. A line on standard output says where, then a line on standard error for each call."""
    try:
        sock = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as wrong:
        fail(f"cannot listen on {host}:{port}: {wrong.strerror or wrong}")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("antiphon.tape").setLevel(logging.INFO)
    at = sock.getsockname()
    root = f"http://[{at[0]}]:{at[1]}" if ":" in at[0] else f"http://{at[0]}:{at[1]}"
    _say(root, bases, tape, as_json=as_json)
    app = Proxy(tape, bases, network_way(), token=token)
    _Server(settings(app, lifespan="on", timeout_graceful_shutdown=_GRACE)).run(sockets=[sock])
    _sum_up(tape)


def _say(root: str, bases: Mapping[str, str], tape: Tape, *, as_json: bool) -> None:
    mode = {boundary: tape.mode_of(boundary) for boundary in ("inference", "embeddings", "tools")}
    urls = {name: f"{root}/{name}" for name in bases}
    if as_json:
        click.echo(json.dumps({"url": root, "upstreams": urls, "modes": mode}))
        return
    click.echo(f"Listening on {root} ({mode['inference']}, {tape.settings.directory})")
    for name, base in bases.items():
        click.echo(f"  {urls[name]}  ->  {base}")
    click.echo(f"  within a scope: {root}/s/SCOPE/{next(iter(bases))}")


def _sum_up(tape: Tape) -> None:
    count = tape.stats()
    click.echo(
        f"{count.hits} played, {count.recorded} recorded, {count.misses} missed; "
        f"{count.tokens_recorded} tokens recorded, {count.tokens_replayed} saved",
        err=True,
    )


class _Server(uvicorn.Server):
    """uvicorn raises a signal again at the end, and the exit code would say that we were killed."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
