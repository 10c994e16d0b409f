"""``antiphon tape``: look at recordings, keep them well, and record through a proxy.

Text for people, and plain where it goes into a pipe; ``--json`` everywhere for programs. Exit codes: 0 when all is
well, 1 when the command found what it looks for (a difference, a secret, something unused), 2 when it could not do it.
What a command needs is imported when it runs.
"""

from __future__ import annotations

import click

from antiphon.cli.tape.foreign import export_, import_
from antiphon.cli.tape.keeping import rekey, scan, unused
from antiphon.cli.tape.listing import ls, stats
from antiphon.cli.tape.misses import accept, why
from antiphon.cli.tape.proxying import proxy
from antiphon.cli.tape.showing import diff, show
from antiphon.cli.tape.verifying import verify

__all__ = ["tape"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def tape() -> None:
    """Recordings of calls to models and tools: look at them, keep them well, record through a proxy."""


for _command in (ls, show, diff, why, accept, unused, stats, scan, rekey, verify, import_, export_, proxy):
    tape.add_command(_command)
