"""The ``antiphon`` command: ``serve``, ``check`` and ``version``.

``--help`` and ``version`` answer at once: what a command needs is imported when it runs.
"""

from __future__ import annotations

from antiphon.cli.command import main

__all__ = ["main"]
